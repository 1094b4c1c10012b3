import math

import pytest
import torch
from torch import nn

from sklenet.network import INITS


def drawn(name, layer=None):
    layer = layer or nn.Linear(400, 300)
    INITS[name](layer, torch.Generator().manual_seed(0))
    return layer


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("xavier_uniform", 2 / (400 + 300)),  # Glorot and Bengio 2010, eq. 16
        ("xavier_normal", 2 / (400 + 300)),
        ("he_uniform", 2 / 400),  # He et al. 2015, eq. 10
        ("he_normal", 2 / 400),
        ("lecun_uniform", (2.4 / 400) ** 2 / 3),  # LeCun et al. 1998, appendix A
        ("torch", (1 / math.sqrt(400)) ** 2 / 3),
    ],
)
def test_variance(name, variance):
    weight = drawn(name).weight
    assert weight.mean().abs().item() < 0.02 * math.sqrt(variance)
    assert weight.var().item() == pytest.approx(variance, rel=0.02)


def test_lecun_uniform_fills_its_bounds_by_fan_in():
    layer = drawn("lecun_uniform", nn.Conv2d(6, 160, 5))
    bound = 2.4 / 150
    for parameter in (layer.weight, layer.bias):
        assert 0.95 * bound < parameter.abs().max().item() <= bound


@pytest.mark.parametrize(
    "name", ["xavier_uniform", "xavier_normal", "he_uniform", "he_normal"]
)
def test_bias_starts_at_zero(name):
    assert not drawn(name).bias.any()


@pytest.mark.parametrize("name", INITS)
def test_layers_without_a_bias(name):
    assert drawn(name, nn.Conv2d(1, 2, 3, bias=False)).weight.isfinite().all()
