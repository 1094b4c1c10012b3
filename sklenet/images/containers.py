"""Conversion of images and labels in various containers to arrays."""

import os
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import sparse
from skorch.helper import SliceDataset
from torch.utils.data import DataLoader, Dataset, IterableDataset

# Pillow modes whose values are pixels, rather than palette indices, and without alpha.
_PIXEL_MODES = ("1", "L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N", "RGB")

_NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)

# Types of samples in a sequence that are not rows of numbers.
_SAMPLE_TYPES = (Image.Image, np.ndarray, torch.Tensor, str, bytes, os.PathLike)


def as_array(X: Any) -> Any:
    """Convert containers that numpy cannot convert to an array.

    These are torch tensors, sequences of tensors, arrays or Pillow images, and skorch's
    SliceDataset. Anything else is returned unchanged, to be validated by scikit-learn.

    Raises
    ------
    TypeError
        If X is a dataset, a data loader, an iterator or a mapping.
    ValueError
        If X is text, a single Pillow image, or has images of several sizes.
    """
    _check_is_array_like(X)
    if isinstance(X, torch.Tensor):
        return tensor_to_array(X)
    is_column = getattr(X, "ndim", 0) == 1 and isinstance(_first(X), _SAMPLE_TYPES)
    if is_column or isinstance(X, SliceDataset):
        X = list(X)
    if isinstance(X, list | tuple):
        return _sequence_to_array(X) if X else X
    return np.asarray(X) if getattr(X, "ndim", 2) > 2 else X


def as_labels(y: Any) -> Any:
    """Convert labels that scikit-learn does not accept.

    These are torch tensors, sequences of tensors, skorch's SliceDataset, and arrays of
    numbers with the data type object. Anything else is returned unchanged.
    """
    if isinstance(y, torch.Tensor):
        return tensor_to_array(y, "y")
    if isinstance(y, SliceDataset):
        y = list(y)
    if isinstance(y, list | tuple) and y and isinstance(y[0], torch.Tensor):
        return np.stack([tensor_to_array(torch.as_tensor(label), "y") for label in y])
    if str(getattr(y, "dtype", "")) == "object" and getattr(y, "ndim", 0) == 1:
        values = np.asarray(y).tolist()
        if all(isinstance(value, Real) for value in values):  # includes bool
            return np.array(values)
    return y


def tensor_to_array(tensor: torch.Tensor, name: str = "X") -> np.ndarray:
    """Convert a tensor to an array; data types that numpy lacks become float32."""
    tensor = tensor.detach().cpu()
    if tensor.layout != torch.strided:
        raise TypeError(
            f"Sparse data was passed for {name}, a tensor of layout {tensor.layout}, but"
            " dense data is required. Use '.to_dense()' to convert it."
        )
    if tensor.is_floating_point() and tensor.dtype not in _NUMPY_FLOATS:
        tensor = tensor.float()
    return tensor.resolve_conj().resolve_neg().numpy()


def _sequence_to_array(X: Sequence[Any]) -> Any:
    """Convert a sequence of images to an array; rows of numbers are returned unchanged."""
    first = X[0]
    if isinstance(first, tuple) and len(first) == 2 and isinstance(first[0], _SAMPLE_TYPES):
        raise ValueError(
            "X contains pairs, such as images with their labels. Pass two sequences"
            " instead: X, y = zip(*pairs)."
        )
    if isinstance(first, Image.Image):
        return _stack([_pillow_to_array(image) for image in X])
    if isinstance(first, torch.Tensor):
        return _stack([tensor_to_array(torch.as_tensor(image)) for image in X])
    if isinstance(first, str | bytes | os.PathLike):
        first = first.item() if isinstance(first, np.generic) else first
        raise ValueError(
            f"X contains text, paths or bytes, such as {first!r:.60}."
            " Expected arrays of pixels: sklenet.datasets.load_image_folder reads a folder"
            " of image files."
        )
    if isinstance(first, np.ndarray) or _depth(X) > 2:
        return _stack([np.asarray(image) for image in X])
    return X


def _check_is_array_like(X: Any) -> None:
    """Raise an error if X is not array-like, with what to pass instead."""
    if isinstance(X, SliceDataset):  # a torch dataset, but supported
        return
    type_name = type(X).__name__
    if X is None:
        raise ValueError("X is None. Expected an array of images.")
    if isinstance(X, Image.Image):
        raise ValueError(
            "X is a single Pillow image. Expected several images: pass a list, such as"
            " [image]."
        )
    if isinstance(X, str | bytes | os.PathLike):
        raise ValueError(
            f"X is {X!r:.60}. Expected arrays of pixels: sklenet.datasets.load_image_folder"
            " reads a folder of image files."
        )
    if isinstance(X, DataLoader | Dataset | IterableDataset):
        if hasattr(X, "tensors"):
            remedy = "pass its tensors: X, y = dataset.tensors"
        else:
            remedy = (
                "stack its images and labels: X = np.stack([np.asarray(x) for x, _ in"
                " dataset]), y = [label for _, label in dataset]"
            )
        raise TypeError(
            f"X is of type {type_name}, a torch dataset or data loader. Expected an array"
            f" of images: {remedy}."
        )
    if isinstance(X, Mapping) and not sparse.issparse(X):  # a dok_array is a dict
        raise TypeError(
            f"X is of type {type_name} with the keys {list(X)[:5]!r}. Expected an array of"
            " images: pass one of its values."
        )
    if isinstance(X, Iterator):
        raise TypeError(
            f"X is of type {type_name}, which can be read only once. Expected an array of"
            " images: use np.stack(list(X))."
        )


def describe_non_numeric_columns(X: Any) -> str:
    """Return a message that names the non-numeric columns of a data frame, or ""."""
    found = []
    for name in getattr(X, "columns", ()):
        values = np.asarray(X[name])
        try:
            values.astype(float)
        except (TypeError, ValueError):
            found.append(f"{name!r} ({type(values.flat[0]).__name__})")
    if not found:
        return ""
    shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
    return (
        f"X has {len(found)} non-numeric column(s): {shown}. Drop or encode them; convert a"
        " column of arrays with np.stack."
    )


def _first(X: Any) -> Any:
    """Return the first element of X, or None if X is empty."""
    return next(iter(X), None)


def _depth(X: Any) -> int:
    """Return the number of dimensions of nested lists, judged by their first elements."""
    depth = 0
    while isinstance(X, list | tuple) and X:
        X, depth = X[0], depth + 1
    return depth + getattr(X, "ndim", 0)


def _pillow_to_array(image: Any) -> np.ndarray:
    """Convert a Pillow image to an array of shape (h, w) or (3, h, w)."""
    mode = getattr(image, "mode", "L")
    if mode not in _PIXEL_MODES:
        raise ValueError(
            f"X contains a Pillow image of mode {mode!r}. Expected grey or RGB images: use"
            " image.convert('L') or image.convert('RGB')."
        )
    pixels = np.asarray(image)
    return pixels.transpose(2, 0, 1) if mode == "RGB" else pixels


def _stack(images: Sequence[np.ndarray]) -> np.ndarray:
    """Stack images, which must all have the same shape."""
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1:
        raise ValueError(
            f"X contains images of {len(shapes)} shapes, such as {shapes[0]} and"
            f" {shapes[-1]} (an inhomogeneous shape). Resize them to one shape first."
        )
    return np.stack(images)
