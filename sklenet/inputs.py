"""Images and labels in the containers that people have them in, as arrays."""

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

# The modes of Pillow whose values are pixels: not indices of a palette, and without alpha.
_MODES = ("1", "L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N", "RGB")

_NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)

# What a sequence may hold per sample that is not yet a row of numbers.
_ELEMENTS = (Image.Image, np.ndarray, torch.Tensor, str, bytes, os.PathLike)


def as_array(X: Any) -> Any:
    """Return X as an array if it is a container that numpy does not read by itself.

    These are tensors of torch, sequences of tensors, of arrays or of Pillow's images, and
    skorch's SliceDataset. Anything else is returned as it is, for scikit-learn to check.

    Raises
    ------
    TypeError
        If X is a dataset, a data loader, an iterator or a mapping.
    ValueError
        If X is text, one image of Pillow, or images of several sizes.
    """
    _refuse_other_kinds(X)
    if isinstance(X, torch.Tensor):
        return tensor_to_array(X)
    is_column = getattr(X, "ndim", 0) == 1 and isinstance(_first(X), _ELEMENTS)
    if is_column or isinstance(X, SliceDataset):
        X = list(X)
    if not isinstance(X, list | tuple):
        has_many_axes = getattr(X, "ndim", 2) > 2
        return np.asarray(X) if has_many_axes else X
    if not X:
        return X
    first = X[0]
    if isinstance(first, tuple) and len(first) == 2 and isinstance(first[0], _ELEMENTS):
        raise ValueError(
            "X holds pairs, such as images with their labels. Pass them as two sequences:"
            " X, y = zip(*pairs)."
        )
    if isinstance(first, Image.Image):
        return _stack([_pillow_to_array(image) for image in X])
    if isinstance(first, torch.Tensor):
        return _stack([tensor_to_array(torch.as_tensor(image)) for image in X])
    if isinstance(first, str | bytes | os.PathLike):
        first = first.item() if isinstance(first, np.generic) else first
        raise ValueError(
            f"X holds text, paths or bytes, such as {first!r:.60}."
            " Expected arrays of pixels: sklenet.datasets.load_image_folder reads a folder"
            " of image files."
        )
    if isinstance(first, np.ndarray) or _depth(X) > 2:
        return _stack([np.asarray(image) for image in X])
    return X


def as_labels(y: Any) -> Any:
    """Return y as an array if it is a tensor, a sequence of tensors, or holds objects.

    scikit-learn accepts no objects other than text. Numbers among them become an array of
    numbers; everything else is returned as it is.
    """
    if isinstance(y, torch.Tensor):
        return tensor_to_array(y, "y")
    if isinstance(y, SliceDataset):
        y = list(y)
    if isinstance(y, list | tuple) and y and isinstance(y[0], torch.Tensor):
        return np.stack([tensor_to_array(torch.as_tensor(label), "y") for label in y])
    if str(getattr(y, "dtype", "")) == "object" and getattr(y, "ndim", 0) == 1:
        values = np.asarray(y).tolist()
        if all(isinstance(value, Real) for value in values):  # bool and int among them
            return np.array(values)
    return y


def tensor_to_array(tensor: torch.Tensor, name: str = "X") -> np.ndarray:
    """Return a tensor as an array; types that numpy lacks become float32."""
    tensor = tensor.detach().cpu()
    if tensor.layout != torch.strided:
        raise TypeError(
            f"Sparse data was passed for {name}, a tensor of layout {tensor.layout}, but"
            " dense data is required. Use '.to_dense()'."
        )
    if tensor.is_floating_point() and tensor.dtype not in _NUMPY_FLOATS:
        tensor = tensor.float()
    return tensor.resolve_conj().resolve_neg().numpy()


def _refuse_other_kinds(X: Any) -> None:
    """Raise an error that says what to pass instead of X, if X is no array-like."""
    if isinstance(X, SliceDataset):  # which is a dataset of torch as well
        return
    kind = type(X).__name__
    if X is None:
        raise ValueError("X is None. Expected an array of images.")
    if isinstance(X, Image.Image):
        raise ValueError(
            "X is a single image of Pillow. Expected several images: pass a list, [image]"
            " for a single one."
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
        raise TypeError(f"X is a {kind} of torch. Expected an array of images: {remedy}.")
    if isinstance(X, Mapping) and not sparse.issparse(X):  # a dok_array is a dict
        raise TypeError(
            f"X is a {kind} with the keys {list(X)[:5]!r}. Expected an array of images:"
            " pass one of its values."
        )
    if isinstance(X, Iterator):
        raise TypeError(
            f"X is of type {kind}, which can be read only once. Expected an array of"
            " images: np.stack(list(X)) makes one."
        )


def describe_other_columns(X: Any) -> str:
    """Return a message that names the columns of a data frame without numbers, or ""."""
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
        f"X has {len(found)} column(s) that do not hold numbers: {shown}. Drop or encode"
        " them; a column of arrays becomes an array by np.stack."
    )


def _first(X: Any) -> Any:
    """Return the first element of X, None if there is none."""
    return next(iter(X), None)


def _depth(X: Any) -> int:
    """Return how deeply lists are nested, judged by their first elements."""
    depth = 0
    while isinstance(X, list | tuple) and X:
        X, depth = X[0], depth + 1
    return depth + getattr(X, "ndim", 0)


def _pillow_to_array(image: Any) -> np.ndarray:
    """Return an image of Pillow as an array of shape (h, w) or (3, h, w)."""
    mode = getattr(image, "mode", "L")
    if mode not in _MODES:
        raise ValueError(
            f"X has an image of Pillow's mode {mode!r}, whose values are not only pixels of"
            " grey or RGB. Convert it first: image.convert('L') or image.convert('RGB')."
        )
    pixels = np.asarray(image)
    return pixels.transpose(2, 0, 1) if mode == "RGB" else pixels


def _stack(images: Sequence[np.ndarray]) -> np.ndarray:
    """Return arrays of one shape as one array."""
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1:
        raise ValueError(
            f"X holds images of {len(shapes)} shapes, such as {shapes[0]} and {shapes[-1]}"
            " (an inhomogeneous shape). Resize them to one shape first."
        )
    return np.stack(images)
