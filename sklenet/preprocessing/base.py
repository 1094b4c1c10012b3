"""Base classes of the transformers of images, and conversions of data types."""

import math
from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from sklenet.images.shapes import check_image_shape, flatten_images, infer_image_shape


class ImageTransformer(TransformerMixin, BaseEstimator):
    """Base class of the transformers, which convert X to rows of pixels and back.

    Subclasses implement `_transform`, and `_fit` if they learn something.
    """

    def fit(self, X, y=None):
        """Check the parameters and learn from X.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, h, w) or (n, c, h, w)
            Images.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted transformer.
        """
        self._validate_params()
        rows, self.image_shape_, _ = self._to_rows(X, reset=True)
        self._fit(rows, self.image_shape_)
        return self

    def transform(self, X):
        """Transform images.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, h, w) or (n, c, h, w)
            Images.

        Returns
        -------
        ndarray
            Transformed images, with as many axes as X.
        """
        return self._apply(self._transform, X)

    def _fit(self, rows, shape):
        """Learn from rows of pixels, of images of this shape (c, h, w)."""

    def _transform(self, rows, shape):
        """Return transformed rows of pixels, or images of shape (n, c, h, w)."""
        raise NotImplementedError

    def _apply(self, function, X):
        """Return the result of a function such as `_transform`, in the form of X."""
        check_is_fitted(self)
        self._validate_params()
        rows, shape, n_axes = self._to_rows(X, reset=False)
        pixels = function(rows, shape)
        if n_axes == 2:
            return pixels.reshape(len(pixels), -1)
        if pixels.ndim == 4:
            shape = pixels.shape[1:]
        return pixels.reshape(-1, *(shape[1:] if n_axes == 3 else shape))

    def _to_rows(self, X, *, reset):
        """Return X as validated rows, the shape (c, h, w) of an image, and X's n_axes."""
        owner = type(self).__name__
        given = check_image_shape(getattr(self, "image_shape", None), owner)
        known = given if reset else getattr(self, "image_shape_", given)
        rows, shape = flatten_images(X, known)
        n_axes = 2 if rows is X else np.ndim(X)
        rows = validate_data(self, rows, dtype="numeric", reset=reset)
        if shape is None:
            shape = infer_image_shape(rows.shape[1])
        elif math.prod(shape) < rows.shape[1]:
            raise ValueError(
                f"The 'image_shape' parameter of {owner} is {shape}, which is"
                f" {math.prod(shape)} pixels, but X has {rows.shape[1]} features."
            )
        return rows, shape, n_axes


class MaximumTransformer(OneToOneFeatureMixin, ImageTransformer):
    """Base class of the transformers with a parameter `maximum`, the value of white.

    If it is None, `fit` learns it. Otherwise nothing is learnt, and `fit` is not needed.
    """

    _parameter_constraints: dict = {
        "maximum": [Interval(Real, None, None, closed="neither"), None]
    }

    def _fit(self, rows, shape):
        # The negative of a boolean image is one whether it has a white pixel or not.
        largest = 1 if rows.dtype.kind == "b" else rows.max().item()
        maximum = largest if self.maximum is None else to_python(self.maximum)
        if largest > maximum:
            raise ValueError(
                f"The 'maximum' parameter of {type(self).__name__} is {maximum!r}, but"
                f" X has values up to {largest!r}."
            )
        self._check_negatives(rows, maximum)
        self.maximum_ = maximum

    def _get_maximum(self, rows):
        """Return the maximum that was passed or learnt.

        Raises
        ------
        ValueError
            If the data type of the rows cannot hold their negatives.
        """
        maximum = to_python(getattr(self, "maximum_", self.maximum))
        self._check_negatives(rows, maximum)
        return maximum

    def _check_negatives(self, rows, maximum):
        """Raise a ValueError if the data type of the rows cannot hold their negatives."""
        owner, dtype = type(self).__name__, rows.dtype
        if not fits_dtype(maximum, dtype) or (dtype.kind == "b" and maximum != 1):
            what = "'maximum' parameter" if self.maximum is not None else "learnt maximum_"
            right = "1" if dtype.kind == "b" else describe_values(dtype)
            raise ValueError(
                f"The {what} of {owner} is {maximum!r}, but for X of the data type {dtype}"
                f" it must be {right}."
            )
        if dtype.kind not in "iu":
            return
        low, high = int(rows.min()), int(rows.max())
        least, most = _find_limits(dtype)
        if maximum - high < least or maximum - low > most:
            values = f"up to {high}" if maximum < high else f"down to {low}"
            raise ValueError(
                f"X has values {values}: its data type {dtype} cannot hold their negatives"
                f" with the maximum {maximum!r} of {owner}. Convert X to another data type."
            )

    @staticmethod
    def _invert(rows, maximum):
        """Return `maximum` minus every pixel, in the data type of the pixels."""
        if rows.dtype.kind == "b":
            return ~rows
        whole = int(maximum) if rows.dtype.kind in "iu" else maximum
        return np.subtract(whole, rows, dtype=rows.dtype)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = self.maximum is None
        return tags


def to_python(number):
    """Return a number without the limits of numpy's types: 200 - np.uint8(255) is 201."""
    return number.item() if isinstance(number, np.generic) else number


def fits_dtype(value, dtype):
    """Return whether a data type of pixels has this value, or for floats a nearby one."""
    low, high = _find_limits(dtype)
    return low <= value <= high and (dtype.kind == "f" or value == int(value))


def describe_values(dtype):
    """Describe the values that a data type of pixels can hold, for messages."""
    low, high = _find_limits(dtype)
    kind = "a number" if dtype.kind == "f" else "a whole number"
    return "0 or 1" if dtype.kind == "b" else f"{kind} from {low} to {high}"


def _find_limits(dtype):
    """Return the smallest and the largest value of a data type of pixels."""
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def restore_dtype(pixels, dtype):
    """Return computed pixels in a data type, rounded and clipped unless it is a float.

    Parameters
    ----------
    pixels : ndarray of float
        Computed from pixels of the data type.
    dtype : dtype
        Data type of the result.
    """
    if dtype.kind == "b":
        return pixels.round().astype(bool)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        highest = pixels.dtype.type(limits.max)
        if int(highest) > limits.max:  # a float has fewer digits: it was rounded up
            highest = np.nextafter(highest, pixels.dtype.type(0))
        pixels = pixels.round().clip(limits.min, highest)
    return pixels.astype(dtype, copy=False)
