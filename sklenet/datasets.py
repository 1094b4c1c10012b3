"""Real images by scikit-learn's loader conventions.

`load_digits` reads what scikit-learn ships and needs no network. The `fetch_*` functions
read torchvision's folder layout in the data home, and download what is missing. The data
home is the argument `data_home`, else the environment variable ``SKLENET_DATA``, else
the folder ``sklenet`` in the user's cache.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import platformdirs
import sklearn.datasets
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from sklenet._torchvision import import_torchvision

SUBSETS = ("train", "test", "all")

_IDX_FILES = tuple(
    f"{part}-{kind}-ubyte"
    for part in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
)
_CIFAR_FILES = (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta")

_DESCR = {
    "MNIST": """MNIST handwritten digits

70,000 grey 28x28 images of the digits 0 to 9, white on black, pixels 0 to 255; the first
60,000 are the training set, the last 10,000 the test set. LeCun, Cortes, Burges, 1998.
""",
    "FashionMNIST": """Fashion-MNIST

70,000 grey 28x28 images of articles of clothing in 10 classes, pixels 0 to 255; the first
60,000 are the training set, the last 10,000 the test set. Xiao, Rasul, Vollgraf, 2017.
""",
    "CIFAR10": """CIFAR-10

60,000 colour 32x32 images of 10 classes of things, pixels 0 to 255, channels red, green,
blue; the first 50,000 are the training set, the last 10,000 the test set. Krizhevsky,
2009.
""",
    "digits": """Optical recognition of handwritten digits

1,797 grey 8x8 images of the digits 0 to 9, pixels 0 to 16, as scikit-learn ships them
(the test set of the UCI ML hand-written digits). The split into 1,437 training and 360
test images is stratified and fixed. Alpaydin and Kaynak, 1998.
""",
}


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
        [str(name) for name in digits.target_names],
        _DESCR["digits"],
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
        If the data is missing and cannot, or may not, be downloaded.
    ValueError
        If `subset` is none of the three.
    """
    return _fetch_idx("MNIST", subset, data_home, download_if_missing, return_X_y, as_frame)


def fetch_fashion_mnist(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
):
    """Load Fashion-MNIST: 70,000 articles of clothing, 28x28, grey.

    Parameters, returns and errors are those of :func:`fetch_mnist`; the folder in the
    data home is ``FashionMNIST/raw``.
    """
    return _fetch_idx(
        "FashionMNIST", subset, data_home, download_if_missing, return_X_y, as_frame
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

    Parameters, returns and errors are those of :func:`fetch_mnist`, except: the training
    set has 50,000 images; ``data`` is (n, 3072), all red, then all green, then all blue
    pixels; ``images`` is (n, 3, 32, 32); the folder is ``cifar-10-batches-py``.
    """
    _check_subset(subset)
    parts = _read("CIFAR10", subset, data_home, download_if_missing)
    # torchvision gives height x width x channels; the files, and torch, have the
    # channels first.
    images = np.concatenate([part.data.transpose(0, 3, 1, 2) for part in parts])
    target = np.concatenate([part.targets for part in parts])
    return _bunch(images, target, parts[0].classes, _DESCR["CIFAR10"], return_X_y, as_frame)


def _check_subset(subset):
    if subset not in SUBSETS:
        raise ValueError(f"subset must be 'train', 'test' or 'all'. Got {subset!r}.")


def get_data_home(data_home=None) -> Path:
    """Return the folder that holds the data sets; it need not exist."""
    if data_home is None:
        data_home = os.environ.get("SKLENET_DATA") or platformdirs.user_cache_dir(
            "sklenet", appauthor=False
        )
    return Path(data_home).expanduser()


def _fetch_idx(name, subset, data_home, download_if_missing, return_X_y, as_frame):
    _check_subset(subset)
    parts = _read(name, subset, data_home, download_if_missing)
    images = [part.data.numpy() for part in parts]
    target = [part.targets.numpy() for part in parts]
    return _bunch(
        images[0] if len(images) == 1 else np.concatenate(images),
        target[0] if len(target) == 1 else np.concatenate(target),
        # torchvision names the digits "0 - zero".
        [c.split(" - ")[0] for c in parts[0].classes],
        _DESCR[name],
        return_X_y,
        as_frame,
    )


def _read(name, subset, data_home, download_if_missing):
    """Return torchvision's training and test data sets, as far as `subset` asks."""
    home = get_data_home(data_home)
    dataset = getattr(import_torchvision().datasets, name)
    if name == "CIFAR10":
        folder, files = home / "cifar-10-batches-py", _CIFAR_FILES
    else:
        folder, files = home / name / "raw", _IDX_FILES
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        cause = None
        if download_if_missing:
            try:
                dataset(home, train=True, download=True)
            except (OSError, RuntimeError) as error:
                cause = error
        if cause or not download_if_missing:
            raise OSError(_how_to_get(name, home, folder, missing, cause)) from cause
    trains = {"train": [True], "test": [False], "all": [True, False]}[subset]
    return [dataset(home, train=train, download=False) for train in trains]


def _how_to_get(name, home, folder, missing, cause):
    tried = f"the download failed ({cause})" if cause else "download_if_missing is False"
    return (
        f"{name} is not in {folder}, and {tried}.\n"
        f"Files expected there and missing: {', '.join(missing)}.\n"
        "Three ways to get them:\n"
        "  1. with a network, call again with download_if_missing=True;\n"
        f"  2. on a machine with one, run torchvision.datasets.{name}(FOLDER,"
        f" download=True) and copy FOLDER to {home};\n"
        "  3. if you have the files elsewhere, in torchvision's layout, name that data"
        " home with data_home= or the environment variable SKLENET_DATA."
    )


def _bunch(images, target, target_names, descr, return_X_y, as_frame):
    data = images.reshape(len(images), -1)
    feature_names = [
        f"pixel_{'_'.join(map(str, index))}" for index in np.ndindex(images.shape[1:])
    ]
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
