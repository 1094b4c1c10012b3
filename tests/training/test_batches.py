import warnings
from itertools import chain

import numpy as np
import pytest
import torch

from sklenet.images.canvas import Canvas
from sklenet.training.batches import Batches, ImageDataset, as_tensor

DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "g", ">f4"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_as_tensor_keeps_the_values(dtype):
    X = np.array([[0, 1], [1, 100]]).astype(dtype)
    assert np.array_equal(as_tensor(X).numpy(), X)


@pytest.mark.parametrize(
    "view", [lambda X: X[::-1], lambda X: X.T, lambda X: X[:, ::2], np.asfortranarray]
)
def test_as_tensor_takes_any_layout(view):
    X = view(np.arange(24.0).reshape(4, 6))
    assert np.array_equal(as_tensor(X).numpy(), X)


def test_as_tensor_shares_memory_even_when_read_only():
    X = np.zeros((2, 3))
    X.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.shares_memory(as_tensor(X).numpy(), X)


@pytest.fixture
def dataset():
    pixels = torch.arange(10, dtype=torch.uint8)[:, None]
    return ImageDataset(pixels, Canvas((1, 1, 1), 0, 1), torch.arange(10))


def test_selected_rows_share_the_tensors(dataset):
    selected = dataset.select(np.array([3, 1]))
    assert len(selected) == 2
    assert selected[:][1][0].tolist() == [3, 1]
    assert selected.pixels is dataset.pixels
    assert selected.labels is dataset.labels


def epoch(batches):
    return [labels.tolist() for _, (labels, _) in batches]


def test_batches_in_order(dataset):
    batches = Batches(dataset, 4)
    assert epoch(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(batches) == 3


def test_shuffled_batches_hold_every_sample_once_and_differ_by_epoch(dataset):
    state = torch.get_rng_state()
    batches = Batches(dataset, 4, seed=0)
    first, second = epoch(batches), epoch(batches)
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert sorted(chain(*first)) == sorted(chain(*second)) == list(range(10))
    assert first != second
    assert epoch(Batches(dataset, 4, seed=0)) == first
    assert torch.equal(torch.get_rng_state(), state)


def test_images_and_targets_belong_together(dataset):
    for images, (labels, weights) in Batches(dataset, 3, seed=1):
        assert torch.equal(images[:, 0, 16, 16].long(), labels)
        assert weights is None


def test_rows_choose_the_samples(dataset):
    rows = torch.tensor([7, 2, 5])
    part = ImageDataset(dataset.pixels, dataset.canvas, dataset.labels, rows=rows)
    assert epoch(Batches(part, 2)) == [[7, 2], [5]]
    assert sorted(chain(*epoch(Batches(part, 2, seed=0)))) == [2, 5, 7]
