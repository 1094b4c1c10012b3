"""The canvas: images as the network sees them."""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from sklenet.images.shapes import ImageShape

CANVAS = 32  # side length in pixels of the 1998 network's input
DIGIT = 28  # side length in pixels of the digits centred on it


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
