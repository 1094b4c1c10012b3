import copy

import numpy as np
import pytest
import torch
from torch import nn

from sklenet.network import LOSSES, LeNet5
from sklenet.network.codes import make_codes
from sklenet.network.layers import ACTIVATIONS, POOLINGS
from sklenet.network.lecun1998 import CONNECTIONS
from sklenet.network.pattern import PatternGradient

CODES = torch.from_numpy(make_codes(np.arange(10), 84))


def compare(module, criterion, shape=(1, 32, 32), weight=1.0, n=3):
    """Both gradients of a few random patterns, each after a step, must be the same."""
    torchs = copy.deepcopy(module)
    by_hand = PatternGradient(module, criterion)
    generator = torch.Generator().manual_seed(0)
    for k in range(n):
        image = torch.rand(1, *shape, generator=generator)
        loss, outputs = by_hand(image[0].numpy(), k, weight)
        torchs.zero_grad()
        expected_outputs = torchs(image)
        expected = criterion(expected_outputs, torch.tensor([k])).sum() * weight
        expected.backward()
        assert loss == pytest.approx(expected.item(), rel=1e-5)
        np.testing.assert_allclose(
            outputs, expected_outputs[0].detach(), rtol=1e-4, atol=1e-5
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
@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_gradients_of_the_paper_and_of_every_loss_are_torchs(loss, weight):
    module = LeNet5(
        activation="scaled_tanh",
        pooling="subsample",
        connections=CONNECTIONS,
        init="torch",
        # Of other losses of distances hardly anything is left in 32 bits.
        codes=CODES if loss in ("map", "distance") else None,
    )
    compare(module, LOSSES[loss](0.0), weight=weight)


@pytest.mark.parametrize(("shape", "kernel_size"), [((3, 32, 32), 5), ((1, 28, 31), 3)])
def test_gradients_of_other_shapes_are_torchs(shape, kernel_size):
    module = LeNet5(shape, 10, kernel_size=kernel_size, hidden=(20,))
    compare(module, LOSSES["cross_entropy"](0.0), shape)


def test_equal_pixels_share_no_gradient():
    module = LeNet5()
    torchs = copy.deepcopy(module)
    image = torch.zeros(1, 1, 32, 32)
    PatternGradient(module, LOSSES["cross_entropy"]())(image[0].numpy(), 3)
    LOSSES["cross_entropy"]()(torchs(image), torch.tensor([3])).sum().backward()
    for p, q in zip(module.parameters(), torchs.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, atol=1e-7)


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.1},
        {"activation": nn.SiLU},
        {"pooling": lambda side: nn.LPPool2d(2, side)},
    ],
    ids=["dropout", "activation", "pooling"],
)
def test_unknown_layers_are_refused(options):
    with pytest.raises(NotImplementedError, match="no layer for one image"):
        PatternGradient(LeNet5(**options), LOSSES["cross_entropy"]())
