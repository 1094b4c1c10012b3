"""Loaders of the datasets, by scikit-learn's conventions."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import platformdirs
from sklearn.utils import Bunch

from sklenet.datasets.files import DatasetFiles
from sklenet.datasets.registry import Arrays, ImageDataset, get_dataset
from sklenet.datasets.torchvision_files import TorchvisionFiles
from sklenet.images.shapes import make_pixel_names

SUBSETS = ("train", "test", "all")


def load_digits(*, subset="train", return_X_y=False, as_frame=False):
    """Load the handwritten digits that ship with scikit-learn: 1,797 grey 8x8 images.

    No network connection is needed.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        Subset to load: the 1,437 training images, the 360 test images, or all images in
        scikit-learn's order. The split is stratified and always the same.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        If True, ``data`` is a pandas DataFrame and ``target`` a Series.

    Returns
    -------
    Bunch or tuple
        A Bunch with ``data`` (n, 64) of uint8 from 0 to 16, ``target`` (n,) of int,
        ``images`` (n, 8, 8), ``target_names``, ``feature_names``, ``frame`` and ``DESCR``.
        If `return_X_y` is True, a tuple ``(data, target)``.

    Raises
    ------
    ValueError
        If `subset` is not one of the three names.
    """
    return load_dataset("digits", subset=subset, return_X_y=return_X_y, as_frame=as_frame)


def fetch_mnist(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load MNIST, 70,000 grey 28x28 images of handwritten digits; download it if needed.

    The files may also be compressed (``.gz``), have the names that Kaggle gives them
    (``train-images.idx3-ubyte``), or lie in the data home itself.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        Subset to load: the training images, the test images, or the training images
        followed by the test images.
    data_home : str or path-like, default=None
        Folder of the datasets, in which torchvision's folders (``MNIST/raw``) lie. If None,
        the environment variable ``SKLENET_DATA`` names it; if that is not set either, it is
        ``sklenet`` in the user's cache.
    download_if_missing : bool, default=True
        If False, raise an OSError when files are missing instead of downloading them.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        If True, ``data`` is a pandas DataFrame and ``target`` a Series.

    Returns
    -------
    Bunch or tuple
        A Bunch with ``data`` (n, 784) of uint8, ``target`` (n,) of int, ``images``
        (n, 28, 28), ``target_names``, ``feature_names``, ``frame`` and ``DESCR``. There are
        60,000 training and 10,000 test images. If `return_X_y` is True, a tuple
        ``(data, target)``.

    Raises
    ------
    OSError
        If files are missing and must not, or cannot, be downloaded, or if the content of a
        file is not what its authors published.
    ValueError
        If `subset` is not one of the three names.
    """
    return load_dataset(
        "mnist", subset, data_home, download_if_missing, return_X_y, as_frame
    )


def fetch_fashion_mnist(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load Fashion-MNIST, 70,000 grey 28x28 images of clothing; download it if needed.

    Parameters
    ----------
    subset, data_home, download_if_missing, return_X_y, as_frame
        The same as for :func:`fetch_mnist`.

    Returns
    -------
    Bunch or tuple
        The same as for :func:`fetch_mnist`.
    """
    return load_dataset(
        "fashion_mnist", subset, data_home, download_if_missing, return_X_y, as_frame
    )


def fetch_cifar10(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load CIFAR-10, 60,000 RGB 32x32 images of animals and vehicles; download if needed.

    Parameters
    ----------
    subset, data_home, download_if_missing, return_X_y, as_frame
        The same as for :func:`fetch_mnist`.

    Returns
    -------
    Bunch or tuple
        The same as for :func:`fetch_mnist`, with ``data`` (n, 3072), all red pixels of an
        image first, then all green and all blue ones, and ``images`` (n, 3, 32, 32). There
        are 50,000 training and 10,000 test images.
    """
    return load_dataset(
        "cifar10", subset, data_home, download_if_missing, return_X_y, as_frame
    )


def fetch_kmnist(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load Kuzushiji-MNIST, 70,000 grey 28x28 images of 10 Japanese characters.

    The files are downloaded if needed.

    Parameters
    ----------
    subset, data_home, download_if_missing, return_X_y, as_frame
        The same as for :func:`fetch_mnist`.

    Returns
    -------
    Bunch or tuple
        The same as for :func:`fetch_mnist`.
    """
    return load_dataset(
        "kmnist", subset, data_home, download_if_missing, return_X_y, as_frame
    )


def fetch_emnist_balanced(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load EMNIST's balanced split, 131,600 grey 28x28 images in 47 classes.

    The files are downloaded if needed.

    Parameters
    ----------
    subset, data_home, download_if_missing, return_X_y, as_frame
        The same as for :func:`fetch_mnist`.

    Returns
    -------
    Bunch or tuple
        The same as for :func:`fetch_mnist`, with 112,800 training and 18,800 test images.
        The classes are the digits, the upper-case letters, and the lower-case letters that
        differ in shape from the upper-case ones. The images are upright, which those in
        the files are not.
    """
    return load_dataset(
        "emnist_balanced", subset, data_home, download_if_missing, return_X_y, as_frame
    )


def fetch_emnist_letters(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load EMNIST's letters, 145,600 grey 28x28 images in 26 classes.

    The files are downloaded if needed.

    Parameters
    ----------
    subset, data_home, download_if_missing, return_X_y, as_frame
        The same as for :func:`fetch_mnist`.

    Returns
    -------
    Bunch or tuple
        The same as for :func:`fetch_mnist`, with 124,800 training and 20,800 test images.
        The labels 0 to 25 are the letters a to z of either case. The images are upright,
        which those in the files are not.
    """
    return load_dataset(
        "emnist_letters", subset, data_home, download_if_missing, return_X_y, as_frame
    )


def fetch_emnist_digits(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load EMNIST's digits, 280,000 grey 28x28 images in 10 classes.

    The files are downloaded if needed.

    Parameters
    ----------
    subset, data_home, download_if_missing, return_X_y, as_frame
        The same as for :func:`fetch_mnist`.

    Returns
    -------
    Bunch or tuple
        The same as for :func:`fetch_mnist`, with 240,000 training and 40,000 test images.
        The images are upright, which those in the files are not.
    """
    return load_dataset(
        "emnist_digits", subset, data_home, download_if_missing, return_X_y, as_frame
    )


def fetch_qmnist(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load QMNIST, 120,000 grey 28x28 images of digits.

    The files are downloaded if needed.

    Parameters
    ----------
    subset, data_home, download_if_missing, return_X_y, as_frame
        The same as for :func:`fetch_mnist`.

    Returns
    -------
    Bunch or tuple
        The same as for :func:`fetch_mnist`, with 60,000 training and 60,000 test images.
    """
    return load_dataset(
        "qmnist", subset, data_home, download_if_missing, return_X_y, as_frame
    )


def fetch_usps(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load USPS, 9,298 grey 16x16 images of digits.

    The files are downloaded if needed.

    Parameters
    ----------
    subset, data_home, download_if_missing, return_X_y, as_frame
        The same as for :func:`fetch_mnist`.

    Returns
    -------
    Bunch or tuple
        The same as for :func:`fetch_mnist`, with ``data`` (n, 256) and ``images``
        (n, 16, 16). There are 7,291 training and 2,007 test images.
    """
    return load_dataset(
        "usps", subset, data_home, download_if_missing, return_X_y, as_frame
    )


def fetch_svhn(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load SVHN, 99,289 RGB 32x32 images of house numbers.

    The files are downloaded if needed.

    Parameters
    ----------
    subset, data_home, download_if_missing, return_X_y, as_frame
        The same as for :func:`fetch_mnist`.

    Returns
    -------
    Bunch or tuple
        The same as for :func:`fetch_cifar10`, with 73,257 training and 26,032 test images.
    """
    return load_dataset(
        "svhn", subset, data_home, download_if_missing, return_X_y, as_frame
    )


def load_dataset(
    dataset,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load a dataset of the registry, or a custom one.

    Parameters
    ----------
    dataset : str or ImageDataset
        Name of a dataset in the registry, such as "mnist", or a dataset.
    subset, data_home, download_if_missing, return_X_y, as_frame
        The same as for :func:`fetch_mnist`.

    Returns
    -------
    Bunch or tuple
        The same as for :func:`fetch_mnist`.
    """
    if not isinstance(dataset, ImageDataset):
        dataset = get_dataset(dataset)
    target: Any
    if subset not in SUBSETS:
        raise ValueError(f"subset must be 'train', 'test' or 'all'. Got {subset!r}.")
    if isinstance(dataset.source, DatasetFiles | TorchvisionFiles):
        home = get_data_home(data_home)
        dataset.source.fetch(home, download_if_missing=download_if_missing)
        if isinstance(dataset.source, DatasetFiles):
            images, target = _read_files(dataset, home, subset)
        else:
            images, target = _read_torchvision(dataset.source, home, subset)
    else:
        images, target = dataset.source(subset)
    data: Any = images.reshape(len(images), -1)
    feature_names = make_pixel_names(images.shape[1:])
    frame = None
    if as_frame:
        data = pd.DataFrame(data, columns=feature_names)
        target = pd.Series(target, name="target")
        frame = data.assign(target=target)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        images=images,
        target_names=np.array(dataset.class_names),
        feature_names=feature_names,
        frame=frame,
        DESCR=dataset.description,
    )


def get_data_home(data_home=None) -> Path:
    """Return the folder of the datasets, which need not exist.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder to use. If None, the environment variable ``SKLENET_DATA`` names it; if that
        is not set either, it is ``sklenet`` in the user's cache.

    Returns
    -------
    Path
        The folder, with ``~`` expanded.
    """
    if data_home is None:
        data_home = os.environ.get("SKLENET_DATA") or platformdirs.user_cache_dir(
            "sklenet", appauthor=False
        )
    return Path(data_home).expanduser()


def _read_torchvision(files: TorchvisionFiles, home: Path, subset: str) -> Arrays:
    """Return the images and the labels of a subset, read by torchvision."""
    if subset != "all":
        return files.read(home, subset)
    parts = [files.read(home, subset) for subset in ("train", "test")]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return images, labels


def _read_files(dataset: ImageDataset, home: Path, subset: str) -> Arrays:
    """Return the images and the labels of a subset, read into arrays of the final size."""
    files = dataset.source
    assert isinstance(files, DatasetFiles)
    subsets = ["train", "test"] if subset == "all" else [subset]
    n = sum(dataset.n_images[subset] for subset in subsets)
    channels, *size = dataset.image_shape
    images = np.empty((n, *(size if channels == 1 else dataset.image_shape)), np.uint8)
    labels = np.empty(n, np.int64)
    start = 0
    for subset in subsets:
        for batch_images, batch_labels in files.read_batches(files, home, subset):
            stop = start + len(batch_labels)
            images[start:stop] = batch_images.reshape(-1, *images.shape[1:])
            labels[start:stop] = batch_labels
            start = stop
    return images, labels
