"""CSV, Parquet and .npz files as images and labels, and what is wrong with them."""

import sys

import numpy as np
import pandas as pd
import pytest

from sklenet.datasets.custom import FileSource
from sklenet.datasets.table_files import read_table

RNG = np.random.default_rng(0)


def test_the_layout_of_kaggles_mnist(tmp_path):
    X = RNG.integers(0, 256, (20, 784))
    frame = pd.DataFrame(X, columns=[f"pixel{k}" for k in range(784)])
    frame.insert(0, "label", np.arange(20) % 10)
    frame.to_csv(tmp_path / "train.csv", index=False)
    parts = FileSource(tmp_path / "train.csv").read()
    assert parts.image_shape == (1, 28, 28)
    assert np.array_equal(parts.train[0], X)
    assert parts.train[0].dtype == np.uint8
    assert parts.train[1].tolist() == (np.arange(20) % 10).tolist()


ROWS = "class;a;b;c;d\nNA;1;2;3;4\nNone;5;6;7;8\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_separators_and_encodings(tmp_path, encoding, delimiter):
    path = tmp_path / "t.csv"
    path.write_text(ROWS.replace(";", delimiter), encoding=encoding)
    table = read_table(path, "class")
    assert table.X.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert table.y.tolist() == ["NA", "None"]


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        (
            "labl,a,b\n1,2,3\n",
            None,
            r"no column 'label'.* Did you mean 'labl'\? Columns",
        ),
        ("x,y\n1,2\n", "z", "no column 'z' for the labels. Columns: x, y"),
        ("5,0,0\n1,2,3\n", None, "the first row must have the names of the columns"),
        ("label,a,b\n1,2,dog\n", None, r"1 of the 2 columns.*'dog' in column 'b', row 1"),
        ("label,a,b\n1,2,\n1,,3\n", None, "pixels are missing in rows 1, 2, columns a, b"),
        ("label,a\n,2\n1,3\n", None, "the label is missing in row 1"),
        ("label,a\n", None, "there are no images"),
        ("label\n1\n", None, "'label' is the only column"),
        ("", None, "the file is empty"),
        ("label,a\n1,2,3,4\n1,2,3,4,5,6\n", None, "not a CSV file"),
    ],
)
def test_invalid_tables_are_rejected(tmp_path, text, label, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_table(path, label)
    assert str(error.value).startswith(str(path))


def test_other_files_are_rejected(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"label,a\n\xff\xfe\x00,1\n")
    with pytest.raises(ValueError, match="not a text file in UTF-8"):
        read_table(tmp_path / "a.csv")
    with pytest.raises(ValueError, match=r"must end with \.csv"):
        read_table(tmp_path / "a.xlsx")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(OSError, match="not a regular file"):
        read_table(tmp_path / "folder.csv")


def test_parquet(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"label": ["a", "b"], "p": [1, 2]}).to_parquet(path)
    table = read_table(path)
    assert (table.X.tolist(), table.y.tolist()) == ([[1], [2]], ["a", "b"])
    path.write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="not a Parquet file"):
        read_table(path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match="requires the package pyarrow"):
        read_table(path)


@pytest.mark.parametrize(
    "names",
    [
        ("X", "y"),
        ("images", "labels"),
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
    ],
    ids="-".join,
)
def test_names_of_arrays(tmp_path, names):
    arrays = [
        np.arange(8 * n).reshape(n, 8) if n % 2 else np.arange(4) for n in (5, 4, 3, 2)
    ]
    np.savez(tmp_path / "t.npz", **dict(zip(names, arrays, strict=False)))
    table = read_table(tmp_path / "t.npz")
    for found, expected in zip(table, arrays, strict=True):
        if found is not None:
            assert np.array_equal(found, expected)
    assert (table.X_test is None) == (len(names) == 2)


def test_python_objects_in_arrays_are_never_unpickled(tmp_path):
    mark = tmp_path / "unpickled"

    class Evil:
        def __reduce__(self):
            return mark.touch, ()

    np.savez(tmp_path / "t.npz", X=np.zeros((2, 4)), y=np.array([Evil(), None], object))
    with pytest.raises(ValueError, match="Python objects, which are never unpickled"):
        read_table(tmp_path / "t.npz")
    assert not mark.exists()


def test_missing_arrays_and_damaged_files(tmp_path):
    np.savez(tmp_path / "t.npz", X=np.zeros((2, 4)), lables=np.zeros(2))
    with pytest.raises(ValueError, match="no array of labels: expected 'y' or"):
        read_table(tmp_path / "t.npz")
    with pytest.raises(ValueError, match=r"Did you mean 'lables'\? Arrays: X, lables"):
        read_table(tmp_path / "t.npz", "labels")
    (tmp_path / "t.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        read_table(tmp_path / "t.npz")
