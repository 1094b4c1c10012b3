"""Images as scikit-learn has them: the shape of flat rows, and the network's canvas."""

import math
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from torch.nn import functional as F

from sklenet.inputs import as_array

ImageShape = tuple[int, int, int]

CANVAS = 32  # the side of the 1998 network's input
DIGIT = 28  # the side of the digits centred on it


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


def pixel_names(shape: tuple[int, ...]) -> list[str]:
    """Return a name for each pixel of an image, such as "pixel_0_27"."""
    return [f"pixel_{'_'.join(map(str, index))}" for index in np.ndindex(*shape)]


def _times(shape) -> str:
    return "x".join(map(str, shape))


@dataclass(frozen=True)
class Canvas:
    """Rows of pixels of any numeric type to float images on the network's canvas.

    Pixels are mapped linearly, `low` and `high` to the ends of `feature_range`. Images of
    at most half of 28x28 are enlarged by the largest whole factor that still fits, then
    all are centred on 32x32, or as much more as they need, in a border of background. With
    a `padding` they are neither: they keep their size, in a border of so many pixels.

    Parameters
    ----------
    image_shape : tuple (channels, height, width)
    low, high : float
        The smallest and the largest pixel value of the training data.
    feature_range : tuple of float, or None
        None leaves pixels as they are, on a background of 0.
    padding : int, optional
        The width of the border, instead of the 32x32 canvas.
    """

    image_shape: ImageShape
    low: float = 0.0
    high: float = 1.0
    feature_range: tuple[float, float] | None = (0.0, 1.0)
    padding: int | None = None

    @property
    def factor(self) -> int:
        """How many times each pixel is repeated in each direction."""
        if self.padding is not None:
            return 1
        return max(1, DIGIT // max(self.image_shape[1:]))

    @property
    def shape(self) -> ImageShape:
        """(channels, height, width) of what the network sees."""
        channels, height, width = self.image_shape
        if self.padding is not None:
            return (channels, height + 2 * self.padding, width + 2 * self.padding)
        return (
            channels,
            max(CANVAS, height * self.factor),
            max(CANVAS, width * self.factor),
        )

    @property
    def interior(self) -> tuple[slice, slice]:
        """The rows and the columns of the canvas that the image takes up."""
        slices = []
        for side, canvas in zip(self.image_shape[1:], self.shape[1:], strict=True):
            start = (canvas - side * self.factor) // 2
            slices.append(slice(start, start + side * self.factor))
        return slices[0], slices[1]

    @property
    def background(self) -> float:
        """The value of the border."""
        return 0.0 if self.feature_range is None else self.feature_range[0]

    @property
    def span(self) -> float:
        """The difference between the brightest pixel and the background."""
        if self.feature_range is None:
            return self.high
        return self.feature_range[1] - self.feature_range[0]

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Return `rows`, of shape (n, features), as (n, channels, height, width)."""
        # Wide types are centred before they are rounded to float32: a large offset would
        # otherwise swallow the picture.
        wide = rows.dtype.itemsize > 2 and rows.dtype != torch.float32
        pixels = rows.to(torch.float64 if wide else torch.float32)
        if self.feature_range is not None:
            # In halves, so that no difference between finite numbers overflows.
            half_low, half_span = self.low / 2, self.high / 2 - self.low / 2
            pixels = (pixels / 2 - half_low) / (half_span or 1.0)
            if self.feature_range != (0.0, 1.0):
                pixels = pixels * self.span + self.background
        pixels = pixels.float()

        channels, height, width = self.image_shape
        missing = channels * height * width - pixels.shape[1]
        if missing:
            pixels = F.pad(pixels, (0, missing), value=self.background)
        images = pixels.view(-1, channels, height, width)
        if self.factor > 1:
            images = images.repeat_interleave(self.factor, dim=2)
            images = images.repeat_interleave(self.factor, dim=3)
        _, canvas_height, canvas_width = self.shape
        rows_taken, columns_taken = self.interior
        border = (
            columns_taken.start,
            canvas_width - columns_taken.stop,
            rows_taken.start,
            canvas_height - rows_taken.stop,
        )
        return F.pad(images, border, value=self.background)
