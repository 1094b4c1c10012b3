"""The classifier and the images of an estimator or a pipeline."""

import math

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklenet.images.shapes import infer_image_shape, to_images


def get_final_estimator(estimator):
    """Return the final estimator of a fitted pipeline, or the fitted estimator itself."""
    check_is_fitted(estimator)
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def split_pipeline(estimator, X):
    """Return the fitted classifier, and X transformed by the preceding pipeline steps."""
    classifier = get_final_estimator(estimator)
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        X = estimator[:-1].transform(X)
    return classifier, X


def restore_columns(X, rows):
    """Return rows of pixels as a data frame with the columns of X if X is a data frame."""
    if hasattr(X, "iloc"):
        return type(X)(rows.reshape(len(rows), -1), columns=X.columns)
    return rows


def reshape_to_images(X, estimator=None) -> np.ndarray:
    """Reshape rows of pixels to images of shape (n, c, h, w); return images unchanged.

    Parameters
    ----------
    X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
    estimator : LeNet5Classifier or Pipeline, default=None
        A fitted estimator from which the shape of the images is taken, unless the steps of
        the pipeline change their size. If `None`, the shape is inferred from the number of
        features.

    Returns
    -------
    ndarray of shape (n, h, w) or (n, c, h, w)
    """
    X = np.asarray(X)
    if X.ndim > 2:
        return X
    shape = getattr(estimator and get_final_estimator(estimator), "image_shape_", None)
    if shape is None or math.prod(shape) != X.shape[1]:
        shape = infer_image_shape(X.shape[1])
    return to_images(X, shape)


def reshape_to_row(estimator, x):
    """Reshape one image to an X with a single row."""
    x = np.asarray(x)
    n_features = getattr(estimator, "n_features_in_", None)
    if n_features is not None and x.size != n_features:
        raise ValueError(
            f"x must be one image of {n_features} pixels. Got shape {x.shape}."
        )
    return x.reshape(1, -1)
