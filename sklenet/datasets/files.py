"""The data sets' files: where they are, that they are whole, how they are read.

The layout is torchvision's, and it downloads what is missing. The files are read here,
straight into one array of bytes, each checked against its published MD5 first. Files may be
packed, as their authors publish them, and may lie in the data home itself.
"""

import gzip
import hashlib
import pickle
import shutil
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sklenet.datasets.torchvision_guard import import_torchvision


@dataclass(frozen=True)
class Files:
    """The files of a data set, in a folder of the data home.

    Attributes
    ----------
    name : str
        Of torchvision's class.
    folder : str
    md5 : dict of str to str
        Per file, as its authors or torchvision publish it.
    sizes : tuple of int
        The number of bytes of each file.
    shape : tuple of int
        Of one image.
    counts : dict of str to int
        The number of images per subset, "train" and "test".
    """

    name: str
    folder: str
    md5: dict[str, str]
    sizes: tuple[int, ...]
    shape: tuple[int, ...]
    counts: dict[str, int]

    def missing(self, home: Path) -> list[str]:
        """Return the files that are not in the data home.

        Raises
        ------
        OSError
            If something else than a file is in the place of a missing one.
        """
        missing = [file for file in self.md5 if self._locate(home, file) is None]
        for file in missing:
            path = home / self.folder / file
            if path.exists():
                kind = "a directory" if path.is_dir() else "not a regular file"
                raise OSError(
                    f"{path} is {kind}, and the file {file} of {self.name} is expected"
                    " there. Move it away."
                )
        return missing

    def read(self, home: Path, file: str) -> bytes:
        """Return the content of a file.

        Raises
        ------
        OSError
            If it is not what its authors published.
        """
        path = self._locate(home, file) or home / self.folder / file
        content = self._content(path, file)
        if self._is_right(content, file):
            return content
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        raise self._damaged(
            path,
            f"it has {len(content):,} bytes and the MD5 {found}, but {self.name} as"
            f" published has {self.md5[file]}",
        )

    def _locate(self, home: Path, file: str) -> Path | None:
        """Return where a file is: by any of its names, in the data home or its folders."""
        # Kaggle writes "train-images.idx3-ubyte".
        stems = (file, file.replace("-idx", ".idx"))
        names = [name for stem in stems for name in (stem, f"{stem}.gz")]
        for name in dict.fromkeys(names):
            path = home / self.folder / name
            if path.is_file():
                return path
        # Other data sets have files of the same names, so that only the content tells.
        for folder in (home / Path(self.folder).parts[0], home):
            for name in dict.fromkeys(names):
                path = folder / name
                if path.is_file():
                    try:
                        if self._is_right(self._content(path, file), file):
                            return path
                    except OSError:
                        continue
        return None

    def _content(self, path: Path, file: str) -> bytes:
        """Return what a file holds, unpacked; a file of the wrong size is not read."""
        size = dict(zip(self.md5, self.sizes, strict=True))[file]
        found = path.stat().st_size
        if path.suffix != ".gz":
            if found != size:
                raise self._damaged(
                    path,
                    f"it has {found:,} bytes, but {self.name} as published has {size:,}",
                )
            return path.read_bytes()
        if found > 2 * size:
            raise self._damaged(
                path, f"it has {found:,} bytes, and unpacked {size:,} are due"
            )
        try:
            with gzip.open(path) as packed:
                return packed.read(size + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise self._damaged(path, f"it cannot be unpacked ({error})") from error

    def _is_right(self, content: bytes, file: str) -> bool:
        return hashlib.md5(content, usedforsecurity=False).hexdigest() == self.md5[file]

    def _damaged(self, path: Path, why: str) -> OSError:
        return OSError(
            f"{path} is damaged: {why}. Remove the file; it is then downloaded again, or"
            " can be copied from elsewhere."
        )

    def download(self, home: Path) -> None:
        """Download all files, and put each in its place once it is whole and right.

        Whatever else happens meanwhile, a file in its place is complete: several
        processes may do this at once, and an interrupted one leaves none behind.
        """
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{self.name}-", dir=home) as part:
            dataset = getattr(import_torchvision().datasets, self.name)
            try:
                dataset(part, download=True)
            except (OSError, RuntimeError):
                raise
            except Exception:
                # It reads what it has downloaded, and fails in its own ways on files that
                # are not what they should be. The check below names them.
                pass
            for file in self.md5:
                self.read(Path(part), file)
            (home / self.folder).mkdir(parents=True, exist_ok=True)
            for file in self.md5:
                shutil.move(Path(part) / self.folder / file, home / self.folder / file)


def _idx(name: str, *md5: str) -> Files:
    files = (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )
    return Files(
        name,
        f"{name}/raw",
        dict(zip(files, md5, strict=True)),
        (16 + 60_000 * 28 * 28, 8 + 60_000, 16 + 10_000 * 28 * 28, 8 + 10_000),
        (28, 28),
        {"train": 60_000, "test": 10_000},
    )


MNIST = _idx(
    "MNIST",
    "6bbc9ace898e44ae57da46a324031adb",
    "a25bea736e30d166cdddb491f175f624",
    "2646ac647ad5339dbf082846283269ea",
    "27ae3e4e09519cfbb04c329615203637",
)
FASHION_MNIST = _idx(
    "FashionMNIST",
    "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "9018921c3c673c538a1fc5bad174d6f9",
    "8181f5470baa50b63fa0f6fddb340f0a",
    "15d484375f8d13e6eb1aabb0c3f46965",
)
CIFAR10 = Files(
    "CIFAR10",
    "cifar-10-batches-py",
    {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
    (31035704, 31035320, 31035999, 31035696, 31035623, 31035526, 158),
    (3, 32, 32),
    {"train": 50_000, "test": 10_000},
)


def read_images(files: Files, home: Path, subsets: list[str]):
    """Return the images (n, ...) as uint8 and the labels (n,) of some subsets, in order.

    Raises
    ------
    OSError
        If a file is damaged.
    """
    n = sum(files.counts[subset] for subset in subsets)
    images = np.empty((n, *files.shape), np.uint8)
    labels = np.empty(n, np.int64)
    parts = _idx_parts if files.name.endswith("MNIST") else _cifar_parts
    start = 0
    for subset in subsets:
        for part_images, part_labels in parts(files, home, subset):
            stop = start + len(part_labels)
            images[start:stop] = part_images.reshape(-1, *files.shape)
            labels[start:stop] = part_labels
            start = stop
    return images, labels


def _idx_parts(files, home, subset):
    part = {"train": "train", "test": "t10k"}[subset]
    # An IDX file of bytes: two zeros, the type, the number of axes; their lengths, of 4
    # bytes each; the values.
    images = files.read(home, f"{part}-images-idx3-ubyte")
    labels = files.read(home, f"{part}-labels-idx1-ubyte")
    yield (
        np.frombuffer(images, np.uint8, offset=16),
        np.frombuffer(labels, np.uint8, offset=8),
    )


def _cifar_parts(files, home, subset):
    names = [f for f in files.md5 if f.startswith("data" if subset == "train" else "test")]
    for name in names:
        # A pickle, but a known one: its MD5 has been checked.
        batch = pickle.loads(files.read(home, name), encoding="latin1")
        yield batch["data"], batch["labels"]
