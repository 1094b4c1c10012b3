"""Custom datasets: what they are read as, their test sets, and what is rejected."""

import hashlib
import json
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets._openml
from PIL import Image

from sklenet.datasets.custom import (
    ArraySource,
    FileSource,
    FolderSource,
    OpenMLSource,
    make_parts,
    normalize_labels,
    open_dataset,
)
from sklenet.datasets.table_files import Table

NAMES = ["ash", "birch", "oak"]
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (30, 16), dtype=np.uint8)
Y = np.array(NAMES * 10)


def open_arrays(X, y, *test, **options):
    return open_dataset("mine", ArraySource(Table(X, y, *test)), **options)


def write_csv(path, X=X, y=Y, label="label"):
    frame = pd.DataFrame(X, columns=[f"pixel{k}" for k in range(X.shape[1])])
    frame.insert(0, label, y)
    frame.to_csv(path, index=False)
    return path


def write_folder(folder, X=X, y=Y):
    for k, (row, label) in enumerate(zip(X, y, strict=True)):
        path = folder / str(label) / f"{k:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(row.reshape(4, 4)).save(path)
    return folder


def test_a_folder_a_table_and_arrays_are_the_same_dataset(tmp_path):
    order = np.argsort(Y, kind="stable")
    np.savez(tmp_path / "t.npz", X=X[order].reshape(-1, 4, 4), y=Y[order])
    opened = [
        open_dataset("a", FolderSource(write_folder(tmp_path / "a"), None, (4, 4))),
        open_dataset("a", FileSource(write_csv(tmp_path / "t.csv", X[order], Y[order]))),
        open_dataset("a", FileSource(tmp_path / "t.npz")),
        open_arrays(X[order].astype(float), Y[order].tolist()),
    ]
    assert len({one.fingerprint for one in opened}) == 1
    for dataset in opened:
        assert dataset.class_names == ("ash", "birch", "oak")
        assert dataset.image_shape == (1, 4, 4)
        assert dataset.n_images == {"train": 24, "test": 6}
        for subset, n in dataset.n_images.items():
            images, labels = dataset.source(subset)
            assert images.shape == (n, 4, 4)
            assert images.dtype == np.uint8
            assert np.array_equal(images, opened[0].source(subset)[0])
            assert np.unique(labels, return_counts=True)[1].tolist() == [n // 3] * 3


def test_the_split_has_a_fixed_seed_and_every_image_once():
    first, again = (open_arrays(X, Y) for _ in range(2))
    other = open_arrays(X, Y, test_seed=1)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    images, _ = first.source("all")
    assert len(images) == 30
    assert {tuple(image.ravel()) for image in images} == {tuple(row) for row in X}
    assert open_arrays(X, Y, test_fraction=0.5).n_images == {"train": 15, "test": 15}


def test_a_test_set_is_used_as_it_is():
    dataset = open_arrays(X[:20], Y[:20], X[20:], Y[20:])
    images, labels = dataset.source("test")
    assert np.array_equal(images.reshape(10, 16), X[20:])
    assert labels.tolist() == Y[20:].tolist()


@pytest.mark.parametrize("change", ["pixel", "label", "test label", "order"])
def test_changed_data_have_another_fingerprint(change):
    X2, y2 = X.copy(), Y.copy()
    if change == "pixel":
        X2[0, 0] ^= 1
    elif change == "order":
        X2[[0, 3]], y2[[0, 3]] = X2[[3, 0]], y2[[3, 0]]
    else:
        y2[0 if change == "label" else 29] = "ash" if change == "test label" else "oak"
    before = open_arrays(X[:20], Y[:20], X[20:], Y[20:]).fingerprint
    assert open_arrays(X2[:20], y2[:20], X2[20:], y2[20:]).fingerprint != before


def test_other_processes_read_the_files_again_and_notice_a_change(tmp_path):
    import pickle

    path = write_csv(tmp_path / "t.csv")
    dataset = open_dataset("a", FileSource(path))
    sent = pickle.loads(pickle.dumps(dataset))
    assert sent == dataset
    assert np.array_equal(sent.source("train")[0], dataset.source("train")[0])
    sent = pickle.loads(pickle.dumps(dataset))
    write_csv(path, X[::-1])
    with pytest.raises(OSError, match="have changed since they were first read"):
        sent.source("train")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.array([3, 7], np.uint8), [3, 7]),
        (np.array([1.0, 0.0]), [1, 0]),
        (np.array([True, False]), ["True", "False"]),
        (np.array([b"a", b"\xc3\xa9"]), ["a", "é"]),
        (["a", 1], ["a", "1"]),
        ([[2], [3]], [2, 3]),
    ],
)
def test_labels_are_whole_numbers_or_text(given, expected):
    assert normalize_labels(given, "x").tolist() == expected


@pytest.mark.parametrize(
    ("pixels", "dtype"),
    [
        (X.astype(np.int64), np.uint8),
        (X.astype(np.float32), np.uint8),
        (X / 255, np.float32),
        (X.astype(np.int32) * 200, np.float32),
        (X > 100, np.uint8),
    ],
    ids=["integers", "whole floats", "fractions", "16 bits", "booleans"],
)
def test_whole_numbers_up_to_255_are_bytes(pixels, dtype):
    rows, _ = make_parts(Table(pixels, Y), None, "x").train
    assert rows.dtype == dtype
    assert np.allclose(rows, pixels)


@pytest.mark.parametrize(
    ("shape", "image_shape", "expected"),
    [
        ((30, 12), [3, 4], (1, 3, 4)),
        ((30, 48), None, (3, 4, 4)),
        ((30, 3, 8, 8), None, (3, 8, 8)),
        ((30, 8, 8, 3), None, (3, 8, 8)),
        ((30, 5, 7), None, (1, 5, 7)),
    ],
)
def test_shapes_of_images(shape, image_shape, expected):
    images = RNG.integers(0, 256, shape, dtype=np.uint8)
    parts = make_parts(Table(images, Y), image_shape, "x")
    assert parts.image_shape == expected
    if shape[-1] == 3:
        images = images.transpose(0, 3, 1, 2)
    assert np.array_equal(parts.train[0], images.reshape(30, -1))


WRONG = [
    ((X, ["oak"] * 30), {}, "at least two classes are required, but all 30 images have"),
    ((X[:, :15], Y), {}, "15 pixels are not a square image"),
    ((X, Y[:29]), {}, "there are 30 images and 29 labels"),
    ((X[:0], Y[:0]), {}, "there are no images"),
    ((X, np.arange(30) / 2), {}, "labels must be whole numbers or text. Got 0.5 in row 2"),
    ((X, [None, *Y[1:]]), {}, "1 labels are missing"),
    ((X, ["elm", *Y[1:]]), {}, "Classes with a single image: 'elm'"),
    ((np.where(X > 250, np.nan, X), Y), {}, "not all pixels are finite"),
    ((X.astype(str), Y), {}, "pixels must be numbers"),
    ((X[:20], Y[:20], X[20:], ["elm"] * 10), {}, "without training images: 'elm'"),
    ((X, Y), {"test_fraction": 0.01}, "test_fraction = 0.01"),
    ((X[0], Y), {}, "images must be an array of shape"),
]


@pytest.mark.parametrize(("arrays", "options", "message"), WRONG)
def test_invalid_arrays_are_rejected(arrays, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        open_arrays(*arrays, **options)


def test_an_image_shape_must_match_the_columns():
    source = ArraySource(Table(X, Y), (5, 5))
    with pytest.raises(ValueError, match=r"image_shape = \[1, 5, 5\] are 25 pixels.* 16"):
        open_dataset("mine", source)


def test_all_unreadable_images_of_a_folder_are_named(tmp_path):
    folder = write_folder(tmp_path / "a")
    bad = [folder / "oak" / f"bad{k}.png" for k in range(3)]
    for path in bad:
        path.write_bytes(b"no image")
    with pytest.raises(OSError, match="3 of 33 images cannot be read") as error:
        open_dataset("a", FolderSource(folder))
    assert all(str(path) in str(error.value) for path in bad)
    assert "on_error" not in str(error.value)


def test_a_missing_folder_or_one_without_images(tmp_path):
    with pytest.raises(NotADirectoryError, match="is not a folder"):
        open_dataset("a", FolderSource(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no sub-folders"):
        open_dataset("a", FolderSource(tmp_path / "empty"))


@pytest.fixture
def openml(tmp_path, monkeypatch):
    """Serve a dataset as OpenML does: descriptions in JSON, and a table in ARFF."""
    folder = tmp_path / "served"
    images = np.arange(32).reshape(8, 4) * 8
    labels = ["yes", "no"] * 4
    lines = ["@RELATION tiny", *(f"@ATTRIBUTE pixel{k} REAL" for k in range(4))]
    lines += ["@ATTRIBUTE class {yes,no}", "@DATA"]
    lines += [",".join(map(str, [*X, y])) for X, y in zip(images, labels, strict=True)]
    table = "\n".join(lines).encode()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    base = f"http://127.0.0.1:{server.server_port}/"
    features = [
        {"index": str(k), "name": f"pixel{k}", "data_type": "numeric"} for k in range(4)
    ]
    features += [{"index": "4", "name": "class", "data_type": "nominal"}]
    for feature in features:
        feature |= {"is_ignore": "false", "is_row_identifier": "false"}
        feature |= {"is_target": str(feature["name"] == "class").lower()}
        feature |= {"number_of_missing_values": "0"}
    found = {"did": 7, "name": "tiny", "version": 1, "status": "active", "format": "ARFF"}
    description = {"id": "7", "name": "tiny", "version": "1", "format": "ARFF"}
    description |= {"status": "active", "default_target_attribute": "class"}
    description |= {
        "url": f"{base}tiny.arff",
        "md5_checksum": hashlib.md5(table).hexdigest(),
    }
    answers = {
        "search/tiny/status/active/index.html": {"data": {"dataset": [found]}},
        "info/7": {"data_set_description": description | {"description": "Eight images."}},
        "features/7": {"data_features": {"feature": features}},
        "qualities/7": {
            "data_qualities": {"quality": [{"name": "NumberOfInstances", "value": "8.0"}]}
        },
    }
    for name, answer in answers.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(answer))
    (folder / "tiny.arff").write_bytes(table)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, place in {
        "_SEARCH_NAME": "search/{}",
        "_DATA_INFO": "info/{}",
        "_DATA_FEATURES": "features/{}",
        "_DATA_QUALITIES": "qualities/{}",
    }.items():
        monkeypatch.setattr(sklearn.datasets._openml, name, base + place)
    monkeypatch.setenv("SKLENET_DATA", str(tmp_path / "home"))
    yield images, labels
    server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.mark.parametrize("name", ["tiny", 7])
def test_openml(name, openml):
    images, labels = openml
    dataset = open_dataset("mine", OpenMLSource(name), test_fraction=0.25)
    assert dataset.class_names == ("no", "yes")
    assert dataset.image_shape == (1, 2, 2)
    assert dataset.n_images == {"train": 6, "test": 2}
    X, y = dataset.source("all")
    order = np.argsort(X[:, 0, 0])
    assert np.array_equal(X[order].reshape(8, 4), images)
    assert y[order].tolist() == labels


def test_openml_errors(openml):
    with pytest.raises(OSError, match="OpenML's dataset 'none' cannot be fetched"):
        OpenMLSource("none").read()
    with pytest.raises(OSError, match=r"'tiny' cannot be fetched: .*colour"):
        OpenMLSource("tiny", label="colour").read()
    with pytest.raises(ValueError, match=r"'tiny': .* 9 pixels"):
        OpenMLSource("tiny", image_shape=(3, 3)).read()
