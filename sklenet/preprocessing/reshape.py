"""Images in other sizes."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional as F

from sklenet.images.canvas import CANVAS
from sklenet.images.shapes import (
    check_image_shape,
    infer_image_shape,
    make_pixel_names,
    to_images,
)
from sklenet.preprocessing.base import ImageTransformer


class _Reshaper(ImageTransformer):
    """A transformer to other image shapes, which learns nothing."""

    def fit(self, X, y=None):
        """Check the parameters and X; nothing is learnt.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._validate_params()
        _, shape, _ = self._read(X, reset=True)
        self._output_size(shape)
        return self

    def get_feature_names_out(self, input_features=None):
        """Return the names of the pixels, ``pixel_ROW_COLUMN`` with the channel first.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "n_features_in_")
        given = check_image_shape(self.image_shape, type(self).__name__)
        channels, *size = given or infer_image_shape(self.n_features_in_)
        shape = (channels, *self._output_size((channels, *size)))
        return np.asarray(
            make_pixel_names(shape if channels > 1 else shape[1:]), dtype=object
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


def _two(size):
    return (size, size) if isinstance(size, Integral) else tuple(size)


_SIZE = [Interval(Integral, 1, None, closed="left"), tuple, list]


class Padder(_Reshaper):
    """Centre images on a larger canvas.

    Parameters
    ----------
    size : int or tuple of int (h, w), default=32
        The canvas; 32 is the original network's.
    value : float, default=0
        Of the border.
    image_shape : tuple of int (h, w) or (c, h, w), default=None
        The shape of one image where X is flat; None finds it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklenet.preprocessing import Padder
    >>> Padder().fit_transform(np.ones((5, 28, 28))).shape
    (5, 32, 32)
    """

    _parameter_constraints: dict = {
        "size": _SIZE,
        "value": [Real],
        "image_shape": ["array-like", None],
    }

    def __init__(self, size=CANVAS, *, value=0, image_shape=None):
        self.size = size
        self.value = value
        self.image_shape = image_shape

    def _output_size(self, shape):
        size = _two(self.size)
        if shape[1] > size[0] or shape[2] > size[1]:
            raise ValueError(
                f"The 'size' parameter of Padder is {self.size!r}, but images are"
                f" {shape[1]}x{shape[2]}: they do not fit."
            )
        return size

    def transform(self, X):
        """Return the images of X on the canvas.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)

        Returns
        -------
        ndarray
            Of as many axes as X, and of its type.
        """
        rows, shape, n_axes = self._read(X, reset=False)
        height, width = self._output_size(shape)
        top, left = (height - shape[1]) // 2, (width - shape[2]) // 2
        padded = np.full((len(rows), shape[0], height, width), self.value, dtype=rows.dtype)
        images = to_images(rows, shape)
        padded[:, :, top : top + shape[1], left : left + shape[2]] = images
        return self._give_back(padded, padded.shape[1:], n_axes)


class Resizer(_Reshaper):
    """Enlarge or shrink images.

    Parameters
    ----------
    size : int or tuple of int (h, w), default=28
        The new size.
    interpolation : {"area", "bilinear", "bicubic", "nearest"}, default="area"
        As in :func:`torch.nn.functional.interpolate`. "area" averages what a new pixel
        covers, so that nothing is lost in shrinking.
    image_shape : tuple of int (h, w) or (c, h, w), default=None
        The shape of one image where X is flat; None finds it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklenet.preprocessing import Resizer
    >>> Resizer(2).fit_transform(np.arange(16.0).reshape(1, 16))
    array([[ 2.5,  4.5, 10.5, 12.5]])
    """

    _parameter_constraints: dict = {
        "size": _SIZE,
        "interpolation": [StrOptions({"area", "bilinear", "bicubic", "nearest"})],
        "image_shape": ["array-like", None],
    }

    def __init__(self, size=28, *, interpolation="area", image_shape=None):
        self.size = size
        self.interpolation = interpolation
        self.image_shape = image_shape

    def _output_size(self, shape):
        return _two(self.size)

    def transform(self, X):
        """Return the images of X in the new size.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)

        Returns
        -------
        ndarray
            Of as many axes as X, and of its type; integers are rounded.
        """
        rows, shape, n_axes = self._read(X, reset=False)
        images = to_images(rows, shape)
        floats = images if images.dtype in (np.float32, np.float64) else images.astype("f4")
        resized = F.interpolate(
            torch.from_numpy(np.ascontiguousarray(floats)),
            self._output_size(shape),
            mode=self.interpolation,
        ).numpy()
        if rows.dtype.kind in "iu":
            limits = np.iinfo(rows.dtype)
            resized = resized.round().clip(limits.min, limits.max)
        resized = resized.astype(rows.dtype, copy=False)
        return self._give_back(resized, resized.shape[1:], n_axes)
