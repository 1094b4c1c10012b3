"""CSV, Parquet and .npz files as images and labels, and what is wrong with them."""

import sys

import numpy as np
import pandas as pd
import pytest

from sklenet.datasets.custom import FileSource, open_dataset
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


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (["0", "1", "-2"], [0, 1, -2]),
        (["3.0", "7."], [3, 7]),
        (["00", "01", "10"], ["00", "01", "10"]),
        (["1e3", "2"], ["1e3", "2"]),
        (["TRUE", "false"], ["TRUE", "false"]),
        (["nan", "inf"], ["nan", "inf"]),
        (["1" * 20, "2"], ["1" * 20, "2"]),
        (["5", "a"], ["5", "a"]),
        (["3.10", "3.9"], ["3.10", "3.9"]),
    ],
)
def test_labels_are_as_in_the_file(tmp_path, texts, labels):
    path = tmp_path / "t.csv"
    path.write_text("label,a,b,c,d\n" + "".join(f"{text},1,2,3,4\n" for text in texts))
    assert FileSource(path).read().train[1].tolist() == labels


def test_labels_of_both_files_are_numbers_or_text(tmp_path):
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    test.write_text("label,a,b,c,d\n1.0,1,2,3,4\n 2,1,2,3,4\n")
    for third, labels in (("3", [1, 2]), ("a", ["1.0", " 2"])):
        train.write_text(
            "label,a,b,c,d\n" + "".join(f"{t},1,2,3,4\n" for t in ("1.0", " 2", third))
        )
        parts = FileSource(train, test).read()
        assert parts.test[1].tolist() == labels
        assert set(labels) < set(parts.train[1].tolist())


def test_a_file_with_a_test_set_takes_no_other(tmp_path):
    path = tmp_path / "t.npz"
    X, y = np.zeros((4, 16)), np.arange(4) % 2
    np.savez(path, x_train=X, y_train=y, x_test=X, y_test=y)
    with pytest.raises(ValueError, match=r"has a test set.*Got .*t\.npz"):
        FileSource(path, path).read()
    with pytest.raises(ValueError, match=r"test_fraction = 0\.5 has no effect"):
        open_dataset("t", FileSource(path), 0.5)
    assert open_dataset("t", FileSource(path)).n_images == {"train": 4, "test": 4}


def write_columns(path, names):
    """Write a table of one image, in which column ``p7`` has the pixel 7."""
    pixels = [name.rpartition("p")[2] for name in names]
    path.write_text(f"label,{','.join(names)}\n0,{','.join(pixels)}\n")
    return path


@pytest.mark.parametrize("order", [sorted, reversed], ids=["as text", "reversed"])
def test_numbered_columns_are_in_the_order_of_their_numbers(tmp_path, order):
    names = list(order([f"p{k}" for k in range(1, 17)]))
    table = read_table(write_columns(tmp_path / "t.csv", names))
    assert table.X.tolist() == [list(range(1, 17))]
    assert table.columns == tuple(f"p{k}" for k in range(1, 17))


@pytest.mark.parametrize("names", [["p3", "q1"], ["2p3", "1p1"], ["p3", "p03"], ["a", "b"]])
def test_other_columns_remain_in_the_order_of_the_file(tmp_path, names):
    path = tmp_path / "t.csv"
    path.write_text(f"{','.join(names)},label\n5,6,0\n")
    assert read_table(path).X.tolist() == [[5, 6]]


def test_columns_of_a_test_file_are_matched_by_name(tmp_path):
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("label,a,b,c,d\n0,1,2,3,4\n1,5,6,7,8\n")
    test.write_text("d,c,label,b,a\n4,3,0,2,1\n")
    parts = FileSource(train, test).read()
    assert parts.test[0].tolist() == [[1, 2, 3, 4]]
    test.write_text("label,a,b,c,e,f\n0,1,2,3,4,5\n")
    message = r"test\.csv: the columns .* It lacks d\. It has e, f instead\."
    with pytest.raises(ValueError, match=message):
        FileSource(train, test).read()


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
    assert table.columns is None
    for found, expected in zip(table[:4], arrays, strict=True):
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
