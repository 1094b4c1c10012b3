"""Custom datasets: folders of images, tables, OpenML's datasets, and arrays.

A source reads images and labels; `open_dataset` checks them, splits off a test set if the
source has none, and returns an `ImageDataset` like those of the registry.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import fetch_openml
from sklearn.model_selection import train_test_split

from sklenet._utils.printable import make_printable
from sklenet.datasets.decoder import decode_resized
from sklenet.datasets.fingerprint import compute_fingerprint
from sklenet.datasets.folder import load_folder
from sklenet.datasets.loaders import get_data_home
from sklenet.datasets.registry import ImageDataset
from sklenet.datasets.table_files import Table, read_table
from sklenet.images.shapes import (
    ImageShape,
    check_image_shape,
    flatten_images,
    infer_image_shape,
)

TEST_FRACTION = 0.2
TEST_SEED = 0

_MAX_NAMES = 8  # in a message


class Parts(NamedTuple):
    """The images and labels of a source.

    Parameters
    ----------
    train : tuple of (ndarray, ndarray)
        Rows of pixels and labels.
    test : tuple of (ndarray, ndarray), optional
        The same of the test set. If None, it is split off.
    image_shape : tuple of int (c, h, w)
        Shape of one image.
    """

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray] | None
    image_shape: ImageShape


@dataclass(frozen=True)
class FolderSource:
    """A folder of images with one sub-folder per class.

    Parameters
    ----------
    folder : Path
    test_folder : Path, optional
        Folder of the test set.
    image_shape : tuple of int, default=(28, 28)
        Shape to which the images are resized.
    read_image : callable
        Function that reads an image file; see `load_folder`.
    """

    folder: Path
    test_folder: Path | None = None
    image_shape: tuple[int, ...] = (28, 28)
    read_image: Callable[[Path, ImageShape], np.ndarray] = decode_resized

    def read(self) -> Parts:
        """Read all images."""
        folders = [self.folder] + ([self.test_folder] if self.test_folder else [])
        parts = [
            load_folder(folder, self.image_shape, "raise", True, self.read_image, hint="")
            for folder in folders
        ]
        shape = check_image_shape(self.image_shape)
        assert shape is not None
        return Parts(parts[0], parts[1] if len(parts) > 1 else None, shape)


@dataclass(frozen=True)
class FileSource:
    """A CSV, Parquet or ``.npz`` file.

    Parameters
    ----------
    file : Path
    test_file : Path, optional
        File of the test set.
    label : str, optional
        Name of the column, or of the array, of the labels; see `read_table`.
    image_shape : tuple of int, optional
        Shape of one image. If None, images in rows must be square.
    """

    file: Path
    test_file: Path | None = None
    label: str | None = None
    image_shape: tuple[int, ...] | None = None

    def read(self) -> Parts:
        """Read all images."""
        table = read_table(self.file, self.label, self.test_file)
        return make_parts(table, self.image_shape, make_printable(self.file))


@dataclass(frozen=True)
class OpenMLSource:
    """A dataset of OpenML, which is downloaded once into the data home.

    Parameters
    ----------
    name : str or int
        Name of the dataset or its number.
    version : int, optional
        Version of a dataset with this name. If None, the active one.
    label : str, optional
        Name of the column of the labels. If None, the one that the dataset declares.
    image_shape : tuple of int, optional
        Shape of one image. If None, images must be square.
    """

    name: str | int
    version: int | None = None
    label: str | None = None
    image_shape: tuple[int, ...] | None = None

    def read(self) -> Parts:
        """Fetch all images."""
        which: dict[str, Any] = {"data_id": self.name}
        if isinstance(self.name, str):
            which = {"name": self.name, "version": self.version or "active"}
        title = f"OpenML's dataset {self.name!r}"
        try:
            X, y = fetch_openml(
                **which,
                target_column=self.label or "default-target",
                data_home=get_data_home() / "openml",
                return_X_y=True,
                as_frame=False,
                parser="auto",
            )
        except Exception as error:  # also KeyError, for a column that is not there
            raise OSError(f"{title} cannot be fetched: {error}") from error
        return make_parts(Table(np.asarray(X), np.asarray(y)), self.image_shape, title)


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Arrays of images and labels.

    Parameters
    ----------
    table : Table
        The images, as rows or as images, and the labels.
    image_shape : tuple of int, optional
        Shape of one image. If None, images in rows must be square.
    """

    table: Table
    image_shape: tuple[int, ...] | None = None

    def read(self) -> Parts:
        """Return all images."""
        return make_parts(self.table, self.image_shape, "the arrays")


Source = FolderSource | FileSource | OpenMLSource | ArraySource


class CustomImages:
    """The images and labels of a custom dataset, as the source of an `ImageDataset`.

    They are read once. Other processes read them again from their files.

    Parameters
    ----------
    source : Source
    test_fraction : float
        Fraction of the images that become the test set if the source has none.
    test_seed : int
        Seed of this split, which is stratified.

    Attributes
    ----------
    fingerprint : str
        Hash of the images and labels, once they have been read.
    is_split : bool
        Whether the test set was split off, once they have been read.
    """

    def __init__(self, source: Source, test_fraction: float, test_seed: int) -> None:
        self.source = source
        self.test_fraction = test_fraction
        self.test_seed = test_seed
        self.fingerprint = ""
        self.is_split = False
        self._parts: Parts | None = None

    def __call__(self, subset: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the images and the labels of "train", "test" or "all"."""
        parts = self.read()
        shape = parts.image_shape
        assert parts.test is not None
        X, y = parts.train if subset == "train" else parts.test
        if subset == "all":
            both = zip(parts.train, parts.test, strict=True)
            X, y = (np.concatenate(arrays) for arrays in both)
        return X.reshape(-1, *(shape[1:] if shape[0] == 1 else shape)), y

    def read(self) -> Parts:
        """Return the training and the test set.

        Raises
        ------
        OSError
            If they are not those that were read first.
        """
        if self._parts is None:
            parts = self.source.read()
            self.is_split = parts.test is None
            parts = _split(parts, self.test_fraction, self.test_seed)
            assert parts.test is not None
            fingerprint = compute_fingerprint(parts.train, parts.test)
            if self.fingerprint not in ("", fingerprint):
                raise OSError(
                    f"the images or labels of {self.source} have changed since they were"
                    " first read. Start again."
                )
            self._parts, self.fingerprint = parts, fingerprint
        return self._parts

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_parts": None}


def open_dataset(
    name: str,
    source: Source,
    test_fraction: float | None = None,
    test_seed: int = TEST_SEED,
    framing: str = "whole",
) -> ImageDataset:
    """Read and check a custom dataset.

    Parameters
    ----------
    name : str
        Name of the dataset.
    source : Source
        Where the images and labels come from.
    test_fraction : float, optional
        Fraction of the images that become the test set. If None, it is 0.2, unless the
        source has a test set.
    test_seed : int, default=0
        Seed of this split, which is stratified.
    framing : {"digit", "whole"}, default="whole"
        How models trained on the dataset read image files.

    Returns
    -------
    ImageDataset

    Raises
    ------
    OSError
        If files or folders are missing, or images cannot be read.
    ValueError
        If the images or labels are not valid, or there is only one class.
    """
    images = CustomImages(
        source, TEST_FRACTION if test_fraction is None else test_fraction, test_seed
    )
    parts = images.read()
    assert parts.test is not None
    if test_fraction is not None and not images.is_split:
        raise ValueError(
            f"test_fraction = {test_fraction} has no effect, since the data have a test"
            " set. Remove it."
        )
    (_, y), (_, y_test) = parts.train, parts.test
    classes = tuple(str(label) for label in np.unique(y).tolist())
    shape = "x".join(map(str, parts.image_shape))
    return ImageDataset(
        name=name,
        title=name,
        description=f"{name}\n\n{len(y):,} training and {len(y_test):,} test images of"
        f" {shape} (channels x height x width) in {len(classes)} classes.\n",
        image_shape=parts.image_shape,
        class_names=classes,
        n_images={"train": len(y), "test": len(y_test)},
        framing="digit" if framing == "digit" else "whole",
        source=images,
        fingerprint=images.fingerprint,
    )


def make_parts(table: Table, image_shape, title: str) -> Parts:
    """Return checked rows of pixels and labels.

    Parameters
    ----------
    table : Table
    image_shape : tuple of int, optional
        Shape of one image.
    title : str
        What the images come from, for messages.
    """
    shape = check_image_shape(image_shape)
    has_test = table.X_test is not None
    given = [(table.X, table.y)] + ([(table.X_test, table.y_test)] if has_test else [])
    parts = []
    for X, y in given:
        X = _to_bytes(_to_numbers(X, title), title)
        rows, found = _flatten(X, shape, title)
        shape = shape or found or _infer_shape(rows.shape[1], title)
        if rows.shape[1] != math.prod(shape):
            raise ValueError(
                f"{title}: image_shape = {list(shape)} are {math.prod(shape)} pixels, but"
                f" the images have {rows.shape[1]}."
            )
        parts.append((rows, normalize_labels(y, title)))
        if len(rows) != len(parts[-1][1]):
            raise ValueError(
                f"{title}: there are {len(rows):,} images and {len(parts[-1][1]):,} labels."
            )
    assert shape is not None
    return Parts(parts[0], parts[1] if has_test else None, shape)


def normalize_labels(y, title: str) -> np.ndarray:
    """Return labels as whole numbers, or as text."""
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(
            f"{title}: there must be one label per image. Got labels of shape"
            f" {labels.shape}."
        )
    if labels.dtype.kind == "O" and pd.isna(labels).any():
        raise ValueError(f"{title}: {int(pd.isna(labels).sum()):,} labels are missing.")
    if labels.dtype.kind == "f":
        is_whole = np.isfinite(labels) & (labels == np.round(labels))
        if not is_whole.all():
            first = labels[~is_whole][0]
            raise ValueError(
                f"{title}: labels must be whole numbers or text. Got {first} in row"
                f" {int(np.flatnonzero(~is_whole)[0]) + 1}."
            )
    if labels.dtype.kind in "iuf":
        return labels.astype(np.int64)
    if labels.dtype.kind == "S":
        return np.array([label.decode("utf-8", "replace") for label in labels.tolist()])
    return np.array([str(label) for label in labels.tolist()])


def _to_numbers(X, title: str) -> np.ndarray:
    """Return images as an array of numbers."""
    array = X if isinstance(X, np.ndarray) else np.asarray(X)
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{title}: pixels must be numbers. Got an array of {array.dtype.name}."
        )
    if not len(array):
        raise ValueError(f"{title}: there are no images.")
    if array.ndim == 4 and array.shape[-1] in (1, 3) and array.shape[1] > 4:
        return array.transpose(0, 3, 1, 2)  # the channels are last
    return array


def _to_bytes(X: np.ndarray, title: str) -> np.ndarray:
    """Return whole numbers from 0 to 255 as bytes, and all others as float32.

    A dataset has the same pixels, whichever type its file stores them in.
    """
    if X.dtype == np.uint8:
        return X
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        raise ValueError(f"{title}: not all pixels are finite numbers.")
    if X.dtype == bool or (X.min() >= 0 and X.max() <= 255):
        as_bytes = X.astype(np.uint8)
        if X.dtype.kind != "f" or np.array_equal(as_bytes, X):
            return as_bytes
    return X.astype(np.float32)


def _flatten(X: np.ndarray, shape: ImageShape | None, title: str):
    """Return images as rows, and their shape if they were not rows before."""
    if X.ndim not in (2, 3, 4):
        raise ValueError(
            f"{title}: images must be an array of shape (n, n_features), (n, h, w) or"
            f" (n, c, h, w). Got {X.shape}."
        )
    try:
        rows, found = flatten_images(X, shape)
    except ValueError as error:
        raise ValueError(f"{title}: {error}") from error
    return np.ascontiguousarray(rows), found


def _infer_shape(n_features: int, title: str) -> ImageShape:
    """Return the shape of square images with this number of pixels."""
    shape = infer_image_shape(n_features)
    if math.prod(shape) != n_features:
        raise ValueError(
            f"{title}: {n_features} pixels are not a square image, grey or RGB. Pass"
            " image_shape = [height, width], or remove columns that are not pixels."
        )
    return shape


def _split(parts: Parts, test_fraction: float, seed: int) -> Parts:
    """Return the parts with a test set, after checks of the classes."""
    X, y = parts.train
    classes, counts = np.unique(y, return_counts=True)
    if len(classes) < 2:
        raise ValueError(
            f"at least two classes are required, but all {len(y):,} images have the label"
            f" {make_printable(classes[0])!r}."
        )
    if parts.test is not None:
        X_test, y_test = parts.test
        if y.dtype.kind != y_test.dtype.kind:  # numbers and text
            y, y_test = y.astype(str), y_test.astype(str)
        unknown = np.setdiff1d(y_test, y)
        if len(unknown):
            raise ValueError(
                f"the test set has classes without training images: {_list(unknown)}."
            )
        return Parts((X, y), (X_test, y_test), parts.image_shape)
    if counts.min() < 2:
        raise ValueError(
            "each class must have at least two images, so that the training and the test"
            f" set have one. Classes with a single image: {_list(classes[counts < 2])}."
        )
    rows = np.arange(len(y))
    try:
        train, test = train_test_split(
            rows, test_size=test_fraction, stratify=y, random_state=seed
        )
    except ValueError as error:
        raise ValueError(f"test_fraction = {test_fraction}: {error}") from error
    train.sort()
    test.sort()
    missing = np.setdiff1d(classes, y[train])
    if len(missing):
        raise ValueError(
            f"test_fraction = {test_fraction} leaves no training images of"
            f" {_list(missing)}. Decrease it."
        )
    return Parts((X[train], y[train]), (X[test], y[test]), parts.image_shape)


def _list(classes: np.ndarray) -> str:
    names = [make_printable(name) for name in classes[:_MAX_NAMES]]
    more = f", ... ({len(classes)} in all)" if len(classes) > _MAX_NAMES else ""
    return ", ".join(map(repr, names)) + more
