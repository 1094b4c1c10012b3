import multiprocessing
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklenet.images.canvas import Canvas
from sklenet.network import LeNet5
from sklenet.network.kernels.compiler import load_layers
from sklenet.network.layers import ACTIVATIONS, POOLINGS
from sklenet.network.lecun1998.codes import make_codes
from sklenet.network.lecun1998.layers import CONNECTIONS
from sklenet.training import predict
from sklenet.training.batches import ImageDataset
from sklenet.training.predict import compute_outputs

CODES = torch.from_numpy(make_codes(np.arange(10), 84))
PIXELS = torch.from_numpy(np.random.RandomState(0).randint(0, 256, (150, 784)).astype("u1"))
needs_kernels = pytest.mark.skipif(load_layers() is None, reason="nothing is compiled")


def dataset(pixels=PIXELS):
    return ImageDataset(pixels, Canvas((1, 28, 28), 0, 255))


def network(activation="relu", pooling="max", **options):
    options = {"init": "xavier_uniform", "dropout": 0.5} | options
    return LeNet5(activation=activation, pooling=pooling, **options).eval()


@pytest.fixture
def never_torch(monkeypatch):
    """Torch's own way is not to be taken."""
    monkeypatch.setattr(predict, "equal_batches", None)


@needs_kernels
@pytest.mark.usefixtures("never_torch")
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_outputs_are_torchs(activation, pooling):
    module = network(activation, pooling)
    with torch.inference_mode():
        expected = module(dataset()[slice(None)][0])
    outputs = compute_outputs(module, dataset())
    assert outputs.dtype == torch.float64
    assert torch.allclose(outputs.float(), expected, rtol=1e-4, atol=1e-5)


@needs_kernels
@pytest.mark.usefixtures("never_torch")
def test_distances_are_in_double_precision():
    module = network("scaled_tanh", "subsample", codes=CODES, connections=CONNECTIONS)
    with torch.inference_mode():
        expected = module(dataset()[slice(None)][0])
    assert torch.allclose(compute_outputs(module, dataset()), expected, rtol=1e-5)


MODULES = [
    network(),
    network("scaled_tanh", "subsample", codes=CODES, connections=CONNECTIONS),
    network("elu", "avg", kernel_size=3),
    network("sigmoid", "max", kernel_size=4, maps=(3, 7), hidden=(33,)),
    network("leaky_relu", "avg", kernel_size=2),
]


@settings(max_examples=25)
@given(st.sampled_from(MODULES), st.lists(st.integers(0, 149), min_size=1, max_size=150))
def test_outputs_of_an_image_do_not_depend_on_the_others(module, rows):
    whole = compute_outputs(module, dataset())
    assert torch.equal(compute_outputs(module, dataset(PIXELS[rows])), whole[rows])


@needs_kernels
def test_threads_change_no_bit(monkeypatch):
    expected = compute_outputs(MODULES[0], dataset())
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(compute_outputs(MODULES[0], dataset()), expected)


def test_predictions_change_nothing_of_the_module():
    module = network()
    module.head.C5.weight.requires_grad_(False)
    compute_outputs(module, dataset())
    assert all(p.grad is None for p in module.parameters())
    assert not module.head.C5.weight.requires_grad


def test_what_has_no_kernels_is_left_to_torch(monkeypatch):
    module = network(torch.nn.Softsign)
    with torch.inference_mode():
        expected = module(dataset()[slice(None)][0])
    outputs = compute_outputs(module, dataset())
    assert torch.allclose(outputs.float(), expected, rtol=1e-4, atol=1e-5)
    compiled = compute_outputs(MODULES[0], dataset())
    monkeypatch.setenv("SKLENET_COMPILED", "0")
    by_torch = compute_outputs(MODULES[0], dataset())
    assert torch.allclose(by_torch, compiled, rtol=1e-4, atol=1e-5)


def test_hooks_are_called():
    module, calls = network(), []
    module.features.C1.register_forward_hook(lambda *args: calls.append(1))
    compute_outputs(module, dataset())
    assert calls


def _send_outputs(connection):
    connection.send(compute_outputs(MODULES[0], dataset()).numpy())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs forked processes")
@needs_kernels
def test_a_forked_process_predicts_the_same():
    expected = compute_outputs(MODULES[0], dataset()).numpy()
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_send_outputs, args=(theirs,))
    process.start()
    assert ours.poll(60)
    assert np.array_equal(ours.recv(), expected)
    process.join()


@needs_kernels
def test_predictions_leave_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        compute_outputs(MODULES[0], dataset())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
