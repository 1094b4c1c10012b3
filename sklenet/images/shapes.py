"""The shape of images that are passed in as rows of pixels."""

import math
from numbers import Integral

import numpy as np

from sklenet.images.containers import as_array

ImageShape = tuple[int, int, int]


def flatten_images(X, image_shape: ImageShape | None = None):
    """Return X as rows of pixels, and the shape of one image if it is known.

    Parameters
    ----------
    X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
        Arrays, data frames, tensors, or sequences of arrays, tensors or images of Pillow.
    image_shape : tuple (c, h, w), optional
        The shape of one image, if it is known.

    Returns
    -------
    X : array-like of shape (n, features)
        Two-dimensional input is returned as it is.
    shape : tuple (c, h, w) or None

    Raises
    ------
    TypeError
        If X is a dataset, an iterator or a mapping.
    ValueError
        If X holds images of another shape than `image_shape`, or of several shapes, has its
        channels last, or is a single image.
    """
    X = as_array(X)
    if getattr(X, "ndim", 2) not in (3, 4):
        # Tables of two or three features are images of two rows, filled up.
        if image_shape is not None and image_shape[0] == 1 and image_shape[1] > 2:
            _refuse_single_image(X, image_shape)
        return X, image_shape
    shape = (1, *X.shape[1:]) if X.ndim == 3 else tuple(X.shape[1:])
    if X.ndim == 3 and image_shape not in (None, shape):
        _refuse_single_image(X, image_shape)
    if shape != image_shape and shape[2] in (1, 3, 4) and shape[0] > 4:
        raise ValueError(
            f"X has shape {X.shape}: it looks like images with the channels last. Expected"
            " (n, channels, height, width); X.transpose(0, 3, 1, 2) gives it."
        )
    if image_shape is not None and shape != image_shape:
        raise ValueError(
            f"X has shape {X.shape}, images of {_times(shape)}, but image_shape is"
            f" {_times(image_shape)} (channels x height x width)."
        )
    return X.reshape(len(X), math.prod(shape)), shape


def _refuse_single_image(X, image_shape: ImageShape) -> None:
    """Raise a ValueError if X has the shape of one image instead of several."""
    channels, height, width = image_shape
    remedies = {
        (height, width): "X[None]",
        (channels, height, width): "X[None]",
        (height, width, channels): "X.transpose(2, 0, 1)[None]",
    }
    shape = tuple(getattr(X, "shape", ()))
    if shape in remedies:
        raise ValueError(
            f"X has shape {shape}, that of one image of {_times(image_shape)} (channels x"
            f" height x width). Expected several images: {remedies[shape]} makes a batch of"
            " one."
        )


def check_image_shape(image_shape, owner="LeNet5Classifier") -> ImageShape | None:
    """Return the parameter `image_shape` as (c, h, w)."""
    if image_shape is None:
        return None
    shape = tuple(image_shape)
    if len(shape) not in (2, 3) or not all(
        isinstance(side, Integral) and int(side) > 0 for side in shape
    ):
        raise ValueError(
            f"The 'image_shape' parameter of {owner} must be None or 2 or 3"
            " positive integers, (height, width) or (channels, height, width). Got"
            f" {image_shape!r} instead."
        )
    channels = int(shape[0]) if len(shape) == 3 else 1
    return (channels, int(shape[-2]), int(shape[-1]))


def infer_image_shape(n_features: int) -> ImageShape:
    """Return the (c, h, w) that rows of `n_features` pixels are read as.

    A square grey image where `n_features` is a square, a square RGB image where it is
    three times one, else the next larger square, to be filled up.
    """
    side = math.isqrt(n_features)
    if side * side == n_features:
        return (1, side, side)
    if n_features % 3 == 0 and math.isqrt(n_features // 3) ** 2 == n_features // 3:
        colour_side = math.isqrt(n_features // 3)
        # Three to a dozen features are a table rather than a tiny picture.
        if colour_side > 2:
            return (3, colour_side, colour_side)
    return (1, side + 1, side + 1)


def to_images(rows: np.ndarray, shape: ImageShape) -> np.ndarray:
    """Return rows of pixels as images (n, c, h, w), filled up with zeros."""
    missing = math.prod(shape) - rows.shape[1]
    if missing:
        rows = np.pad(rows, ((0, 0), (0, missing)))
    return rows.reshape(-1, *shape)


def make_pixel_names(shape: tuple[int, ...]) -> list[str]:
    """Return a name for each pixel of an image, such as "pixel_0_27"."""
    return [f"pixel_{'_'.join(map(str, index))}" for index in np.ndindex(*shape)]


def _times(shape) -> str:
    return "x".join(map(str, shape))
