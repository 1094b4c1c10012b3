"""Images and labels from tables: CSV and Parquet files, and arrays in ``.npz`` files."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sklenet._utils.names import suggest_similar
from sklenet._utils.printable import make_printable

# Formats of files, by the suffixes of their names.
FILE_SUFFIXES = (".csv", ".tsv", ".parquet", ".npz")

LABEL = "label"  # default name of the column of labels

# Text with one number in it, such as the name of a column.
_NUMBERED = re.compile(r"(\D*)(\d{1,9})(\D*)")

# Labels in text files that are whole numbers, unlike 007 and 1e3.
_WHOLE = r"\s*-?(0|[1-9][0-9]{0,17})(\.0*)?\s*"
_TEXT_SUFFIXES = (".csv", ".tsv")

_MAX_NAMES = 8  # in a message
_DELIMITERS = ",;\t"

# Names of arrays in a file, in the order in which they are tried. The files of Keras and of
# MedMNIST have a test set as well.
_IMAGE_ARRAYS = ("X", "x", "images", "data", "x_train", "X_train", "train_images")
_LABEL_ARRAYS = ("y", "labels", LABEL, "target", "y_train", "train_labels")
_TEST_IMAGE_ARRAYS = ("x_test", "X_test", "test_images")
_TEST_LABEL_ARRAYS = ("y_test", "test_labels")


class Table(NamedTuple):
    """Images and labels as stored in a file.

    Parameters
    ----------
    X : ndarray
        Pixels, as rows or as images.
    y : ndarray of shape (n,)
        Labels.
    X_test, y_test : ndarray, optional
        Those of the test set, if the file has one.
    columns : tuple of str, optional
        Names of the columns of X, if the file has names.
    """

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray | None = None
    y_test: np.ndarray | None = None
    columns: tuple[str, ...] | None = None


def read_table(
    path: Path, label: str | None = None, test_path: Path | None = None
) -> Table:
    """Read images and labels from a CSV, Parquet or ``.npz`` file.

    Parameters
    ----------
    path : Path
        The file. Its format is determined by the suffix of its name.
    label : str, optional
        Name of the column, or of the array, of the labels. All other columns are pixels.
        If None, the column is called "label", and the array has one of several common
        names.
    test_path : Path, optional
        File of the test set, whose columns have the same names in any order.

    Returns
    -------
    Table
        The pixels are in the order of the columns or, if these are numbered, such as
        pixel0, pixel1, pixel10, in the order of their numbers. Labels in text files are
        numbers only if all of them, in both files, are written as whole numbers.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If a file cannot be read, lacks the labels, or has pixels that are not numbers; if
        there are two test sets; or if the columns of the test file have other names.
    """
    table = _read_file(path, label)
    texts: dict[str, Any] = {"y": table.y} if _is_text(path) else {}
    if test_path is not None:
        if table.X_test is not None:
            raise ValueError(
                f"{make_printable(path)}: this file has a test set, so that no other one"
                f" can be given. Got {make_printable(test_path)}."
            )
        test = _read_file(test_path, label)
        test = _match_columns(test, table, make_printable(test_path))
        table = table._replace(X_test=test.X, y_test=test.y)
        texts |= {"y_test": test.y} if _is_text(test_path) else {}
    if all(pd.Series(labels).str.fullmatch(_WHOLE).all() for labels in texts.values()):
        texts = {name: pd.to_numeric(labels) for name, labels in texts.items()}
        table = table._replace(**texts)
    return table


def _is_text(path: Path) -> bool:
    return path.suffix.lower() in _TEXT_SUFFIXES


def _read_file(path: Path, label: str | None) -> Table:
    readers = {".csv": _read_csv, ".tsv": _read_csv, ".parquet": _read_parquet}
    suffix = path.suffix.lower()
    if suffix not in FILE_SUFFIXES:
        raise ValueError(
            f"{make_printable(path)}: the name of the file must end with"
            f" {', '.join(FILE_SUFFIXES)}."
        )
    if not path.exists():
        raise FileNotFoundError(f"{make_printable(path)}: there is no such file.")
    if not path.is_file():
        raise OSError(f"{make_printable(path)}: not a regular file.")
    try:
        if suffix == ".npz":
            return _read_npz(path, label)
        return _split_columns(readers[suffix](path, label or LABEL), label or LABEL)
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise OSError(f"{make_printable(path)}: {error.strerror}.") from error
        raise ValueError(f"{make_printable(path)}: {error}") from error


def _read_csv(path: Path, label: str) -> pd.DataFrame:
    with path.open("rb") as file:
        is_utf16 = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    encoding = "utf-16" if is_utf16 else "utf-8-sig"
    try:
        with path.open(encoding=encoding, newline="") as file:
            header = file.readline(2**20)
            # Only empty cells are missing: "NA" and "None" can be names of classes.
            options: dict[str, Any] = {
                "sep": max(_DELIMITERS, key=header.count),
                "keep_default_na": False,
                "na_values": [""],
            }
            file.seek(0)
            _check_header(list(pd.read_csv(file, nrows=0, **options)), label)
            file.seek(0)
            # Labels are text first, since "01" is another label than "1".
            return pd.read_csv(file, low_memory=False, dtype={label: str}, **options)
    except UnicodeError as error:
        raise ValueError(f"not a text file in UTF-8 or UTF-16 ({error}).") from error
    except pd.errors.EmptyDataError as error:
        raise ValueError("the file is empty.") from error
    except pd.errors.ParserError as error:
        raise ValueError(f"not a CSV file ({str(error).strip()}).") from error


def _read_parquet(path: Path, label: str) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path, engine="pyarrow")
    except ImportError as error:
        raise ValueError(
            "reading Parquet requires the package pyarrow, which is not installed (pip"
            " install 'sklenet[parquet]')."
        ) from error
    except Exception as error:  # those of pyarrow
        raise ValueError(f"not a Parquet file ({error}).") from error
    _check_header([str(name) for name in frame], label)
    return frame


def _check_header(names: list[str], label: str) -> None:
    """Raise a ValueError if there is no column of labels."""
    if label in names:
        return
    if names and all(_is_number(name) for name in names):
        raise ValueError(
            "the first row must have the names of the columns, such as label, pixel0,"
            f" pixel1. It has {_list_names(names)}."
        )
    raise ValueError(
        f"there is no column {label!r} for the labels."
        f"{suggest_similar(label, names)} Columns: {_list_names(names)}. Pass the name of"
        " the column as 'label'."
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _list_names(names: list[str]) -> str:
    shown = ", ".join(make_printable(name[:60]) for name in names[:_MAX_NAMES])
    return shown if len(names) <= _MAX_NAMES else f"{shown}, ... ({len(names)} in all)"


def _split_columns(frame: pd.DataFrame, label: str) -> Table:
    """Return the pixels and the labels of a table."""
    if not len(frame):
        raise ValueError("there are no images: the table has no rows.")
    labels = frame[label]
    pixels = frame.drop(columns=label)
    if not pixels.shape[1]:
        raise ValueError(f"there are no pixels: {label!r} is the only column.")
    if labels.isna().any():
        rows = _list_rows(labels.isna())
        raise ValueError(f"the label is missing in {rows}.")
    _check_pixels(pixels)
    pixels = pixels.iloc[:, _sort_numbered(list(map(str, pixels)))]
    columns = tuple(map(str, pixels))
    return Table(pixels.to_numpy(), labels.to_numpy(), columns=columns)


def _sort_numbered(names: Sequence[str]) -> list[int]:
    """Return the positions of columns in the order of their numbers.

    Programs that sort by text write pixel0, pixel1, pixel10, pixel100. Names that are not
    the same text with different numbers remain in the order of the file.
    """
    parts = [_NUMBERED.fullmatch(name) for name in names]
    positions = list(range(len(names)))
    if not all(parts) or len({(part[1], part[3]) for part in parts if part}) > 1:
        return positions
    numbers = [int(part[2]) for part in parts if part]
    if len(set(numbers)) < len(numbers):
        return positions
    return sorted(positions, key=numbers.__getitem__)


def _match_columns(table: Table, other: Table, title: str) -> Table:
    """Return a table with its columns in the order of another one, if both have names."""
    if table.columns is None or other.columns is None or table.columns == other.columns:
        return table
    positions = {name: k for k, name in enumerate(table.columns)}
    missing = [name for name in other.columns if name not in positions]
    unknown = sorted(positions.keys() - set(other.columns))
    if missing or unknown:
        lacks = f" It lacks {_list_names(missing)}." if missing else ""
        has = f" It has {_list_names(unknown)} instead." if unknown else ""
        raise ValueError(
            f"{title}: the columns of pixels must have the names of those in the training"
            f" data.{lacks}{has}"
        )
    order = [positions[name] for name in other.columns]
    return table._replace(X=table.X[:, order], columns=other.columns)


def _check_pixels(pixels: pd.DataFrame) -> None:
    """Raise a ValueError if cells are empty or not numbers."""
    bad = [
        name
        for name, dtype in zip(pixels, pixels.dtypes, strict=True)
        if not pd.api.types.is_numeric_dtype(dtype)
    ]
    if bad:
        column = pixels[bad[0]]
        is_text = pd.to_numeric(column, errors="coerce").isna() & column.notna()
        cell = column[is_text].iloc[0] if is_text.any() else column.iloc[0]
        rows = _list_rows(is_text) if is_text.any() else _list_rows(column.notna())
        raise ValueError(
            f"{len(bad)} of the {pixels.shape[1]} columns of pixels have values that are"
            f" not numbers: {_list_names(list(map(str, bad)))}. The first is"
            f" {str(cell)[:60]!r} in column {str(bad[0])!r}, {rows}. Remove columns that"
            " are not pixels."
        )
    is_missing = pixels.isna()
    if is_missing.to_numpy().any():
        columns = [str(name) for name in pixels if is_missing[name].any()]
        raise ValueError(
            f"pixels are missing in {_list_rows(is_missing.any(axis=1))}, columns"
            f" {_list_names(columns)}."
        )


def _list_rows(mask: pd.Series) -> str:
    """Return the numbers of the rows where a mask is true, counted from 1."""
    rows = [str(row + 1) for row in np.flatnonzero(mask.to_numpy())]
    shown = ", ".join(rows[:_MAX_NAMES])
    more = f", ... ({len(rows):,} in all)" if len(rows) > _MAX_NAMES else ""
    return f"row{'s' if len(rows) > 1 else ''} {shown}{more}"


def _read_npz(path: Path, label: str | None) -> Table:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = list(arrays)
            X = _find_array(arrays, _IMAGE_ARRAYS, "images")
            wanted = _LABEL_ARRAYS if label is None else (label,)
            y = _find_array(arrays, wanted, "labels", "Pass its name as 'label'.")
            if not set(_TEST_IMAGE_ARRAYS) & set(names):
                return Table(X, y)
            X_test = _find_array(arrays, _TEST_IMAGE_ARRAYS, "test images")
            y_test = _find_array(arrays, _TEST_LABEL_ARRAYS, "test labels")
            return Table(X, y, X_test, y_test)
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise ValueError(
                "an array in the file has Python objects, which are never unpickled. Save"
                " arrays of numbers or text."
            ) from error
        raise
    except OSError:
        raise
    except Exception as error:  # of zipfile, for example
        raise ValueError(f"not an .npz file ({error}).") from error


def _find_array(arrays, wanted: tuple[str, ...], what: str, remedy: str = "") -> np.ndarray:
    names = list(arrays)
    found = [name for name in wanted if name in names]
    if not found:
        similar = suggest_similar(wanted[0], names) if len(wanted) == 1 else ""
        raise ValueError(
            f"there is no array of {what}: expected {' or '.join(map(repr, wanted))}."
            f"{similar} Arrays: {_list_names(names) or 'none'}. {remedy}".rstrip()
        )
    return arrays[found[0]]
