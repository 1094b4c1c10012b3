"""Minibatches from whole tensors, converted to floats one batch at a time."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from sklenet.images.canvas import Canvas

# numpy types that torch lacks or cannot index, and a type that holds all their values.
_WIDER = {"u2": "i4", "u4": "i8", "u8": "f8", "f16": "f8", "g": "f8"}


class _Unlocked:
    """A read-only array that claims to be writable, because torch warns of others.

    Nothing writes to the pixels, and copying a memory map to avoid a warning is too costly.
    """

    def __init__(self, X: np.ndarray) -> None:
        self.locked = X  # keeps the memory alive
        interface = X.__array_interface__
        self.__array_interface__ = interface | {"data": (interface["data"][0], False)}


def as_tensor(X: np.ndarray) -> torch.Tensor:
    """Return `X` as a tensor, sharing its memory where torch has the type."""
    kind = X.dtype.newbyteorder("=")
    kind = np.dtype(_WIDER.get(kind.str[1:], kind))
    X = X.astype(kind, copy=False)
    if any(stride < 0 or stride % X.itemsize for stride in X.strides):
        X = X.copy()
    if not X.flags.writeable:
        X = np.asarray(_Unlocked(X))
    return torch.from_numpy(X)


class ImageDataset(Dataset):
    """Rows of pixels, labels and weights of samples, and the canvas for the images.

    Parameters
    ----------
    pixels : tensor of shape (n, features)
        Of any numeric type; kept as it is.
    canvas : Canvas
    labels : tensor of shape (n,), optional
        Indices of classes, from 0.
    weights : tensor of shape (n,), optional
        If None, all samples have the same weight.
    rows : tensor of int, optional
        Indices of the samples that belong to the dataset. If None, all do.
    """

    def __init__(
        self,
        pixels: torch.Tensor,
        canvas: Canvas,
        labels: torch.Tensor | None = None,
        weights: torch.Tensor | None = None,
        rows: torch.Tensor | None = None,
    ) -> None:
        self.pixels = pixels
        self.canvas = canvas
        self.labels = labels
        self.weights = weights
        self.rows = rows

    def __len__(self) -> int:
        return len(self.pixels if self.rows is None else self.rows)

    def select(self, rows: np.ndarray) -> "ImageDataset":
        """Return a dataset of other rows of the same tensors, without copying them."""
        index = torch.as_tensor(rows).to(self.pixels.device)
        return ImageDataset(self.pixels, self.canvas, self.labels, self.weights, index)

    def __getitem__(self, index: torch.Tensor | slice):
        """Return (images, (labels, weights)) at `index`, ready for the network."""
        if self.rows is not None:
            index = self.rows[index]
        labels = None if self.labels is None else self.labels[index]
        weights = None if self.weights is None else self.weights[index]
        return self.canvas(self.pixels[index]), (labels, weights)


class Batches:
    """Iterate over a dataset in batches, in a new random order each time or in its own.

    It takes the place of ``torch.utils.data.DataLoader``, which fetches samples one by one
    and advances torch's global generator.

    Parameters
    ----------
    dataset : ImageDataset
    batch_size : int
    seed : int or None
        Seed of the random orders. If None, the order is that of the dataset.
    augment : callable, optional
        Function that changes the images of each batch.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        batch_size: int,
        seed: int | None = None,
        augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.augment = augment
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def order(self) -> torch.Tensor:
        """Return the positions of all images in a new order, or in the dataset's own."""
        n = len(self.dataset)
        if self.generator is None:
            return torch.arange(n)
        return torch.randperm(n, generator=self.generator)

    def __iter__(self) -> Iterator[tuple]:
        n = len(self.dataset)
        if self.generator is None:
            for start in range(0, n, self.batch_size):
                yield self.take(slice(start, start + self.batch_size))
        else:
            order = self.order().to(self.dataset.pixels.device)
            for index in order.split(self.batch_size):
                yield self.take(index)

    def take(self, index: torch.Tensor | slice) -> tuple:
        """Return the batch of images, and (labels, weights), at some positions."""
        images, y = self.dataset[index]
        return (self.augment(images) if self.augment else images), y


def has_bytes(dataset: ImageDataset) -> bool:
    """Return whether `ByteImages` can be used: pixels are bytes in memory, row by row."""
    pixels = dataset.pixels
    return (
        pixels.dtype == torch.uint8
        and pixels.device.type == "cpu"
        and pixels.is_contiguous()
    )


class ByteImages:
    """Images of bytes, which compiled kernels put on the canvas.

    Parameters
    ----------
    dataset : ImageDataset
        It `has_bytes`.
    kernels : module

    Attributes
    ----------
    shape : tuple of int (channels, height, width)
    rows : ndarray of int
        Rows of ``dataset.pixels``: the images of a batch.
    """

    def __init__(self, dataset: ImageDataset, kernels: Any) -> None:
        canvas = dataset.canvas
        self.kernels, self.shape = kernels.images, canvas.shape
        self.rows = np.empty(0, np.int64)
        self._pixels = dataset.pixels.numpy()
        self._values, self._source = _tabulate(canvas, self._pixels.shape[1])
        self._background = canvas.background

    def write(self, here: slice, out: np.ndarray) -> None:
        """Write a part of the batch to an array of shape (n_canvas_pixels, n)."""
        self._run(self.kernels.gather_images, here, out)

    def place(self, out: np.ndarray) -> None:
        """Write the batch to an array of shape (n, n_canvas_pixels)."""
        self._run(self.kernels.place_images, slice(None), out)

    def _run(self, kernel: Any, here: slice, out: np.ndarray) -> None:
        kernel(
            self._pixels,
            self.rows[here],
            self._source,
            self._values,
            self._background,
            out,
        )


class PlacedImages:
    """Images on the canvas, one after the other.

    Parameters
    ----------
    images : ndarray of float32 of shape (n, channels, height, width)
    kernels : module
    """

    def __init__(self, images: np.ndarray, kernels: Any) -> None:
        self.kernels, self.shape = kernels.images, images.shape[1:]
        self._images = images.reshape(len(images), -1)

    def write(self, here: slice, out: np.ndarray) -> None:
        """Write a part of the batch to an array of shape (n_canvas_pixels, n)."""
        self.kernels.transpose(self._images[here], out)


@functools.lru_cache(maxsize=64)  # a classifier may have ten views
def _tabulate(canvas: Canvas, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the value of each byte on the canvas, and the feature that each pixel shows.

    Pixels of the border show the feature -1.
    """
    values = canvas.scale(torch.arange(256, dtype=torch.uint8))
    numbers = torch.arange(1, n_features + 1, dtype=torch.float64)[None]
    source = replace(canvas, feature_range=None)(numbers)
    return values.numpy(), source.numpy().ravel().astype(int) - 1


def equal_batches(dataset: ImageDataset, size: int) -> Iterator[tuple[torch.Tensor, int]]:
    """Yield all images in batches of exactly `size`, and the number of valid ones in each.

    All batches are one tensor, which is overwritten from its beginning. On a CPU its
    channels are last, because convolution and pooling are then faster.
    """
    canvas, device = dataset.canvas, dataset.pixels.device
    last = device.type == "cpu"
    order = torch.channels_last if last else torch.contiguous_format
    batch = torch.empty((size, *canvas.shape), device=device, memory_format=order).zero_()
    for images, _ in Batches(dataset, size):
        batch[: len(images)] = images
        yield batch, len(images)
