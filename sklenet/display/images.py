"""What the displays share: images, and where they are drawn."""

import math

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklenet.images.shapes import infer_image_shape, to_images


def last_step(estimator):
    """Return the fitted classifier at the end of a pipeline, or the estimator itself."""
    check_is_fitted(estimator)
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def to_classifier(estimator, X):
    """Return the fitted classifier, and X as it reaches it through a pipeline's steps."""
    classifier = last_step(estimator)
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        X = estimator[:-1].transform(X)
    return classifier, X


def like(X, rows):
    """Return rows of pixels with the names of columns that X has, if it has any."""
    if hasattr(X, "iloc"):
        return type(X)(rows.reshape(len(rows), -1), columns=X.columns)
    return rows


def subdivide(ax, n_rows, n_columns, size, **spec):
    """Return `ax`, or that of a new figure of `size`, and axes in rows and columns in it.

    Frames and ticks are off; what is drawn into one may turn them on again.
    """
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=size, layout="constrained")
    ax.set_axis_off()
    place = ax.get_subplotspec()
    if place is None:  # axes that were put somewhere by hand
        box = ax.get_position()
        spec |= {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
        grid = ax.figure.add_gridspec(n_rows, n_columns, **spec)
    else:
        grid = place.subgridspec(n_rows, n_columns, **spec)
    axes = grid.subplots(squeeze=False)
    for part in axes.flat:
        part.set_axis_off()
    return ax, axes


def as_images(X, estimator=None) -> np.ndarray:
    """Return flat rows as the images (n, c, h, w) they are read as; images as they are.

    A fitted estimator may know their shape, unless its pipeline changes their size.
    """
    X = np.asarray(X)
    if X.ndim > 2:
        return X
    shape = getattr(estimator and last_step(estimator), "image_shape_", None)
    if shape is None or math.prod(shape) != X.shape[1]:
        shape = infer_image_shape(X.shape[1])
    return to_images(X, shape)


def show_image(ax, image, limits=(None, None)) -> None:
    """Draw an image (h, w) or (c, h, w), grey from dark to bright or in colour.

    `limits` are the pixels that are black and white; None: the image's own.
    """
    image = np.asarray(image)
    if image.ndim == 3:
        image = image[0] if len(image) != 3 else image.transpose(1, 2, 0)
    if image.ndim == 3 and image.dtype.kind == "f":
        image = (image - image.min()) / ((image.max() - image.min()) or 1)
    low, high = limits
    ax.imshow(image, cmap="gray", interpolation="nearest", vmin=low, vmax=high)
