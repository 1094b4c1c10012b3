"""Datasets that torchvision's classes download and read.

torchvision verifies the checksum of what it downloads. The files are stored in the folders
that torchvision uses.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sklenet.datasets.files import make_missing_error
from sklenet.datasets.torchvision_guard import import_torchvision

Arrays = tuple[np.ndarray, np.ndarray]

# Archives from which torchvision extracts the files of a dataset.
_ARCHIVES = (".gz", ".zip")


def convert_plain(dataset: Any) -> Arrays:
    """Return the images and the labels of one of torchvision's datasets."""
    return np.asarray(dataset.data), np.asarray(dataset.targets)


def transpose_images(dataset: Any) -> Arrays:
    """Return the images, with rows and columns exchanged, and the labels."""
    images, labels = convert_plain(dataset)
    return images.transpose(0, 2, 1), labels


def convert_letters(dataset: Any) -> Arrays:
    """Return the images of EMNIST's letters, upright, and labels that begin with 0."""
    images, labels = transpose_images(dataset)
    return images, labels - 1


def convert_qmnist(dataset: Any) -> Arrays:
    """Return the images and the digits; other columns of the labels describe the writer."""
    images, labels = convert_plain(dataset)
    return images, labels[:, 0]


def convert_svhn(dataset: Any) -> Arrays:
    """Return the images and the labels of SVHN."""
    return np.asarray(dataset.data), np.asarray(dataset.labels)


def name_idx_files(train: str, test: str) -> dict[str, tuple[str, ...]]:
    """Return the names of files in MNIST's format, by subset, given their prefixes."""
    return {
        subset: (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
        for subset, prefix in (("train", train), ("test", test))
    }


@dataclass(frozen=True)
class TorchvisionFiles:
    """The files of a dataset that one of torchvision's classes downloads and reads.

    Parameters
    ----------
    torchvision_name : str
        Name of the class of `torchvision.datasets`.
    folder : str
        Folder of the files, relative to the data home.
    files : dict of str to tuple of str
        Names of the files of the subsets "train" and "test".
    options : dict, default={}
        Further arguments of the class.
    has_split : bool, default=False
        Whether the class takes the subset as ``split`` instead of ``train``.
    convert : callable
        Function that returns the images and the labels of the class's instance.
    """

    torchvision_name: str
    folder: str
    files: Mapping[str, tuple[str, ...]]
    options: Mapping[str, Any] = field(default_factory=dict)
    has_split: bool = False
    convert: Callable[[Any], Arrays] = convert_plain

    def fetch(self, home: Path, *, download_if_missing: bool) -> None:
        """Make sure that all files are in the data home.

        Raises
        ------
        OSError
            If files are missing and must not, or cannot, be downloaded.
        """
        missing = [
            file
            for files in self.files.values()
            for file in files
            if not (home / self.folder / file).is_file()
        ]
        if not missing:
            return
        options = dict(self.options) | ({"split": "train"} if self.has_split else {})
        listed = "".join(f"{name}={value!r}, " for name, value in options.items())
        call = f"{self.torchvision_name}(FOLDER, {listed}download=True)"
        where = (call, home, home / self.folder, missing)
        if not download_if_missing:
            raise make_missing_error(*where, "download_if_missing is False")
        try:
            self._download(home)
        except (OSError, RuntimeError) as error:
            raise make_missing_error(*where, f"the download failed ({error})") from error

    def read(self, home: Path, subset: str) -> Arrays:
        """Return the images and the labels of a subset.

        Parameters
        ----------
        home : Path
            The data home, with all files.
        subset : {"train", "test"}

        Raises
        ------
        OSError
            If the files cannot be read.
        """
        try:
            images, labels = self.convert(self._open(home, subset))
        except Exception as error:  # torchvision raises all kinds of errors
            raise self._damaged_error(home, subset, str(error)) from error
        if not 0 < len(images) == len(labels):
            counts = f"they have {len(images):,} images and {len(labels):,} labels"
            raise self._damaged_error(home, subset, counts)
        return np.ascontiguousarray(images, dtype=np.uint8), labels.astype(np.int64)

    def _open(self, home: Path, subset: str, *, download: bool = False) -> Any:
        torchvision_class = getattr(import_torchvision().datasets, self.torchvision_name)
        which = {"split": subset} if self.has_split else {"train": subset == "train"}
        return torchvision_class(home, **which, **self.options, download=download)

    def _download(self, home: Path) -> None:
        """Download all files, and move each into place once all are complete."""
        home.mkdir(parents=True, exist_ok=True)
        prefix = f".{self.torchvision_name}-"
        with tempfile.TemporaryDirectory(prefix=prefix, dir=home) as temporary:
            for subset in self.files:
                self._open(Path(temporary), subset, download=True)
                self.read(Path(temporary), subset)
            source, folder = Path(temporary) / self.folder, home / self.folder
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(source.iterdir()):
                if path.is_file() and path.suffix not in _ARCHIVES:
                    shutil.move(path, folder / path.name)

    def _damaged_error(self, home: Path, subset: str, reason: str) -> OSError:
        paths = " or ".join(str(home / self.folder / file) for file in self.files[subset])
        return OSError(
            f"{paths} is damaged: {reason}. Remove the files; they are then downloaded"
            " again, or can be copied from elsewhere."
        )
