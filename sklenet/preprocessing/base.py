"""What the transformers of images share."""

import math

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import validate_data

from sklenet.images.shapes import check_image_shape, flatten_images, infer_image_shape


class ImageTransformer(TransformerMixin, BaseEstimator):
    """Rows of pixels in and out, whatever the shape of X."""

    def _read(self, X, *, reset):
        """Return X as checked rows, the shape of one image, and X's number of axes."""
        given = check_image_shape(getattr(self, "image_shape", None), type(self).__name__)
        known = given if reset else getattr(self, "image_shape_", given)
        rows, shape = flatten_images(X, known)
        n_axes = 2 if rows is X else np.ndim(X)
        rows = validate_data(self, rows, dtype="numeric", reset=reset)
        if shape is None:
            shape = infer_image_shape(rows.shape[1])
        elif math.prod(shape) < rows.shape[1]:
            raise ValueError(
                f"The 'image_shape' parameter of {type(self).__name__} is {shape}, that is"
                f" {math.prod(shape)} pixels, but X has {rows.shape[1]} features."
            )
        return rows, shape, n_axes

    @staticmethod
    def _give_back(pixels, shape, n_axes):
        """Return pixels, rows or images, in the form that X had."""
        if n_axes == 2:
            return pixels.reshape(len(pixels), -1)
        return pixels.reshape(-1, *(shape[1:] if n_axes == 3 else shape))
