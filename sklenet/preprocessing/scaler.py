"""Pixels in other ranges."""

import math
from numbers import Real

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklenet.images.shapes import to_images
from sklenet.preprocessing.base import ImageTransformer

RANGES = {"unit": (0.0, 1.0), "signed": (-1.0, 1.0), "lecun1998": (-0.1, 1.175)}


class PixelScaler(OneToOneFeatureMixin, ImageTransformer):
    """Scale pixels to a range, to zero mean and unit variance, or columns to unit norm.

    Parameters
    ----------
    to : {"unit", "signed", "lecun1998", "standard", "column_l2"} or tuple (low, high), \
            default="unit"
        A range, to which the smallest and the largest pixel of X in `fit` are mapped:
        "unit" is 0 to 1, "signed" -1 to 1, "lecun1998" the -0.1 (background) to 1.175
        (foreground) of the paper, which bring the mean of its digits near 0.
        Or "standard": each channel less its mean, over its standard deviation. Or
        "column_l2": each column of each image over its own Euclidean norm, where that is
        not 0.
    image_shape : tuple of int (h, w) or (c, h, w), default=None
        The shape of one image where X is flat; None finds it.

    Attributes
    ----------
    offset_, scale_ : ndarray of shape (channels,)
        Pixels become ``(x - offset_) * scale_ + low``, where low is the range's lower
        end, and 0 for "standard"; not there for "column_l2".
    image_shape_ : tuple of int (c, h, w)
    n_features_in_ : int

    References
    ----------
    LeCun et al. 1998, section II.B, for its range.

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

    def _range(self):
        low, high = RANGES[self.to] if isinstance(self.to, str) else self.to
        return float(low), float(high)

    def fit(self, X, y=None):
        """Learn the range, or the mean and deviation of each channel.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
        y : None
            Ignored.

        Returns
        -------
        self : PixelScaler

        Raises
        ------
        ValueError
            If `to` is neither a name nor two numbers, the lower one first.
        """
        self._validate_params()
        if not isinstance(self.to, str) and not (
            len(self.to) == 2
            and all(isinstance(end, Real) and math.isfinite(end) for end in self.to)
            and self.to[0] < self.to[1]
        ):
            raise ValueError(
                "The 'to' parameter of PixelScaler must be a name or two numbers, the"
                f" lower one first. Got {self.to!r} instead."
            )
        rows, shape, _ = self._read(X, reset=True)
        self.image_shape_ = shape
        if self.to == "standard":
            channels = self._channels(rows)
            self.offset_ = np.array([c.mean(dtype=np.float64) for c in channels])
            spread = np.array([c.std(dtype=np.float64) for c in channels])
            self.scale_ = 1 / np.where(spread > 0, spread, 1)
        elif self.to != "column_l2":
            low, high = self._range()
            smallest, largest = float(rows.min()), float(rows.max())
            spread = np.full(shape[0], (largest - smallest) or 1.0)
            self.offset_ = np.full(shape[0], smallest)
            self.scale_ = (high - low) / spread
        return self

    def _channels(self, rows):
        """Return each channel's part of the columns."""
        size = self.image_shape_[1] * self.image_shape_[2]
        return [rows[:, k * size : (k + 1) * size] for k in range(self.image_shape_[0])]

    def _floats(self, rows):
        return rows.astype(rows.dtype if rows.dtype.kind == "f" else np.float64)

    def transform(self, X):
        """Return X scaled.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)

        Returns
        -------
        ndarray
            Of the shape of X; of its type if that is floating, else float64.
        """
        check_is_fitted(self)
        rows, shape, n_axes = self._read(X, reset=False)
        scaled = self._floats(rows)
        if self.to == "column_l2":
            images = to_images(scaled, shape)
            norms = np.sqrt((images**2).sum(axis=2, keepdims=True))
            scaled = images / np.where(norms > 0, norms, 1)
            scaled = scaled.reshape(len(rows), -1)[:, : rows.shape[1]]
        else:
            low = 0.0 if self.to == "standard" else self._range()[0]
            for channel, offset, scale in self._each(scaled):
                channel -= offset
                channel *= scale
                channel += low
        return self._give_back(scaled, shape, n_axes)

    @available_if(lambda self: self.to != "column_l2")
    def inverse_transform(self, X):
        """Return pixels in the original range; "column_l2", which forgets it, has none.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)

        Returns
        -------
        ndarray
            Of the shape of X; of its type if that is floating, else float64.
        """
        check_is_fitted(self)
        rows, shape, n_axes = self._read(X, reset=False)
        original = self._floats(rows)
        low = 0.0 if self.to == "standard" else self._range()[0]
        for channel, offset, scale in self._each(original):
            channel -= low
            channel /= scale
            channel += offset
        return self._give_back(original, shape, n_axes)

    def _each(self, rows):
        return zip(self._channels(rows), self.offset_, self.scale_, strict=True)
