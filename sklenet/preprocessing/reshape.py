"""Images of another size."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional as F

from sklenet.images.canvas import CANVAS
from sklenet.images.shapes import make_pixel_names, to_images
from sklenet.preprocessing.base import (
    ImageTransformer,
    describe_values,
    fits_dtype,
    restore_dtype,
    to_python,
)

_SIZE = [Interval(Integral, 1, None, closed="left"), tuple, list]


class _Reshaper(ImageTransformer):
    """Base class of the transformers that change the size of images and learn nothing."""

    def _validate_params(self):
        super()._validate_params()
        if isinstance(self.size, Integral):
            return
        if len(self.size) != 2 or not all(
            isinstance(side, Integral) and int(side) >= 1 for side in self.size
        ):
            raise ValueError(
                f"The 'size' parameter of {type(self).__name__} must be a whole number"
                " of at least 1, or two of them, the height and the width. Got"
                f" {self.size!r} instead."
            )

    def _fit(self, rows, shape):
        self._get_output_size(shape)  # raises an error if the images do not fit

    def _get_output_size(self, shape):
        """Return the (height, width) of transformed images of this shape (c, h, w)."""
        return (self.size, self.size) if isinstance(self.size, Integral) else self.size

    def get_feature_names_out(self, input_features=None):
        """Return the names of the pixels: ``pixel_ROW_COLUMN``, after the channel if any.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Ignored.

        Returns
        -------
        ndarray of str
            Names of the transformed pixels.
        """
        check_is_fitted(self, "image_shape_")
        size = tuple(self._get_output_size(self.image_shape_))
        channels = self.image_shape_[0]
        names = make_pixel_names(size if channels == 1 else (channels, *size))
        return np.asarray(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


class Padder(_Reshaper):
    """Centre images on a larger canvas.

    The data type of X is kept, and `fit` is not needed.

    Parameters
    ----------
    size : int or tuple of int (h, w), default=32
        Size of the canvas. The default is that of the 1998 network.
    value : float, default=0
        Value of the pixels of the border. It must be representable in the data type of X.
    image_shape : tuple of int (h, w) or (c, h, w), default=None
        Shape of one image if X is flat. If None, it is inferred.

    Attributes
    ----------
    image_shape_ : tuple of int (c, h, w)
        Shape of one image in `fit`.
    n_features_in_ : int
        Number of pixel values of one image in `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklenet.preprocessing import Padder
    >>> Padder().fit_transform(np.ones((5, 28, 28))).shape
    (5, 32, 32)
    """

    _parameter_constraints: dict = {
        "size": _SIZE,
        "value": [Interval(Real, None, None, closed="neither")],
        "image_shape": ["array-like", None],
    }

    def __init__(self, size=CANVAS, *, value=0, image_shape=None):
        self.size = size
        self.value = value
        self.image_shape = image_shape

    def _fit(self, rows, shape):
        super()._fit(rows, shape)
        self._check_value(rows.dtype)

    def _check_value(self, dtype):
        """Raise a ValueError if pixels of a data type cannot have the value."""
        if not fits_dtype(to_python(self.value), dtype):
            raise ValueError(
                f"The 'value' parameter of Padder is {self.value!r}, but for X of the data"
                f" type {dtype} it must be {describe_values(dtype)}."
            )

    def _get_output_size(self, shape):
        height, width = super()._get_output_size(shape)
        if shape[1] > height or shape[2] > width:
            raise ValueError(
                f"The 'size' parameter of Padder is {self.size!r}, but images are"
                f" {shape[1]}x{shape[2]}: they do not fit."
            )
        return height, width

    def _transform(self, rows, shape):
        self._check_value(rows.dtype)
        channels, height, width = shape
        canvas_size = self._get_output_size(shape)
        top, left = (canvas_size[0] - height) // 2, (canvas_size[1] - width) // 2
        padded = np.full((len(rows), channels, *canvas_size), self.value, dtype=rows.dtype)
        padded[:, :, top : top + height, left : left + width] = to_images(rows, shape)
        return padded


class Resizer(_Reshaper):
    """Enlarge or shrink images.

    The data type of X is kept: results of integers and booleans are rounded. `fit` is not
    needed.

    Parameters
    ----------
    size : int or tuple of int (h, w), default=28
        New size of the images.
    interpolation : {"area", "bilinear", "bicubic", "nearest"}, default="area"
        Interpolation mode of :func:`torch.nn.functional.interpolate`. "area" averages all
        pixels that a new pixel covers, so that thin strokes survive shrinking.
    image_shape : tuple of int (h, w) or (c, h, w), default=None
        Shape of one image if X is flat. If None, it is inferred.

    Attributes
    ----------
    image_shape_ : tuple of int (c, h, w)
        Shape of one image in `fit`.
    n_features_in_ : int
        Number of pixel values of one image in `fit`.

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

    def _transform(self, rows, shape):
        images = to_images(rows, shape)
        # The first of these types that has all values of the pixels.
        dtype = np.result_type(images.dtype, np.float32)
        floats = np.require(
            images, np.float64 if dtype.itemsize > 4 else np.float32, ["C", "W"]
        )
        resized = F.interpolate(
            torch.from_numpy(floats),
            tuple(self._get_output_size(shape)),
            mode=self.interpolation,
        ).numpy()
        return restore_dtype(resized, rows.dtype)
