"""Base classes of the transformers of images."""

import math

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
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

    def _fit(self, rows, shape):
        largest = rows.max().item()
        if self.maximum is not None and largest > self.maximum:
            raise ValueError(
                f"The 'maximum' parameter of {type(self).__name__} is {self.maximum!r}, but"
                f" X has values up to {largest!r}."
            )
        self.maximum_ = largest if self.maximum is None else self.maximum

    def _get_maximum(self, rows):
        """Return the maximum that was passed or learnt.

        Raises
        ------
        ValueError
            If unsigned integers exceed it: their negatives cannot be represented.
        """
        maximum = getattr(self, "maximum_", self.maximum)
        if rows.dtype.kind == "u" and rows.max() > maximum:
            raise ValueError(
                f"X has values up to {rows.max()!r}, above the maximum {maximum!r} of"
                f" {type(self).__name__}: unsigned integers cannot hold the negative."
            )
        return maximum

    @staticmethod
    def _invert(rows, maximum):
        """Return `maximum` minus every pixel, in the data type of the pixels."""
        return np.subtract(maximum, rows, dtype=rows.dtype, casting="unsafe")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = self.maximum is None
        return tags
