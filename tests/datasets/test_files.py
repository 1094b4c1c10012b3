"""The files of the datasets: complete, verified, read efficiently, downloaded safely."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from sklenet import datasets
from sklenet.datasets.files import DatasetFiles
from sklenet.datasets.registry import CIFAR10, DATASETS, FASHION_MNIST, MNIST
from sklenet.datasets.torchvision_guard import import_torchvision

FETCH_FUNCTIONS = {
    name: getattr(datasets, f"fetch_{name}")
    for name, dataset in DATASETS.items()
    if isinstance(dataset.source, DatasetFiles)
}
NAMES = [pytest.param(name, marks=pytest.mark.real_data(name)) for name in FETCH_FUNCTIONS]


@pytest.mark.parametrize("name", NAMES)
def test_arrays_equal_those_of_torchvision(real_data, name):
    torchvision_class = getattr(
        import_torchvision().datasets, DATASETS[name].source.torchvision_name
    )
    for subset in ("train", "test"):
        bunch = FETCH_FUNCTIONS[name](subset=subset, data_home=real_data)
        expected = torchvision_class(real_data, train=subset == "train")
        images = np.asarray(expected.data)
        images = images.transpose(0, 3, 1, 2) if name == "cifar10" else images
        assert np.array_equal(bunch.images, images)
        assert np.array_equal(bunch.target, expected.targets)
        class_names = [c.split(" - ")[0] for c in expected.classes]
        assert bunch.target_names.tolist() == class_names


# SHA-256 of all images, training images first, recorded when the files were first read.
DIGESTS = {
    "mnist": "5b92582eb909c82a9bfefcd44acbe9233be3eb5b419a44cf211022ad2bf4bf96",
    "fashion_mnist": "0fbbfcb392782b3b702472ead3688778e1509e8cf40f5c24d9d3303618b193ab",
    "cifar10": "2ae5d6db0453753867541f0ccce0b648fcd0aaf596c0ca67c33dc03b3deaf283",
}


@pytest.mark.parametrize("name", NAMES)
def test_arrays_have_the_recorded_checksum(real_data, name):
    bunch = FETCH_FUNCTIONS[name](subset="all", data_home=real_data)
    assert hashlib.sha256(bunch.data).hexdigest() == DIGESTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_data_home_with_a_single_dataset(real_data, name, tmp_path):
    folder = DATASETS[name].source.folder
    (tmp_path / folder).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / folder).symlink_to(Path(real_data).resolve() / folder)
    for other, fetch in FETCH_FUNCTIONS.items():
        if other == name:
            assert len(fetch(data_home=tmp_path, download_if_missing=False).data)
        else:
            with pytest.raises(OSError, match="expected there and missing"):
                fetch(data_home=tmp_path, download_if_missing=False)


MEASURE = """
import json, resource, sys, time
from sklenet import datasets
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
fetch = getattr(datasets, "fetch_" + sys.argv[1])
before, start = peak(), time.perf_counter()
data = fetch(subset="all", data_home=sys.argv[2]).data
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "extra": peak() - before - data.nbytes,
    "dtype": str(data.dtype),
}))
"""


@pytest.mark.parametrize("name", NAMES)
def test_reading_is_fast_and_makes_no_copy(real_data, name):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, name, real_data],
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(done.stdout)
    assert measured["dtype"] == "uint8"
    assert measured["extra"] < 100e6
    assert measured["seconds"] < 3  # 0.2 on an idle machine with the files cached


@pytest.mark.real_data("mnist")
@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[:-1],
        lambda b: b[: len(b) // 2],
        lambda b: b"",
        lambda b: b[:1000] + bytes([b[1000] ^ 1]) + b[1001:],
        lambda b: b + b"\0",
        lambda b: b[::-1],
    ],
    ids=["truncated", "half-written", "empty", "one bit flipped", "too long", "reversed"],
)
@pytest.mark.parametrize("file", ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_damaged_file_raises_an_error_that_names_it(real_data, tmp_path, damage, file):
    shutil.copytree(Path(real_data) / "MNIST", tmp_path / "MNIST", symlinks=True)
    path = tmp_path / "MNIST" / "raw" / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(OSError, match=r"is damaged.*Remove the file") as error:
        datasets.fetch_mnist(subset="test", data_home=tmp_path)
    assert str(path) in str(error.value)


@pytest.mark.real_data("cifar10")
def test_a_modified_pickle_is_not_unpickled(real_data, tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    shutil.copytree(Path(real_data) / folder.name, folder)
    # Unpickling it would create a file.
    mark = tmp_path / "unpickled"
    evil = f"cos\nsystem\n(S'touch {mark}'\ntR.".encode()
    (folder / "test_batch").write_bytes(evil)
    with pytest.raises(OSError, match="test_batch is damaged"):
        datasets.fetch_cifar10(subset="test", data_home=tmp_path)
    assert not mark.exists()


def compress(content):
    return gzip.compress(content, 1, mtime=0)  # the same bytes in every process


@pytest.mark.parametrize(
    "layout",
    [
        ("{home}/{raw}/{file}.gz", compress),
        ("{home}/{file}", bytes),
        ("{home}/{file}.gz", compress),
        ("{home}/{dotted}", bytes),
        ("{home}/{raw}/{dotted}", bytes),
        ("{home}/{dataset}/{dotted}.gz", compress),
    ],
    ids=lambda layout: layout[0],
)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.real_data(name))
        for name in ("mnist", "fashion_mnist")
    ],
)
def test_compressed_files_and_files_in_the_data_home_are_read(
    real_data, tmp_path, name, layout
):
    fetch, files = FETCH_FUNCTIONS[name], DATASETS[name].source
    pattern, convert = layout
    for file in files.published:
        if file.startswith("t10k"):
            path = Path(
                pattern.format(
                    home=tmp_path,
                    raw=files.folder,
                    dataset=files.torchvision_name,
                    file=file,
                    dotted=file.replace("-idx", ".idx"),
                )
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(convert((Path(real_data) / files.folder / file).read_bytes()))
        else:
            (tmp_path / files.folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / files.folder / file).symlink_to(
                Path(real_data).resolve() / files.folder / file
            )
    read = fetch(subset="test", data_home=tmp_path, download_if_missing=False)
    expected = fetch(subset="test", data_home=real_data)
    assert np.array_equal(read.data, expected.data)
    assert np.array_equal(read.target, expected.target)


@pytest.mark.real_data("mnist", "fashion_mnist")
def test_files_of_another_dataset_in_the_data_home_are_ignored(real_data, tmp_path):
    files = FASHION_MNIST.source
    for file in files.published:
        (tmp_path / file).symlink_to(Path(real_data).resolve() / files.folder / file)
    bunch = datasets.fetch_fashion_mnist(data_home=tmp_path, download_if_missing=False)
    assert len(bunch.data) == 60_000
    with pytest.raises(OSError, match="expected there and missing"):
        datasets.fetch_mnist(data_home=tmp_path, download_if_missing=False)


@pytest.mark.real_data("mnist")
@pytest.mark.parametrize("content", [b"", b"no gzip file", compress(b"other")[:-3]])
def test_a_damaged_compressed_file_is_named(real_data, tmp_path, content):
    raw = tmp_path / "MNIST" / "raw"
    shutil.copytree(Path(real_data) / "MNIST" / "raw", raw)
    (raw / "t10k-labels-idx1-ubyte").unlink()
    (raw / "t10k-labels-idx1-ubyte.gz").write_bytes(content)
    with pytest.raises(OSError, match=r"t10k-labels-idx1-ubyte.gz is damaged"):
        datasets.fetch_mnist(subset="test", data_home=tmp_path)


HUGE = """
import resource, sys
from sklenet import datasets
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
for fetch in (datasets.fetch_mnist, datasets.fetch_cifar10):
    try:
        fetch(subset="test", data_home=sys.argv[1])
    except OSError as error:
        print(error)
print(peak() - before)
"""


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_huge_file_is_rejected_without_reading_it(tmp_path, suffix):
    for files in (MNIST.source, CIFAR10.source):
        (tmp_path / files.folder).mkdir(parents=True)
        for file in files.published:
            with (tmp_path / files.folder / f"{file}{suffix}").open("wb") as huge:
                huge.truncate(3 << 30)  # sparse: takes no disk space
    done = subprocess.run(
        [sys.executable, "-c", HUGE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    *errors, extra = done.stdout.splitlines()
    assert len(errors) == 2
    assert all("is damaged: it has 3,221,225,472 bytes" in error for error in errors)
    assert int(extra) < 20


def test_a_directory_or_pipe_in_place_of_a_file_is_named(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    (raw / "train-images-idx3-ubyte").mkdir(parents=True)
    for download in (False, True):
        with pytest.raises(OSError, match="train-images-idx3-ubyte is a directory"):
            datasets.fetch_mnist(data_home=tmp_path, download_if_missing=download)
    (raw / "train-images-idx3-ubyte").rmdir()
    os.mkfifo(raw / "train-images-idx3-ubyte")
    with pytest.raises(OSError, match="train-images-idx3-ubyte is not a regular file"):
        datasets.fetch_mnist(data_home=tmp_path, download_if_missing=False)


# Downloads, from a local server in place of the mirrors


@pytest.fixture
def mirror(real_data, tmp_path_factory):
    """Serve MNIST's files; yield the server's folder, and torchvision's URLs and MD5s."""
    folder = tmp_path_factory.mktemp("mirror")
    resources = []
    for file in MNIST.source.published:
        compressed = compress((Path(real_data) / "MNIST" / "raw" / file).read_bytes())
        (folder / f"{file}.gz").write_bytes(compressed)
        resources.append([f"{file}.gz", hashlib.md5(compressed).hexdigest()])

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, [f"http://127.0.0.1:{server.server_port}/"], resources
    server.shutdown()


FETCH = """
import json, sys
from sklenet.datasets.torchvision_guard import import_torchvision
from sklenet.datasets import fetch_mnist
mnist = import_torchvision().datasets.MNIST
home, mnist.mirrors, mnist.resources = json.loads(sys.argv[1])
print("ready", flush=True)
data = fetch_mnist(data_home=home, subset="all").data
print(data.shape[0], int(data.sum()))
"""


def start_fetch(home, mirror):
    _, mirrors, resources = mirror
    arguments = json.dumps([str(home), mirrors, resources])
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"no_proxy": "127.0.0.1"},
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.split()[1:]


@pytest.mark.real_data("mnist")
def test_two_processes_download_into_the_same_empty_data_home(real_data, mirror, tmp_path):
    processes = [start_fetch(tmp_path, mirror) for _ in range(2)]
    whole = datasets.fetch_mnist(subset="all", data_home=real_data).data
    for process in processes:
        assert finish(process) == ["70000", str(int(whole.sum()))]
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]
    assert sorted(p.name for p in (tmp_path / "MNIST/raw").iterdir()) == sorted(
        MNIST.source.published
    )


@pytest.mark.real_data("mnist")
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.6])
def test_a_killed_download_leaves_no_incomplete_file(real_data, mirror, tmp_path, delay):
    process = start_fetch(tmp_path, mirror)
    process.stdout.readline()
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()
    for file, published in MNIST.source.published.items():
        path = tmp_path / "MNIST" / "raw" / file
        if path.exists():
            assert hashlib.md5(path.read_bytes()).hexdigest() == published.md5
    assert finish(start_fetch(tmp_path, mirror))[0] == "70000"


@pytest.mark.real_data("mnist")
def test_wrong_files_of_a_mirror_are_rejected(mirror, tmp_path):
    folder, mirrors, resources = mirror
    wrong = compress(b"not MNIST")
    (folder / resources[0][0]).write_bytes(wrong)
    resources = [[resources[0][0], hashlib.md5(wrong).hexdigest()], *resources[1:]]
    process = start_fetch(tmp_path, (folder, mirrors, resources))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "is damaged" in err
    assert not (tmp_path / "MNIST").exists()
