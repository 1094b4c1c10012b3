"""The files of the datasets: located, downloaded, verified and read.

torchvision downloads the files, and they are stored in the folders that it uses. They are
read here, directly into one array of bytes, after their MD5 checksums have been verified.
Files may be compressed with gzip, as their authors publish them, and may also lie in the
data home itself.
"""

import gzip
import hashlib
import pickle
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sklearn.datasets
from sklearn.model_selection import train_test_split

from sklenet.datasets.torchvision_guard import import_torchvision

Batches = Iterator[tuple[np.ndarray, np.ndarray]]


class PublishedFile(NamedTuple):
    """The size and the checksum of a file, as its authors or torchvision publish them."""

    n_bytes: int
    md5: str


@dataclass(frozen=True)
class DatasetFiles:
    """The files of a dataset, in a folder of the data home.

    Parameters
    ----------
    torchvision_name : str
        Name of the class of `torchvision.datasets` that downloads the files.
    folder : str
        Folder of the files, relative to the data home.
    published : dict of str to PublishedFile
        Size and checksum of each file.
    read_batches : callable
        Function of these files, the data home and a subset ("train" or "test") that yields
        the images and the labels, file by file.
    """

    torchvision_name: str
    folder: str
    published: dict[str, PublishedFile]
    read_batches: Callable[["DatasetFiles", Path, str], Batches]

    def fetch(self, home: Path, *, download_if_missing: bool) -> None:
        """Make sure that all files are in the data home.

        Raises
        ------
        OSError
            If files are missing and must not, or cannot, be downloaded.
        """
        missing = self._find_missing(home)
        if not missing:
            return
        if not download_if_missing:
            raise self._missing_error(home, missing, "download_if_missing is False")
        try:
            self._download(home)
        except (OSError, RuntimeError) as error:
            reason = f"the download failed ({error})"
            raise self._missing_error(home, missing, reason) from error

    def read(self, home: Path, file: str) -> bytes:
        """Return the content of a file, decompressed.

        Raises
        ------
        OSError
            If the content is not what the authors of the dataset published.
        """
        path = self._locate(home, file) or home / self.folder / file
        content = self._decompress(path, file)
        md5 = _md5(content)
        if md5 != self.published[file].md5:
            raise _damaged_error(
                path,
                f"it has {len(content):,} bytes and the MD5 checksum {md5}, but the"
                f" published file has {self.published[file].md5}",
            )
        return content

    def _find_missing(self, home: Path) -> list[str]:
        """Return the names of the files that are not in the data home.

        Raises
        ------
        OSError
            If there is something other than a file at the path of a missing file.
        """
        missing = [file for file in self.published if self._locate(home, file) is None]
        for file in missing:
            path = home / self.folder / file
            if path.exists():
                kind = "a directory" if path.is_dir() else "not a regular file"
                raise OSError(
                    f"{path} is {kind}, but the file {file} of {self.torchvision_name} is"
                    " expected there. Move it away."
                )
        return missing

    def _missing_error(self, home: Path, missing: list[str], reason: str) -> OSError:
        call = f"{self.torchvision_name}(FOLDER, download=True)"
        return make_missing_error(call, home, home / self.folder, missing, reason)

    def _locate(self, home: Path, file: str) -> Path | None:
        """Return the path of a file, under any of its names, or None."""
        # On Kaggle the files are called "train-images.idx3-ubyte" and so on.
        stems = (file, file.replace("-idx", ".idx"))
        names = list(dict.fromkeys(f"{stem}{end}" for stem in stems for end in ("", ".gz")))
        for name in names:
            path = home / self.folder / name
            if path.is_file():
                return path
        # Other datasets have files of the same names: only the content tells them apart.
        for folder in (home / Path(self.folder).parts[0], home):
            for name in names:
                path = folder / name
                if path.is_file() and self._is_published(path, file):
                    return path
        return None

    def _is_published(self, path: Path, file: str) -> bool:
        try:
            return _md5(self._decompress(path, file)) == self.published[file].md5
        except OSError:
            return False

    def _decompress(self, path: Path, file: str) -> bytes:
        """Return the content of a file; a file of the wrong size is not read."""
        n_expected = self.published[file].n_bytes
        n_bytes = path.stat().st_size
        if path.suffix != ".gz":
            if n_bytes != n_expected:
                raise _damaged_error(
                    path,
                    f"it has {n_bytes:,} bytes, but the published file has {n_expected:,}",
                )
            return path.read_bytes()
        if n_bytes > 2 * n_expected:
            raise _damaged_error(
                path,
                f"it has {n_bytes:,} bytes, but decompressed it should have {n_expected:,}",
            )
        try:
            with gzip.open(path) as compressed:
                return compressed.read(n_expected + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise _damaged_error(path, f"it cannot be decompressed ({error})") from error

    def _download(self, home: Path) -> None:
        """Download all files, and move each into place once all are complete and verified.

        A file in its place is therefore always complete: several processes may download at
        the same time, and an interrupted download leaves no file behind.
        """
        home.mkdir(parents=True, exist_ok=True)
        prefix = f".{self.torchvision_name}-"
        with tempfile.TemporaryDirectory(prefix=prefix, dir=home) as temporary:
            torchvision_class = getattr(
                import_torchvision().datasets, self.torchvision_name
            )
            try:
                torchvision_class(temporary, download=True)
            except (OSError, RuntimeError):
                raise
            except Exception:
                # torchvision parses the files that it has downloaded, and raises all kinds
                # of errors on invalid ones. The verification below names the file.
                pass
            for file in self.published:
                self.read(Path(temporary), file)
            (home / self.folder).mkdir(parents=True, exist_ok=True)
            for file in self.published:
                shutil.move(Path(temporary) / self.folder / file, home / self.folder / file)


def make_missing_error(
    call: str, home: Path, folder: Path, missing: list[str], reason: str
) -> OSError:
    """Return the error for missing files of a dataset, with three ways to get them.

    Parameters
    ----------
    call : str
        Call of the class of `torchvision.datasets` that downloads the files.
    home, folder : Path
        The data home, and the folder of the files in it.
    missing : list of str
        Names of the missing files.
    reason : str
        Why they are not downloaded.
    """
    return OSError(
        f"{call.partition('(')[0]} is not in {folder}, and {reason}.\n"
        f"Files expected there and missing: {', '.join(missing)}.\n"
        "Three ways to get them:\n"
        "  1. with a network connection, call again with download_if_missing=True;\n"
        "  2. on a machine with a network connection, run torchvision.datasets."
        f"{call} and copy FOLDER to {home};\n"
        "  3. if you have the files elsewhere, in torchvision's folders, pass the data"
        " home as data_home= or set the environment variable SKLENET_DATA to it."
    )


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _damaged_error(path: Path, reason: str) -> OSError:
    return OSError(
        f"{path} is damaged: {reason}. Remove the file; it is then downloaded again, or can"
        " be copied from elsewhere."
    )


def read_idx(files: DatasetFiles, home: Path, subset: str) -> Batches:
    """Yield the images and the labels of a subset from files in MNIST's IDX format."""
    prefix = {"train": "train", "test": "t10k"}[subset]
    images = files.read(home, f"{prefix}-images-idx3-ubyte")
    labels = files.read(home, f"{prefix}-labels-idx1-ubyte")
    # The header has 4 bytes, the last one the number of axes, and 4 bytes for the length
    # of each axis.
    yield (
        np.frombuffer(images, np.uint8, offset=16),
        np.frombuffer(labels, np.uint8, offset=8),
    )


def read_cifar(files: DatasetFiles, home: Path, subset: str) -> Batches:
    """Yield the images and the labels of a subset from the batches of CIFAR-10."""
    prefix = {"train": "data_batch", "test": "test_batch"}[subset]
    for file in files.published:
        if file.startswith(prefix):
            # Unpickling is safe here: the content is the published one, by its checksum.
            batch = pickle.loads(files.read(home, file), encoding="latin1")
            yield batch["data"], batch["labels"]


def read_digits(subset: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and the labels of the digits that ship with scikit-learn."""
    digits = sklearn.datasets.load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target
    if subset == "all":
        return images, labels
    train, test = train_test_split(
        np.arange(len(labels)), test_size=360, stratify=labels, random_state=0
    )
    rows = np.sort(train if subset == "train" else test)
    return images[rows], labels[rows]
