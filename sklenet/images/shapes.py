"""The shape of images that are passed in as rows of pixels."""

import math
from numbers import Integral

import numpy as np

from sklenet.images.containers import as_array

ImageShape = tuple[int, int, int]


def flatten_images(X, image_shape: ImageShape | None = None):
    """Convert images to rows of pixels.

    Parameters
    ----------
    X : array-like of shape (n, n_features), (n, h, w) or (n, c, h, w)
        Images as an array, a data frame, a tensor, or a sequence of arrays, tensors or
        Pillow images.
    image_shape : tuple of int (c, h, w), optional
        Shape of one image, if it is known.

    Returns
    -------
    X : array-like of shape (n, n_features)
        Rows of pixels. Two-dimensional input is returned unchanged.
    shape : tuple of int (c, h, w) or None
        Shape of one image. None if X is two-dimensional and `image_shape` is None.

    Raises
    ------
    TypeError
        If X is a dataset, an iterator or a mapping.
    ValueError
        If X has images of another shape than `image_shape` or of several shapes, has the
        channels as its last axis, or is a single image.
    """
    X = as_array(X)
    if getattr(X, "ndim", 2) not in (3, 4):
        # Two features are read as an image of 2x2 pixels: X of shape (2, 2) is then two
        # samples rather than one image.
        if image_shape is not None and image_shape[0] == 1 and image_shape[1] > 2:
            _check_not_single_image(X, image_shape)
        return X, image_shape
    shape = (1, *X.shape[1:]) if X.ndim == 3 else tuple(X.shape[1:])
    if X.ndim == 3 and image_shape not in (None, shape):
        _check_not_single_image(X, image_shape)
    if shape != image_shape and shape[2] in (1, 3, 4) and shape[0] > 4:
        raise ValueError(
            f"X has shape {X.shape}: it looks like images with the channels last. Expected"
            " (n, channels, height, width). Use X.transpose(0, 3, 1, 2)."
        )
    if image_shape is not None and shape != image_shape:
        raise ValueError(
            f"X has shape {X.shape}, images of {_format_shape(shape)}, but image_shape is"
            f" {_format_shape(image_shape)} (channels x height x width)."
        )
    return X.reshape(len(X), math.prod(shape)), shape


def _check_not_single_image(X, image_shape: ImageShape) -> None:
    """Raise a ValueError if X has the shape of one image instead of a batch of images."""
    channels, height, width = image_shape
    remedies = {
        (height, width): "X[None]",
        (channels, height, width): "X[None]",
        (height, width, channels): "X.transpose(2, 0, 1)[None]",
    }
    shape = tuple(getattr(X, "shape", ()))
    if shape in remedies:
        raise ValueError(
            f"X has shape {shape}, which is one image of {_format_shape(image_shape)}"
            f" (channels x height x width). Expected several images: use {remedies[shape]}"
            " for a batch of one."
        )


def check_image_shape(image_shape, owner="LeNet5Classifier") -> ImageShape | None:
    """Validate the `image_shape` parameter of `owner` and return it as (c, h, w)."""
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
    """Return the image shape (c, h, w) that is assumed for rows of `n_features` pixels.

    It is a square grey image if `n_features` is a square number, and a square RGB image if
    it is three times a square number. Otherwise it is the next larger square grey image,
    whose missing pixels are filled with the background.
    """
    side = math.isqrt(n_features)
    if side * side == n_features:
        return (1, side, side)
    if n_features % 3 == 0 and math.isqrt(n_features // 3) ** 2 == n_features // 3:
        rgb_side = math.isqrt(n_features // 3)
        # 3 or 12 features are more likely a table than an RGB image of 1x1 or 2x2 pixels.
        if rgb_side > 2:
            return (3, rgb_side, rgb_side)
    return (1, side + 1, side + 1)


def to_images(rows: np.ndarray, shape: ImageShape) -> np.ndarray:
    """Convert rows of pixels to images (n, c, h, w); missing pixels are 0."""
    n_missing = math.prod(shape) - rows.shape[1]
    if n_missing:
        rows = np.pad(rows, ((0, 0), (0, n_missing)))
    return rows.reshape(-1, *shape)


def make_pixel_names(shape: tuple[int, ...]) -> list[str]:
    """Return a name for each pixel of an image, such as "pixel_0_27"."""
    return [f"pixel_{'_'.join(map(str, index))}" for index in np.ndindex(*shape)]


def _format_shape(shape) -> str:
    return "x".join(map(str, shape))
