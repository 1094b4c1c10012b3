"""Images with other pixel values."""

import math
from numbers import Real

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from sklenet.images.shapes import to_images
from sklenet.preprocessing.base import ImageTransformer

RANGES = {"unit": (0.0, 1.0), "signed": (-1.0, 1.0), "lecun1998": (-0.1, 1.175)}


class PixelScaler(OneToOneFeatureMixin, ImageTransformer):
    """Scale pixels to a range or to zero mean and unit variance, or columns to unit norm.

    Floating-point data types are kept; others become float64.

    Parameters
    ----------
    to : {"unit", "signed", "lecun1998", "standard", "column_l2"} or tuple (low, high), \
            default="unit"
        Desired values.

        - A tuple is the range to which the minimum and the maximum of X in `fit` are
          mapped. "unit" is the range from 0 to 1, "signed" from -1 to 1, and "lecun1998"
          the range of the 1998 paper: -0.1 for the background and 1.175 for the
          foreground, with which the mean of its images is close to 0.
        - "standard" subtracts the mean of each channel and divides by its standard
          deviation.
        - "column_l2" divides each column of each image by its Euclidean norm, unless that
          is 0.
    image_shape : tuple of int (h, w) or (c, h, w), default=None
        Shape of one image if X is flat. If None, it is inferred.

    Attributes
    ----------
    offset_, scale_ : ndarray of shape (n_channels,)
        Parameters of the transformation ``(x - offset_) * scale_ + low``, where ``low`` is
        the lower end of the range, or 0 for "standard". Not available for "column_l2".
    image_shape_ : tuple of int (c, h, w)
        Shape of one image in `fit`.
    n_features_in_ : int
        Number of pixel values of one image.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner (1998). "Gradient-based learning applied to document
    recognition", section II.B, for the range "lecun1998".

    Examples
    --------
    >>> from sklenet.preprocessing import PixelScaler
    >>> PixelScaler(to="signed").fit_transform([[0, 51, 102, 255]])
    array([[-1. , -0.6, -0.2,  1. ]])
    """

    _parameter_constraints: dict = {
        "to": [StrOptions({*RANGES, "standard", "column_l2"}), tuple, list],
        "image_shape": ["array-like", None],
    }

    def __init__(self, to="unit", *, image_shape=None):
        self.to = to
        self.image_shape = image_shape

    @available_if(lambda self: self.to != "column_l2")
    def inverse_transform(self, X):
        """Restore the original pixel values. Not available for "column_l2".

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, h, w) or (n, c, h, w)
            Scaled images.

        Returns
        -------
        ndarray
            Original images, with the shape of X.
        """
        return self._apply(self._inverse_transform, X)

    def _validate_params(self):
        super()._validate_params()
        if not isinstance(self.to, str) and not (
            len(self.to) == 2
            and all(isinstance(end, Real) and math.isfinite(end) for end in self.to)
            and self.to[0] < self.to[1]
        ):
            raise ValueError(
                "The 'to' parameter of PixelScaler must be a name or two numbers, the"
                f" lower one first. Got {self.to!r} instead."
            )

    def _fit(self, rows, shape):
        if self.to == "column_l2":
            return
        if self.to == "standard":
            channels = self._split_channels(rows, shape)
            self.offset_ = np.array([c.mean(dtype=np.float64) for c in channels])
            spread = np.array([c.std(dtype=np.float64) for c in channels])
            self.scale_ = 1 / np.where(spread > 0, spread, 1)
        else:
            low, high = self._get_range()
            minimum, maximum = float(rows.min()), float(rows.max())
            self.offset_ = np.full(shape[0], minimum)
            self.scale_ = np.full(shape[0], (high - low) / ((maximum - minimum) or 1.0))

    def _transform(self, rows, shape):
        pixels = _to_floats(rows)
        if self.to == "column_l2":
            images = to_images(pixels, shape)
            norms = np.linalg.norm(images.astype(np.float64), axis=2, keepdims=True)
            scaled = images / np.where(norms > 0, norms, 1)
            return _round(scaled.reshape(len(rows), -1)[:, : rows.shape[1]], rows)
        for channel, offset, scale in self._iterate_channels(pixels, shape):
            channel -= offset
            channel *= scale
            channel += self._get_low()
        return _round(pixels, rows)

    def _inverse_transform(self, rows, shape):
        pixels = _to_floats(rows)
        for channel, offset, scale in self._iterate_channels(pixels, shape):
            channel -= self._get_low()
            channel /= scale
            channel += offset
        return _round(pixels, rows)

    def _get_range(self):
        low, high = RANGES[self.to] if isinstance(self.to, str) else self.to
        return float(low), float(high)

    def _get_low(self):
        return 0.0 if self.to == "standard" else self._get_range()[0]

    def _iterate_channels(self, rows, shape):
        """Yield each channel of the rows, as a view, with its offset and scale."""
        channels = self._split_channels(rows, shape)
        return zip(channels, self.offset_, self.scale_, strict=True)

    @staticmethod
    def _split_channels(rows, shape):
        """Return the columns of each channel as views."""
        size = shape[1] * shape[2]
        return [rows[:, k * size : (k + 1) * size] for k in range(shape[0])]


def _to_floats(rows):
    """Return a copy of the rows in a floating-point data type for computations.

    In half precision, differences of pixels could overflow.
    """
    is_float = rows.dtype.kind == "f"
    return rows.astype(np.result_type(rows, np.float32) if is_float else np.float64)


def _round(pixels, rows):
    """Return computed pixels in the data type of the rows, if that is one of floats."""
    return pixels.astype(rows.dtype if rows.dtype.kind == "f" else np.float64, copy=False)
