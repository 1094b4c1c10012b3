"""The tables of a study file for custom datasets, one model for each kind of source."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
    model_serializer,
    model_validator,
)

from sklenet.datasets.custom import (
    FileSource,
    FolderSource,
    OpenMLSource,
    Source,
    open_dataset,
)
from sklenet.datasets.registry import DATASET_NAMES, ImageDataset
from sklenet.datasets.table_files import FILE_SUFFIXES
from sklenet.study.config.allowed import MAX_SIDE
from sklenet.study.config.errors import BadKey
from sklenet.study.config.fields import DATA_NAME, Seed, Table
from sklenet.study.config.values import short_repr

_KINDS = ("folder", "file", "openml")


def _check_path(path: str) -> str:
    """Raise a ValueError if a path is empty, a URL or has control characters."""
    if not path.strip() or not path.isprintable():
        raise ValueError(f"must be the path of a file or folder. Got {short_repr(path)}.")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", path):
        raise ValueError(
            "must be a path on this machine, not a URL: download it first. Got"
            f" {short_repr(path)}."
        )
    return path


def _check_suffix(path: str) -> str:
    if not path.lower().endswith(FILE_SUFFIXES):
        raise ValueError(
            f"must be a file whose name ends with {', '.join(FILE_SUFFIXES)}. Got"
            f" {short_repr(path)}."
        )
    return path


def _check_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] not in (1, 3)):
        raise ValueError(
            "must be [height, width], or [channels, height, width] with 1 or 3 channels."
            f" Got {short_repr(list(shape))}."
        )
    return shape


_Path = Annotated[StrictStr, AfterValidator(_check_path)]
_File = Annotated[_Path, AfterValidator(_check_suffix)]
_Side = Annotated[StrictInt, Field(ge=1, le=MAX_SIDE)]
_Shape = Annotated[tuple[_Side, ...], AfterValidator(_check_shape)]
_Fraction = Annotated[StrictFloat, Field(gt=0, lt=1)]
_Label = Annotated[StrictStr, Field(min_length=1)]


class _CustomDataset(Table):
    """A custom dataset of a study, with what all kinds have in common.

    Parameters
    ----------
    test_fraction : float, optional
        Fraction of the images that become the test set, which is stratified. If None, it is
        0.2, unless there is a test set.
    test_seed : int, default=0
        Seed of this split.
    image_shape : tuple of int, optional
        Shape of one image, (h, w) or (c, h, w).
    """

    TEST_KEY: ClassVar[str] = ""

    test_fraction: _Fraction | None = None
    test_seed: Seed = 0
    image_shape: _Shape | None = None

    @model_validator(mode="after")
    def _check_test_part(self) -> Self:
        key = self.TEST_KEY
        if key and getattr(self, key) is not None and self.test_fraction is not None:
            raise BadKey(
                ("test_fraction",),
                f"{key!r} and 'test_fraction' exclude each other. Remove one.",
            )
        return self

    @model_serializer(mode="wrap")
    def _leave_out_defaults(self, handler) -> dict:
        return {
            key: value
            for key, value in handler(self).items()
            if value is not None and (key, value) != ("test_seed", 0)
        }

    def make_source(self, base: Path) -> Source:
        """Return where the images come from; paths are relative to `base`."""
        raise NotImplementedError

    def open(self, name: str, base: Path) -> ImageDataset:
        """Read the dataset; see `sklenet.datasets.custom.open_dataset`.

        Parameters
        ----------
        name : str
            Name of the dataset.
        base : Path
            Folder to which paths are relative.
        """
        source = self.make_source(base)
        return open_dataset(name, source, self.test_fraction, self.test_seed)


class FolderDataset(_CustomDataset):
    """A folder of images with one sub-folder per class.

    Parameters
    ----------
    folder : str
        Path of the folder, relative to the study file.
    test_folder : str, optional
        Folder of the test set.
    """

    TEST_KEY: ClassVar[str] = "test_folder"

    folder: _Path
    test_folder: _Path | None = None

    def make_source(self, base: Path) -> Source:
        """Return where the images come from; paths are relative to `base`."""
        test = None if self.test_folder is None else base / self.test_folder
        return FolderSource(base / self.folder, test, self.image_shape or (28, 28))


class FileDataset(_CustomDataset):
    """A CSV, Parquet or ``.npz`` file with pixels and labels.

    Parameters
    ----------
    file : str
        Path of the file, relative to the study file.
    test_file : str, optional
        File of the test set.
    label : str, optional
        Name of the column, or of the array, of the labels.
    """

    TEST_KEY: ClassVar[str] = "test_file"

    file: _File
    test_file: _File | None = None
    label: _Label | None = None

    def make_source(self, base: Path) -> Source:
        """Return where the images come from; paths are relative to `base`."""
        test = None if self.test_file is None else base / self.test_file
        return FileSource(base / self.file, test, self.label, self.image_shape)


class OpenMLDataset(_CustomDataset):
    """A dataset of OpenML.

    Parameters
    ----------
    openml : str or int
        Name of the dataset or its number.
    version : int, optional
        Version of a dataset with this name.
    label : str, optional
        Name of the column of the labels. If None, the one that the dataset declares.
    """

    openml: Annotated[StrictStr, Field(min_length=1)] | Annotated[StrictInt, Field(ge=1)]
    version: Annotated[StrictInt, Field(ge=1)] | None = None
    label: _Label | None = None

    def make_source(self, base: Path) -> Source:
        """Return where the images come from."""
        return OpenMLSource(self.openml, self.version, self.label, self.image_shape)


KINDS: dict[str, type[_CustomDataset]] = {
    "folder": FolderDataset,
    "file": FileDataset,
    "openml": OpenMLDataset,
}


def _find_kind(table) -> str:
    """Return the kind of a table: which one of the keys of a source it has."""
    if isinstance(table, _CustomDataset):
        return next(kind for kind, model in KINDS.items() if isinstance(table, model))
    found = [kind for kind in _KINDS if isinstance(table, Mapping) and kind in table]
    return found[0] if found else "file"


def _check_table(table):
    """Raise an error unless a table has exactly one source."""
    if isinstance(table, _CustomDataset):
        return table
    if not isinstance(table, Mapping):
        raise ValueError(
            "must be a table, such as { folder = 'scans' } or { file = 'train.csv' }. Got"
            f" {short_repr(table)}."
        )
    found = [kind for kind in _KINDS if kind in table]
    if len(found) > 1:
        raise BadKey(
            (found[1],),
            f"{' and '.join(map(repr, found))} exclude each other. Keep one of them.",
        )
    if not found:
        raise ValueError(
            "a dataset needs one of 'folder', 'file' and 'openml'. Got the keys"
            f" {', '.join(map(repr, table)) or 'none'}."
        )
    return table


CustomDataset = Annotated[
    Annotated[FolderDataset, Tag("folder")]
    | Annotated[FileDataset, Tag("file")]
    | Annotated[OpenMLDataset, Tag("openml")],
    Discriminator(_find_kind),
    BeforeValidator(_check_table),
]


def _check_names(tables: dict[str, CustomDataset]) -> dict[str, CustomDataset]:
    for name in tables:
        if name in DATASET_NAMES:
            raise BadKey(
                (name,),
                f"{name!r} is the name of a dataset that sklenet knows. Choose another"
                " name.",
            )
        if not DATA_NAME.fullmatch(name):
            raise BadKey(
                (name,),
                "the name of a dataset must have letters, digits, '_' and '-' only, at most"
                f" 64, and not begin with '_' or '-'. Got {short_repr(name)}.",
            )
    return tables


CustomDatasets = Annotated[dict[StrictStr, CustomDataset], AfterValidator(_check_names)]
