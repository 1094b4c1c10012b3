"""The datasets of a study, and the training images that its fits use."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sklenet.datasets.custom import ArraySource, open_dataset
from sklenet.datasets.fingerprint import compute_fingerprint
from sklenet.datasets.loaders import load_dataset
from sklenet.datasets.registry import DATASETS, ImageDataset, get_dataset
from sklenet.datasets.table_files import Table
from sklenet.datasets.torchvision_files import TorchvisionFiles
from sklenet.study.config.errors import BadKey, StudyError
from sklenet.study.config.spec import Study
from sklenet.study.config.tables import N_TRAIN

# Number of images of each class with which a study is checked.
_N_PER_CLASS = 20


class Sample(NamedTuple):
    """A stratified random sample of the training images.

    Parameters
    ----------
    n_train : int
        Number of images.
    seed : int
        Seed with which they are drawn.
    """

    n_train: int
    seed: int


def make_sample(study: Study, n_train: int | None, seed: int) -> Sample | None:
    """Return the sample that a fit is trained on; None for the whole training set.

    Parameters
    ----------
    study : Study
    n_train : int or None
        Number of training images of the fit.
    seed : int
        Seed of the fit.
    """
    if n_train is None:
        return None
    return Sample(n_train, seed if study.train_rows == "by_seed" else 0)


def draw_rows(y, sample: Sample) -> np.ndarray:
    """Return the sorted numbers of the training images in a sample.

    Every class has the fraction of the images that it has in the training set, rounded, but
    at least one image if there are as many images as classes. A smaller sample with the
    same seed is part of a larger one.

    Parameters
    ----------
    y : ndarray
        Labels of the training set.
    sample : Sample
    """
    rank = np.random.RandomState(sample.seed).permutation(len(y))
    _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    by_class = np.lexsort((rank, codes))
    starts = np.cumsum(counts) - counts
    position = np.empty(len(y))
    position[by_class] = np.arange(len(y)) - np.repeat(starts, counts)
    return np.sort(np.lexsort((rank, position / counts[codes]))[: sample.n_train])


@lru_cache(maxsize=4)
def load_data(dataset: ImageDataset, subset: str) -> tuple[np.ndarray, np.ndarray]:
    """Return X and y of a dataset, which are read once per process."""
    return load_dataset(dataset, subset, return_X_y=True)


def load_training_data(
    dataset: ImageDataset, sample: Sample | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return X and y of the training images in a sample."""
    X, y = load_data(dataset, "train")
    if sample is None:
        return X, y
    rows = draw_rows(y, sample)
    return X[rows], y[rows]


def load_rows(
    dataset: ImageDataset, sample: Sample | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the training images as a column, and their labels."""
    _, y = load_data(dataset, "train")
    rows = np.arange(len(y)) if sample is None else draw_rows(y, sample)
    return rows.reshape(-1, 1), y[rows]


@lru_cache(maxsize=64)
def find_fingerprint(dataset: ImageDataset) -> str:
    """Return the fingerprint of a dataset's training and test images and labels."""
    if dataset.fingerprint:
        return dataset.fingerprint
    return compute_fingerprint(load_data(dataset, "train"), load_data(dataset, "test"))


def make_data_key(dataset: ImageDataset) -> str:
    """Return the part of a fit's key that identifies its dataset.

    Most datasets of the registry are identified by their names, since the checksums of
    their files are verified whenever they are read. All others are identified by the
    fingerprint of their images and labels as well.
    """
    return " ".join(part for part in (dataset.name, dataset.fingerprint) if part)


def open_datasets(study: Study, arrays: Mapping | None = None) -> Study:
    """Return the study with the custom datasets that it names, read and checked.

    Parameters
    ----------
    study : Study
    arrays : mapping of str to tuple, optional
        Arrays ``(X, y)`` or ``(X, y, X_test, y_test)`` by the name of their dataset.

    Raises
    ------
    StudyError
        If a dataset is not known or not valid, or the study cannot be run on it.
    OSError
        If a dataset is missing.
    """
    arrays = {} if arrays is None else dict(arrays)
    for name in arrays:
        if name in DATASETS or name in study.dataset_tables:
            raise StudyError(
                f"datasets: {name!r} is the name of another dataset. Choose another name."
            )
        if name not in study.data:
            raise StudyError(
                f"datasets: the study has no dataset {name!r}. Its data are"
                f" {', '.join(study.data)}."
            )
    opened = {
        name: dataset
        for name in study.data
        if (dataset := _open(study, name, arrays)) is not None
    }
    return study.with_datasets(opened)


def _open(study: Study, name: str, arrays: dict) -> ImageDataset | None:
    """Read a dataset; return None if the study already knows it."""
    known = study.find_dataset(name)
    if known is not None and name not in arrays:
        if not isinstance(known.source, TorchvisionFiles) or known.fingerprint:
            return None
        return replace(known, fingerprint=find_fingerprint(known))
    if name in arrays:
        try:
            return open_dataset(name, ArraySource(_make_table(name, arrays[name])))
        except ValueError as error:
            raise StudyError(f"datasets[{name!r}]: {error}") from error
    table = study.dataset_tables.get(name)
    if table is None:
        try:
            return get_dataset(name)
        except ValueError as error:
            message = f"{error} Pass the arrays of a dataset of your own as 'datasets'."
            raise BadKey(("data",), message) from error
    if study.folder is None:
        raise StudyError(
            f"the folder of the dataset {name!r} is not known: read the study from its"
            " file."
        )
    try:
        return table.open(name, study.folder)
    except (ValueError, OSError) as error:
        raise BadKey(("dataset", name), str(error)) from error


def _make_table(name: str, given) -> Table:
    if not isinstance(given, tuple | list) or len(given) not in (2, 4):
        raise StudyError(
            f"datasets[{name!r}] must be (X, y) or (X, y, X_test, y_test). Got"
            f" {type(given).__name__}."
        )
    return Table(*given)


def describe_dataset(dataset: ImageDataset) -> dict:
    """Return the record of a dataset, from which its fits are found again."""
    return {
        "kind": "dataset",
        "data": dataset.name,
        "fingerprint": dataset.fingerprint,
        "image_shape": list(dataset.image_shape),
        "class_names": list(dataset.class_names),
        "n_images": dict(dataset.n_images),
    }


def read_described(record: dict) -> ImageDataset:
    """Return the dataset of a record, whose images cannot be loaded."""
    name = record["data"]
    if name in DATASETS:
        return replace(DATASETS[name], fingerprint=record["fingerprint"])
    return ImageDataset(
        name=name,
        title=name,
        description=f"{name}\n",
        image_shape=tuple(record["image_shape"]),
        class_names=tuple(record["class_names"]),
        n_images=record["n_images"],
        framing="whole",
        source=_raise_not_available,
        fingerprint=record["fingerprint"],
    )


def _raise_not_available(subset: str):
    raise StudyError("the images of a custom dataset are not part of its records.")


def check_subset_size(name: str, y, n_train: int) -> None:
    """Raise a BadKey if a sample of this size cannot be drawn from a training set."""
    n_classes = len(np.unique(y))
    if not n_classes <= n_train <= len(y):
        raise BadKey(
            (N_TRAIN,),
            f"must be between {n_classes}, one image per class, and {len(y):,}, the number"
            f" of training images of {name}. Got {n_train:,}.",
        )


def make_sample_key(sample: Sample | None) -> tuple[str, ...]:
    """Return what a sample adds to the key of a fit."""
    return () if sample is None else (json.dumps([N_TRAIN, *sample]),)


def find_first_rows(y: np.ndarray) -> np.ndarray:
    """Return the rows of the first images of each class, with which studies are checked."""
    labels = np.unique(y)
    return np.concatenate([np.flatnonzero(y == label)[:_N_PER_CLASS] for label in labels])
