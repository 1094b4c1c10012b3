"""Datasets that torchvision reads, from files of their real formats on a local server."""

import bz2
import gzip
import hashlib
import io
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from scipy.io import savemat

from sklenet import datasets
from sklenet.datasets.registry import DATASETS
from sklenet.datasets.torchvision_files import TorchvisionFiles
from sklenet.datasets.torchvision_guard import import_torchvision

NAMES = [name for name, one in DATASETS.items() if isinstance(one.source, TorchvisionFiles)]
N = {"train": 30, "test": 20}


def make_arrays(name, subset):
    """Return random images, and labels that begin with 0."""
    dataset = DATASETS[name]
    rng = np.random.default_rng([len(name), N[subset]])
    channels, *size = dataset.image_shape
    shape = (N[subset], *(size if channels == 1 else dataset.image_shape))
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    return images, np.arange(N[subset]) % dataset.n_classes


def to_idx(array):
    """Return an array in the format of MNIST's files."""
    kinds = {"uint8": 8, "int32": 12}
    header = [0, 0, kinds[array.dtype.name], array.ndim]
    sizes = np.array(array.shape, ">i4").tobytes()
    return bytes(header) + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def make_idx_files(name, prefixes, *, transposed=False, first_label=0):
    files = {}
    for subset, prefix in prefixes.items():
        images, labels = make_arrays(name, subset)
        images = images.transpose(0, 2, 1) if transposed else images
        files[f"{prefix}-images-idx3-ubyte"] = to_idx(np.ascontiguousarray(images))
        labels = (labels + first_label).astype(np.uint8)
        files[f"{prefix}-labels-idx1-ubyte"] = to_idx(labels)
    return files


def make_kmnist(name):
    files = make_idx_files(name, {"train": "train", "test": "t10k"})
    return {f"{file}.gz": gzip.compress(content) for file, content in files.items()}


def make_emnist(name):
    split = name.removeprefix("emnist_")
    files = make_idx_files(
        name,
        {subset: f"emnist-{split}-{subset}" for subset in N},
        transposed=True,
        first_label=int(split == "letters"),
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file, content in files.items():
            archive.writestr(f"gzip/{file}.gz", gzip.compress(content))
    return {"gzip.zip": buffer.getvalue()}


def make_qmnist(name):
    files = {}
    for subset in N:
        images, digits = make_arrays(name, subset)
        labels = np.zeros((len(digits), 8), np.int32)
        labels[:, 0], labels[:, 1] = digits, 7  # the digit, the series of the writer
        for kind, array in (("images-idx3-ubyte", images), ("labels-idx2-int", labels)):
            files[f"qmnist-{subset}-{kind}.gz"] = gzip.compress(to_idx(array))
    return files


def make_usps(name):
    files = {}
    for subset, file in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
        images, labels = make_arrays(name, subset)
        rows = [
            f"{label + 1} "
            + " ".join(f"{k + 1}:{pixel:.8f}" for k, pixel in enumerate(row / 127.5 - 1))
            for row, label in zip(images.reshape(len(images), -1), labels, strict=True)
        ]
        files[file] = bz2.compress(" \n".join(rows).encode() + b" \n")
    return files


def make_svhn(name):
    files = {}
    for subset in N:
        images, labels = make_arrays(name, subset)
        buffer = io.BytesIO()
        stored = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        savemat(buffer, {"X": images.transpose(2, 3, 1, 0), "y": stored})
        files[f"{subset}_32x32.mat"] = buffer.getvalue()
    return files


def point_to(torchvision, name, url, md5s, monkeypatch):
    """Make torchvision's class download from a local server."""
    cls = getattr(torchvision.datasets, DATASETS[name].source.torchvision_name)
    if name == "kmnist":
        monkeypatch.setattr(cls, "mirrors", [url])
        monkeypatch.setattr(cls, "resources", list(md5s.items()))
    elif name == "qmnist":
        resources = {
            subset: [(url + f, md5s[f]) for f in md5s if f.startswith(f"qmnist-{subset}-")]
            for subset in N
        }
        monkeypatch.setattr(cls, "resources", resources)
    elif name.startswith("emnist"):
        monkeypatch.setattr(cls, "url", f"{url}gzip.zip")
        monkeypatch.setattr(cls, "md5", md5s["gzip.zip"])
    else:
        files = zip(N, md5s.items(), strict=True)
        split = {subset: [url + file, file, md5] for subset, (file, md5) in files}
        monkeypatch.setattr(cls, "split_list", split)


@pytest.fixture
def serve(tmp_path_factory, monkeypatch):
    """A function that serves the files of a dataset, and returns their folder."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path_factory.mktemp("server")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def serve(name):
        make = globals()[f"make_{name.partition('_')[0]}"]
        files = make(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        md5s = {file: hashlib.md5(content).hexdigest() for file, content in files.items()}
        url = f"http://127.0.0.1:{server.server_port}/"
        point_to(import_torchvision(), name, url, md5s, monkeypatch)
        return folder

    yield serve
    server.shutdown()


@pytest.mark.parametrize("name", NAMES)
def test_images_are_downloaded_and_read_upright_with_labels_from_0(name, serve, tmp_path):
    served = serve(name)
    fetch = getattr(datasets, f"fetch_{name}")
    for subset in N:
        bunch = fetch(subset=subset, data_home=tmp_path)
        images, labels = make_arrays(name, subset)
        tolerance = 1 if name == "usps" else 0  # torchvision rounds down
        assert np.abs(bunch.images.astype(int) - images).max() <= tolerance
        assert bunch.images.dtype == np.uint8
        assert bunch.target.tolist() == labels.tolist()
        assert tuple(bunch.target_names) == DATASETS[name].class_names
    for path in served.iterdir():
        path.unlink()  # everything is in the data home now
    both = fetch(subset="all", data_home=tmp_path, download_if_missing=False)
    assert len(both.data) == sum(N.values())
    files = DATASETS[name].source
    found = {path.name for path in (tmp_path / files.folder).iterdir() if path.is_file()}
    assert found == {file for names in files.files.values() for file in names}


@pytest.mark.parametrize("name", NAMES)
def test_missing_files_and_failed_downloads_are_errors(name, serve, tmp_path):
    fetch = getattr(datasets, f"fetch_{name}")
    with pytest.raises(OSError, match="download_if_missing is False") as error:
        fetch(data_home=tmp_path, download_if_missing=False)
    assert str(tmp_path / DATASETS[name].source.folder) in str(error.value)
    assert DATASETS[name].source.files["train"][0] in str(error.value)
    assert list(tmp_path.iterdir()) == []
    for path in serve(name).iterdir():
        path.unlink()
    with pytest.raises(OSError, match="the download failed"):
        fetch(data_home=tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_named(name, serve, tmp_path):
    serve(name)
    fetch = getattr(datasets, f"fetch_{name}")
    fetch(data_home=tmp_path)
    files = DATASETS[name].source
    path = tmp_path / files.folder / files.files["test"][0]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(OSError, match="is damaged") as error:
        fetch(subset="test", data_home=tmp_path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["kmnist", "emnist_letters"])
def test_a_file_with_another_checksum_is_not_read(name, serve, tmp_path, monkeypatch):
    folder = serve(name)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(OSError, match="the download failed"):
        getattr(datasets, f"fetch_{name}")(data_home=tmp_path)


def test_every_class_of_emnist_has_its_name():
    import_torchvision()
    from torchvision.datasets import EMNIST

    for split in ("balanced", "digits", "letters"):
        names = EMNIST.classes_split_dict[split]
        names = names[1:] if split == "letters" else names  # "N/A"
        assert DATASETS[f"emnist_{split}"].class_names == tuple(names)
