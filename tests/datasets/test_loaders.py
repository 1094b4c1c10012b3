import hashlib

import numpy as np
import pytest

from sklenet import datasets
from sklenet.datasets.loaders import SUBSETS, load_dataset
from sklenet.datasets.registry import DATASETS
from sklenet.datasets.torchvision_guard import import_torchvision

# Number of training and test images per class, as the authors of the datasets give them.
IMAGES_PER_CLASS = {
    "mnist": (
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    ),
    "fashion_mnist": ([6000] * 10, [1000] * 10),
    "cifar10": ([5000] * 10, [1000] * 10),
}


def test_digits_are_those_of_scikit_learn_in_a_fixed_stratified_split():
    train, test, both = (datasets.load_digits(subset=s) for s in SUBSETS)
    assert (len(train.data), len(test.data), len(both.data)) == (1437, 360, 1797)
    assert train.data.dtype == np.uint8
    assert (train.data.min(), train.data.max()) == (0, 16)
    together = np.concatenate([train.data, test.data])
    assert np.array_equal(np.unique(together, axis=0), np.unique(both.data, axis=0))
    counts = np.bincount(both.target) / len(both.target)
    assert np.abs(np.bincount(test.target) / len(test.target) - counts).max() < 0.005
    # The split must never change: recorded results depend on it.
    assert (
        hashlib.md5(test.data.tobytes()).hexdigest() == "cef5dda099029491af194a2ebd49dbe6"
    )


def test_bunch_tuple_and_data_frame():
    digits = datasets.load_digits()
    assert digits.images.shape == (1437, 8, 8)
    assert np.array_equal(digits.images.reshape(1437, 64), digits.data)
    assert digits.target_names.tolist() == [str(k) for k in range(10)]
    assert "1,797" in digits.DESCR
    X, y = datasets.load_digits(return_X_y=True)
    assert np.array_equal(X, digits.data)
    assert np.array_equal(y, digits.target)
    frame = datasets.load_digits(as_frame=True).frame
    assert frame.shape == (1437, 65)
    assert frame.columns[[0, 9, 64]].tolist() == ["pixel_0_0", "pixel_1_1", "target"]
    X, y = datasets.load_digits(as_frame=True, return_X_y=True)
    assert np.array_equal(X.to_numpy(), digits.data)
    assert y.name == "target"


@pytest.mark.parametrize(
    "load",
    [
        datasets.load_digits,
        datasets.fetch_mnist,
        datasets.fetch_fashion_mnist,
        datasets.fetch_cifar10,
    ],
)
def test_unknown_subsets_are_rejected(load):
    with pytest.raises(ValueError, match=r"'train', 'test' or 'all'\. Got 'valid'"):
        load(subset="valid")


@pytest.mark.parametrize(
    ("fetch", "folder", "file"),
    [
        (datasets.fetch_mnist, "MNIST/raw", "train-images-idx3-ubyte"),
        (datasets.fetch_fashion_mnist, "FashionMNIST/raw", "t10k-labels-idx1-ubyte"),
        (datasets.fetch_cifar10, "cifar-10-batches-py", "data_batch_5"),
    ],
)
def test_missing_files_raise_one_error_with_three_remedies(fetch, folder, file, tmp_path):
    with pytest.raises(OSError, match="download_if_missing is False") as error:
        fetch(data_home=tmp_path, download_if_missing=False)
    message = str(error.value)
    assert str(tmp_path / folder) in message
    assert file in message
    for number in ("1. ", "2. ", "3. "):
        assert f"\n  {number}" in message
    assert not list(tmp_path.iterdir())


def test_a_failed_download_is_reported(tmp_path, monkeypatch):
    # A closed local port simulates the lack of a network connection.
    monkeypatch.setattr(
        import_torchvision().datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"]
    )
    with pytest.raises(OSError, match="the download failed") as error:
        datasets.fetch_mnist(data_home=tmp_path)
    assert "SKLENET_DATA" in str(error.value)
    assert not list(tmp_path.iterdir())


def test_data_home(monkeypatch, tmp_path):
    monkeypatch.setenv("SKLENET_DATA", str(tmp_path / "environment"))
    assert datasets.get_data_home(tmp_path) == tmp_path
    assert datasets.get_data_home() == tmp_path / "environment"
    monkeypatch.delenv("SKLENET_DATA")
    assert datasets.get_data_home().name == "sklenet"


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        pytest.param("mnist", (28, 28), marks=pytest.mark.real_data("mnist")),
        pytest.param(
            "fashion_mnist", (28, 28), marks=pytest.mark.real_data("fashion_mnist")
        ),
        pytest.param("cifar10", (3, 32, 32), marks=pytest.mark.real_data("cifar10")),
    ],
)
def test_real_data_is_complete(real_data, name, shape):
    fetch = getattr(datasets, f"fetch_{name}")
    train, test, both = (
        fetch(subset=s, data_home=real_data, download_if_missing=False) for s in SUBSETS
    )
    for bunch, counts in zip((train, test), IMAGES_PER_CLASS[name], strict=True):
        assert np.bincount(bunch.target).tolist() == counts
        assert bunch.images.shape == (sum(counts), *shape)
        assert bunch.data.shape == (sum(counts), np.prod(shape))
        assert bunch.data.dtype == np.uint8
    assert np.array_equal(both.target, np.concatenate([train.target, test.target]))
    assert np.array_equal(both.data[-10:], test.data[-10:])
    assert len(both.target_names) == 10


@pytest.mark.parametrize(
    "name",
    [
        "digits",
        *(
            pytest.param(name, marks=pytest.mark.real_data(name))
            for name in IMAGES_PER_CLASS
        ),
    ],
)
def test_every_dataset_of_the_registry_can_be_loaded_by_name(name, request):
    if name != "digits":
        request.getfixturevalue("real_data")
    dataset = DATASETS[name]
    for subset, n in dataset.n_images.items():
        bunch = load_dataset(name, subset, download_if_missing=False)
        assert bunch.images[0].size == np.prod(dataset.image_shape)
        assert len(bunch.images) == len(bunch.target) == n
        assert np.unique(bunch.target).tolist() == list(range(dataset.n_classes))
        assert tuple(bunch.target_names) == dataset.class_names
        assert dataset.description == bunch.DESCR


@pytest.mark.real_data("mnist")
def test_real_data_as_a_data_frame(real_data):
    mnist = datasets.fetch_mnist(subset="test", data_home=real_data, as_frame=True)
    assert mnist.frame.shape == (10_000, 785)
    assert mnist.target.iloc[:5].tolist() == [7, 2, 1, 0, 4]
