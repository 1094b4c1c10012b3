"""The canvas: images as input of the network."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from sklenet.images.shapes import ImageShape

CANVAS = 32  # side length of the input of the 1998 network, in pixels
DIGIT = 28  # side length of the digit images centred on it, in pixels


@dataclass(frozen=True)
class Canvas:
    """Convert rows of pixels of any numeric type to float images on the network's canvas.

    Pixel values are mapped linearly, `low` and `high` to the ends of `feature_range`.
    Images whose sides are at most 14 pixels long are enlarged by the largest integer factor
    with which they fit into 28x28 pixels. All images are then centred on a canvas of 32x32
    pixels, or of their own size along sides that are longer. With `padding`, images keep
    their size and get a border of this width instead.

    Parameters
    ----------
    image_shape : tuple of int (channels, height, width)
        Shape of one image.
    low, high : float
        Minimum and maximum pixel value of the training data.
    feature_range : tuple of float or None
        Range to which pixel values are mapped. If None, they are unchanged, and the
        background is 0.
    padding : int, optional
        Width of the border around the images, instead of centring them on the canvas.
    """

    image_shape: ImageShape
    low: float = 0.0
    high: float = 1.0
    feature_range: tuple[float, float] | None = (0.0, 1.0)
    padding: int | None = None

    @property
    def factor(self) -> int:
        """Factor by which images are enlarged."""
        if self.padding is not None:
            return 1
        return max(1, DIGIT // max(self.image_shape[1:]))

    @property
    def shape(self) -> ImageShape:
        """Shape (channels, height, width) of the network's input."""
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
        """Rows and columns of the canvas that the image covers."""
        slices = []
        for side, canvas in zip(self.image_shape[1:], self.shape[1:], strict=True):
            start = (canvas - side * self.factor) // 2
            slices.append(slice(start, start + side * self.factor))
        return slices[0], slices[1]

    @property
    def background(self) -> float:
        """Value of the border."""
        return 0.0 if self.feature_range is None else self.feature_range[0]

    @property
    def limits(self) -> tuple[float, float]:
        """Values to which `low` and `high` are mapped."""
        return (self.low, self.high) if self.feature_range is None else self.feature_range

    @property
    def takes_bytes(self) -> bool:
        """Whether the training pixels seem to be from 0 to 255, like those of image files.

        Neither value needs to have occurred. The pixels of the embedded digits are from 0
        to 16, and other models may have been trained on values from 0 to 1.
        """
        return self.low >= 0 and 16 < self.high <= 255

    def from_bytes(self, pixels: np.ndarray) -> np.ndarray:
        """Map pixels of image files, from 0 to 255, to the range of the training pixels.

        Parameters
        ----------
        pixels : ndarray, uint8
            Pixels of image files.

        Returns
        -------
        ndarray of the same shape
            Pixels for `predict`, unchanged if `takes_bytes` is true.
        """
        if self.takes_bytes:
            return pixels
        return self.low + pixels / 255 * (self.high - self.low)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Convert rows (n, n_features) to images (n, channels, height, width)."""
        pixels = self.scale(rows)
        channels, height, width = self.image_shape
        n_missing = channels * height * width - pixels.shape[1]
        if n_missing:
            pixels = F.pad(pixels, (0, n_missing), value=self.background)
        images = pixels.view(-1, channels, height, width)
        if self.factor > 1:
            images = images.repeat_interleave(self.factor, dim=2)
            images = images.repeat_interleave(self.factor, dim=3)
        _, canvas_height, canvas_width = self.shape
        rows_slice, columns_slice = self.interior
        border = (
            columns_slice.start,
            canvas_width - columns_slice.stop,
            rows_slice.start,
            canvas_height - rows_slice.stop,
        )
        return F.pad(images, border, value=self.background)

    def scale(self, rows: torch.Tensor) -> torch.Tensor:
        """Map pixel values of any numeric type to `feature_range`, as float32."""
        # Wide types are rounded to float32 only after the minimum has been subtracted: a
        # large offset would take all of its precision.
        is_wide = rows.dtype.itemsize > 2 and rows.dtype != torch.float32
        pixels = rows.to(torch.float64 if is_wide else torch.float32)
        if self.feature_range is not None:
            # Halve the values first: the difference of two finite numbers can overflow.
            half_low, half_span = self.low / 2, self.high / 2 - self.low / 2
            pixels = (pixels / 2 - half_low) / (half_span or 1.0)
            if self.feature_range != (0.0, 1.0):
                darkest, brightest = self.feature_range
                pixels = pixels * (brightest - darkest) + darkest
        return pixels.float()
