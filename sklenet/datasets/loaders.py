"""Real images by scikit-learn's loader conventions.

`load_digits` reads what scikit-learn ships and needs no network. The `fetch_*` functions
read torchvision's folder layout in the data home, and download what is missing. The files
of MNIST and Fashion-MNIST may also be packed (``.gz``), have the names that Kaggle gives
them (``train-images.idx3-ubyte``), or lie in the data home itself. The data home is the
argument `data_home`, else the environment variable ``SKLENET_DATA``, else the folder
``sklenet`` in the user's cache.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import platformdirs
import sklearn.datasets
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from sklenet.datasets.files import CIFAR10, FASHION_MNIST, MNIST, read_images
from sklenet.datasets.registry import CLOTHES, DESCR, DIGITS, THINGS
from sklenet.images.shapes import make_pixel_names

SUBSETS = ("train", "test", "all")


def load_digits(*, subset="train", return_X_y=False, as_frame=False):
    """Load the 1,797 real handwritten digits that ship inside scikit-learn.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        The 1,437 training images, the 360 test images, or both in scikit-learn's order.
        The split is stratified and always the same.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Give ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch or tuple
        ``data`` (n, 64) uint8 from 0 to 16, ``target`` (n,) int, ``images`` (n, 8, 8),
        ``target_names``, ``feature_names``, ``frame``, ``DESCR``.

    Raises
    ------
    ValueError
        If `subset` is none of the three.
    """
    _check_subset(subset)
    digits = sklearn.datasets.load_digits()
    rows = np.arange(len(digits.target))
    if subset != "all":
        split = train_test_split(
            rows, test_size=360, stratify=digits.target, random_state=0
        )
        rows = np.sort(split[SUBSETS.index(subset)])
    return _bunch(
        digits.images[rows].astype(np.uint8),
        digits.target[rows],
        DIGITS,
        DESCR["digits"],
        return_X_y,
        as_frame,
    )


def fetch_mnist(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load MNIST: 70,000 handwritten digits, 28x28, grey.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        The 60,000 training images, the 10,000 test images, or both in this order.
    data_home : str or path-like, default=None
        The folder that holds, or shall hold, ``MNIST/raw``. None: ``$SKLENET_DATA``, or
        else ``sklenet`` in the user's cache.
    download_if_missing : bool, default=True
        Download what is missing.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Give ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch or tuple
        ``data`` (n, 784) uint8, ``target`` (n,) int, ``images`` (n, 28, 28),
        ``target_names``, ``feature_names``, ``frame``, ``DESCR``.

    Raises
    ------
    OSError
        If the data is missing and cannot, or may not, be downloaded; if a file is not
        what its authors published.
    ValueError
        If `subset` is none of the three.
    """
    return _fetch(
        MNIST, DIGITS, subset, data_home, download_if_missing, return_X_y, as_frame
    )


def fetch_fashion_mnist(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load Fashion-MNIST: 70,000 articles of clothing, 28x28, grey.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        The training images, the 10,000 test images, or both in this order.
    data_home : str or path-like, default=None
        The folder that holds, or shall hold, ``FashionMNIST/raw``. None: ``$SKLENET_DATA``,
        or else ``sklenet`` in the user's cache.
    download_if_missing : bool, default=True
        Download what is missing.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Give ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch or tuple
        ``data`` (n, 784) uint8, ``target`` (n,) int, and the rest as of
        :func:`fetch_mnist`. The training set has 60,000 images.

    Raises
    ------
    OSError, ValueError
        As :func:`fetch_mnist` does.
    """
    return _fetch(
        FASHION_MNIST,
        CLOTHES,
        subset,
        data_home,
        download_if_missing,
        return_X_y,
        as_frame,
    )


def fetch_cifar10(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load CIFAR-10: 60,000 colour photographs, 32x32.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        The training images, the 10,000 test images, or both in this order.
    data_home : str or path-like, default=None
        The folder that holds, or shall hold, ``cifar-10-batches-py``; None: as of
        :func:`get_data_home`.
    download_if_missing : bool, default=True
        Download what is missing.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Give ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch or tuple
        ``data`` (n, 3072) uint8, all red, then all green, then all blue pixels;
        ``images`` (n, 3, 32, 32), and the rest as of :func:`fetch_mnist`. The training set
        has 50,000 images.

    Raises
    ------
    OSError, ValueError
        As :func:`fetch_mnist` does.
    """
    return _fetch(
        CIFAR10, THINGS, subset, data_home, download_if_missing, return_X_y, as_frame
    )


def _check_subset(subset):
    if subset not in SUBSETS:
        raise ValueError(f"subset must be 'train', 'test' or 'all'. Got {subset!r}.")


def get_data_home(data_home=None) -> Path:
    """Return the folder that holds the data sets; it need not exist.

    Parameters
    ----------
    data_home : str or path-like, default=None
        None: ``$SKLENET_DATA``, or else ``sklenet`` in the user's cache.

    Returns
    -------
    Path
    """
    if data_home is None:
        data_home = os.environ.get("SKLENET_DATA") or platformdirs.user_cache_dir(
            "sklenet", appauthor=False
        )
    return Path(data_home).expanduser()


def _fetch(files, names, subset, data_home, download_if_missing, return_X_y, as_frame):
    _check_subset(subset)
    home = get_data_home(data_home)
    missing = files.missing(home)
    if missing and not download_if_missing:
        raise OSError(_how_to_get(files, home, missing, "download_if_missing is False"))
    if missing:
        try:
            files.download(home)
        except (OSError, RuntimeError) as error:
            failed = f"the download failed ({error})"
            raise OSError(_how_to_get(files, home, missing, failed)) from error
    subsets = ["train", "test"] if subset == "all" else [subset]
    images, target = read_images(files, home, subsets)
    return _bunch(images, target, names, DESCR[files.name], return_X_y, as_frame)


def _how_to_get(files, home, missing, why):
    return (
        f"{files.name} is not in {home / files.folder}, and {why}.\n"
        f"Files expected there and missing: {', '.join(missing)}.\n"
        "Three ways to get them:\n"
        "  1. with a network, call again with download_if_missing=True;\n"
        f"  2. on a machine with one, run torchvision.datasets.{files.name}(FOLDER,"
        f" download=True) and copy FOLDER to {home};\n"
        "  3. if you have the files elsewhere, in torchvision's layout, name that data"
        " home with data_home= or the environment variable SKLENET_DATA."
    )


def _bunch(images, target, target_names, descr, return_X_y, as_frame):
    data = images.reshape(len(images), -1)
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
        target_names=np.array(target_names),
        feature_names=feature_names,
        frame=frame,
        DESCR=descr,
    )
