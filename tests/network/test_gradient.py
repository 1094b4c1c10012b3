import copy
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.utils.prune
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sklenet.network import LOSSES, LeNet5
from sklenet.network.gradient import Gradient
from sklenet.network.layers import ACTIVATIONS, POOLINGS
from sklenet.network.lecun1998.codes import make_codes
from sklenet.network.lecun1998.layers import CONNECTIONS
from sklenet.network.losses import CrossEntropy

CODES = torch.from_numpy(make_codes(np.arange(10), 84))


def compare(module, criterion, shape=(1, 32, 32), weighted=False, sizes=(5, 1, 4)):
    """Both gradients, of a few random batches with a step after each, must be the same."""
    torchs = copy.deepcopy(module)
    by_kernels = Gradient(module, criterion)
    generator = torch.Generator().manual_seed(0)
    for n in sizes:
        images = torch.rand(n, *shape, generator=generator)
        labels = torch.randint(0, 10, (n,), generator=generator)
        weights = torch.rand(n, generator=generator) if weighted else None
        losses, outputs = by_kernels(
            images.permute(1, 2, 3, 0).contiguous().numpy(),
            labels.numpy(),
            weights.numpy() if weighted else None,
        )
        torchs.zero_grad()
        expected_outputs = torchs(images)
        expected = criterion(expected_outputs, labels) * (weights if weighted else 1)
        expected.mean().backward()
        assert losses == pytest.approx(expected.detach().numpy(), rel=1e-4, abs=1e-6)
        np.testing.assert_allclose(
            outputs, expected_outputs.detach().T, rtol=1e-4, atol=1e-5
        )
        for (name, p), q in zip(
            module.named_parameters(), torchs.parameters(), strict=True
        ):
            scale = q.grad.abs().max().item()
            assert torch.allclose(p.grad, q.grad, rtol=1e-3, atol=5e-4 * scale), name
            with torch.no_grad():
                p -= 0.001 * q.grad
                q -= 0.001 * q.grad


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradients_are_torchs(activation, pooling):
    module = LeNet5(activation=activation, pooling=pooling, init="xavier_uniform")
    compare(module, LOSSES["cross_entropy"](0.1))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_of_the_paper_and_of_every_loss_are_torchs(loss, weighted):
    module = LeNet5(
        activation="scaled_tanh",
        pooling="subsample",
        connections=CONNECTIONS,
        init="torch",
        # Of other losses of distances hardly anything is left in 32 bits.
        codes=CODES if loss in ("map", "distance") else None,
    )
    compare(module, LOSSES[loss](0.0), weighted=weighted)


@settings(max_examples=15)
@given(
    channels=st.integers(1, 3),
    height=st.integers(19, 34),
    width=st.integers(19, 34),
    kernel_size=st.integers(2, 6),
    pooling=st.sampled_from(sorted(POOLINGS)),
)
def test_gradients_of_other_shapes_are_torchs(
    channels, height, width, kernel_size, pooling
):
    shape = (channels, height, width)
    module = LeNet5(
        shape,
        10,
        kernel_size=kernel_size,
        hidden=(20,),
        maps=(3, 5),
        pooling=pooling,
        activation="tanh",
        init="xavier_uniform",
    )
    compare(module, LOSSES["cross_entropy"](0.0), shape, sizes=(3, 2))


@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_of_batches_in_parts_are_torchs(weighted):
    module = LeNet5(init="xavier_uniform", activation="tanh")
    compare(module, LOSSES["cross_entropy"](0.0), weighted=weighted, sizes=(64, 150, 70))


@pytest.mark.parametrize("n_helpers", [1, 2, 8])
def test_helpers_change_no_bit(n_helpers):
    module = LeNet5()
    gradient = Gradient(module, LOSSES["cross_entropy"]())
    generator = np.random.RandomState(0)
    with ThreadPoolExecutor(n_helpers) as helpers:
        for n in (31, 64, 130):
            images = generator.rand(1, 32, 32, n).astype(np.float32)
            labels = generator.randint(0, 10, n)
            results = []
            for pool in (None, helpers):
                losses, outputs = gradient(images, labels, None, pool)
                results.append(
                    [losses, outputs, *(p.grad.clone() for p in module.parameters())]
                )
            for alone, helped in zip(*results, strict=True):
                assert np.array_equal(alone, helped)


def test_helpers_do_parts_of_large_batches():
    threads = set()

    def losses(outputs, labels):
        threads.add(threading.get_ident())
        time.sleep(0.05)  # until the others have begun
        return np.zeros(len(labels)), np.zeros_like(outputs)

    gradient = Gradient(LeNet5(), LOSSES["cross_entropy"]())
    gradient.losses = losses
    for n, expected in ((63, 1), (64, 2), (4000, 4)):
        threads.clear()
        with ThreadPoolExecutor(8) as helpers:
            gradient(np.zeros((1, 32, 32, n), np.float32), np.zeros(n, int), None, helpers)
        assert len(threads) == expected


def test_an_error_in_a_helper_is_raised():
    gradient = Gradient(LeNet5(), LOSSES["cross_entropy"]())
    images, labels = np.zeros((1, 32, 32, 64), np.float32), np.zeros(64, int)
    labels[-1] = 10
    with ThreadPoolExecutor(1) as helpers, pytest.raises(IndexError):
        gradient(images, labels, None, helpers)


class _FixedDropout(nn.Module):
    """Dropout with a mask that is known."""

    def __init__(self, factor):
        super().__init__()
        self.factor = torch.from_numpy(factor.T.copy())

    def forward(self, x):
        return x * self.factor


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_gradients_with_dropout_are_torchs(activation):
    module = LeNet5(activation=activation, dropout=0.3, init="xavier_uniform")
    gradient = Gradient(module, LOSSES["cross_entropy"]())
    torchs = copy.deepcopy(module)
    images = torch.rand(20, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 10
    losses, _ = gradient(images.permute(1, 2, 3, 0).contiguous().numpy(), labels.numpy())
    for name, layer in zip(
        ("C5_dropout", "F6_dropout"),
        (a for a in gradient.own.layers if hasattr(a, "factor")),
        strict=True,
    ):
        setattr(torchs.head, name, _FixedDropout(layer.factor))
    expected = LOSSES["cross_entropy"]()(torchs(images), labels)
    expected.mean().backward()
    assert losses == pytest.approx(expected.detach().numpy(), rel=1e-4)
    for p, q in zip(module.parameters(), torchs.parameters(), strict=True):
        scale = q.grad.abs().max().item()
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-4 * scale)


def test_dropout_has_its_probability_and_the_same_mean():
    module = LeNet5(dropout=0.3)
    gradient = Gradient(module, LOSSES["cross_entropy"]())
    (first, second) = (a for a in gradient.own.layers if hasattr(a, "factor"))
    units = np.ones((120, 200), np.float32)
    factors = [first.forward(units).copy() for _ in range(10)]
    assert set(np.unique(factors)) == {0, np.float32(1 / np.float32(0.7))}
    assert np.mean([f == 0 for f in factors]) == pytest.approx(0.3, abs=0.005)
    assert np.mean(factors) == pytest.approx(1, abs=0.01)
    # Steps, and layers, drop different units.
    assert not np.array_equal(factors[0], factors[1])
    module.reseed_dropout(0)
    assert np.array_equal(first.forward(units), factors[0])
    module.reseed_dropout(0)
    assert not np.array_equal(second.forward(units), factors[0])


@pytest.mark.parametrize("n_threads", [1, 3])
def test_dropout_does_not_depend_on_threads(n_threads):
    images = np.random.RandomState(0).rand(1, 32, 32, 130).astype(np.float32)
    labels, results = np.arange(130) % 10, []
    for threads in (None, n_threads):
        module = LeNet5(dropout=0.4)
        gradient = Gradient(module, LOSSES["cross_entropy"]())
        with ThreadPoolExecutor(threads or 1) as pool:
            for _ in range(3):
                gradient(images, labels, None, threads and pool)
        results.append([p.grad for p in module.parameters()])
    for alone, helped in zip(*results, strict=True):
        assert torch.equal(alone, helped)


def test_equal_pixels_share_no_gradient():
    module = LeNet5()
    torchs = copy.deepcopy(module)
    image = torch.zeros(1, 1, 32, 32)
    Gradient(module, LOSSES["cross_entropy"]())(
        image.permute(1, 2, 3, 0).numpy(), np.array([3])
    )
    LOSSES["cross_entropy"]()(torchs(image), torch.tensor([3])).sum().backward()
    for p, q in zip(module.parameters(), torchs.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, atol=1e-7)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": nn.Softsign},
        {"pooling": lambda side: nn.LPPool2d(2, side)},
        {"pooling": lambda side: nn.MaxPool2d(3, stride=2, padding=1)},
        {"pooling": lambda side: nn.AvgPool2d(side, divisor_override=1)},
        {"activation": lambda: nn.LeakyReLU(0.5)},
        {"activation": lambda: nn.ELU(0.2)},
        {"activation": nn.GELU("tanh")},
        {"activation": nn.ReLU6()},
        {"activation": nn.Softplus(beta=2)},
    ],
    ids=[
        "activation",
        "pooling",
        "window",
        "divisor",
        "slope",
        "alpha",
        "approximation",
        "subclass",
        "beta",
    ],
)
def test_unknown_layers_are_refused(options):
    with pytest.raises(NotImplementedError, match="no compiled kernel"):
        Gradient(LeNet5(**options), LOSSES["cross_entropy"]())


def test_a_loss_of_ones_own_is_refused():
    class Twice(CrossEntropy):
        def forward(self, outputs, labels):
            return 2 * super().forward(outputs, labels)

    for loss in (Twice(), nn.CrossEntropyLoss(reduction="none")):
        with pytest.raises(NotImplementedError, match="no compiled kernel"):
            Gradient(LeNet5(), loss)


def test_a_layer_that_is_there_twice():
    tanh, maximum = nn.Tanh(), nn.MaxPool2d(2)
    compare(
        LeNet5(activation=lambda: tanh, pooling=lambda side: maximum),
        LOSSES["cross_entropy"](),
    )


@pytest.mark.parametrize("what", ["frozen", "transposed", "hooked", "pruned", "double"])
def test_modules_out_of_the_ordinary_are_refused(what):
    module = LeNet5()
    layer = module.head.C5
    if what == "frozen":
        layer.weight.requires_grad_(False)
    elif what == "transposed":
        layer.weight.data = layer.weight.data.t().contiguous().t()
    elif what == "hooked":
        layer.register_forward_hook(lambda *args: None)
    elif what == "pruned":
        nn.utils.prune.random_unstructured(layer, "weight", 0.5)
    else:
        module = module.double()
    with pytest.raises(NotImplementedError, match="no compiled kernel"):
        Gradient(module, LOSSES["cross_entropy"]())


def test_other_networks_are_refused():
    with pytest.raises(NotImplementedError, match="no compiled kernel for Linear"):
        Gradient(nn.Linear(3, 2), LOSSES["cross_entropy"]())
