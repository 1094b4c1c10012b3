import functools
import math

import pytest
import torch
from torch import nn

from sklenet.network import INITS, LeNet5
from sklenet.network.init import leave_uninitialized, make_init
from sklenet.network.lecun1998.layers import CONNECTIONS, PartialConv2d


def initialize(name, layer=None):
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
        ("lecun_normal", 1 / 400),  # Klambauer et al. 2017, section 2
        ("orthogonal", 1 / 400),  # columns of length 1
        ("normal", 0.05**2),
    ],
)
def test_variance_of_the_weights(name, variance):
    weight = initialize(name).weight
    assert weight.mean().abs().item() < 0.02 * math.sqrt(variance)
    assert weight.var().item() == pytest.approx(variance, rel=0.02)


def test_lecun_uniform_is_bounded_by_the_fan_in():
    layer = initialize("lecun_uniform", nn.Conv2d(6, 160, 5))
    bound = 2.4 / 150
    for parameter in (layer.weight, layer.bias):
        assert 0.95 * bound < parameter.abs().max().item() <= bound


@pytest.mark.parametrize("name", sorted(set(INITS) - {"lecun_uniform", "torch"}))
def test_biases_are_initialized_to_zero(name):
    assert not initialize(name).bias.any()


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (9, 9)])
def test_orthogonal_weights_have_orthonormal_rows_or_columns(shape):
    weight = initialize("orthogonal", nn.Linear(shape[1], shape[0])).weight.double()
    product = weight @ weight.T if shape[0] <= shape[1] else weight.T @ weight
    torch.testing.assert_close(
        product, torch.eye(5 if shape != (9, 9) else 9).double(), atol=1e-6, rtol=0
    )


def test_orthogonal_kernels_are_those_of_the_rows_of_all_inputs():
    weight = initialize("orthogonal", nn.Conv2d(6, 16, 5)).weight.flatten(1).double()
    torch.testing.assert_close(weight @ weight.T, torch.eye(16).double(), atol=1e-6, rtol=0)


def test_zeros():
    module = LeNet5(init="zeros", connections=CONNECTIONS)
    assert not any(p.any() for p in module.parameters())


@pytest.mark.parametrize("name", INITS)
def test_layers_without_biases(name):
    assert initialize(name, nn.Conv2d(1, 2, 3, bias=False)).weight.isfinite().all()


def init_weights(init, **options):
    module = LeNet5(init=init, seed=3, **options)
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def init_by_apply(layer):
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("xavier_uniform", nn.init.xavier_uniform_),
        ("xavier_normal", nn.init.xavier_normal_),
        ("he_uniform", functools.partial(nn.init.kaiming_uniform_, nonlinearity="relu")),
        (
            "lecun_normal",
            functools.partial(nn.init.kaiming_normal_, nonlinearity="linear"),
        ),
        ("orthogonal", nn.init.orthogonal_),
        ("normal", functools.partial(nn.init.normal_, std=0.05)),
        ("zeros", nn.init.zeros_),
    ],
)
@pytest.mark.parametrize("connections", [None, CONNECTIONS])
@pytest.mark.parametrize("pooling", ["max", "subsample"])
def test_functions_of_torch_equal_the_named_initializers(
    name, function, connections, pooling
):
    options = {"connections": connections, "pooling": pooling}
    assert torch.equal(init_weights(function, **options), init_weights(name, **options))


@pytest.mark.parametrize(
    "init",
    [
        nn.init.orthogonal_,
        functools.partial(nn.init.constant_, val=0.01),
        functools.partial(nn.init.trunc_normal_, std=0.1),
        lambda weight: nn.init.normal_(weight, std=0.1),
        lambda weight: weight.uniform_(-0.1, 0.1),
        init_by_apply,
        lambda layer: layer.reset_parameters(),
        lambda layer, generator: nn.init.normal_(layer.weight, generator=generator),
    ],
)
def test_custom_functions_are_reproducible_and_leave_the_global_generator_alone(init):
    state = torch.get_rng_state()
    first = init_weights(init)
    assert first.isfinite().all()
    assert first.any()
    assert torch.equal(first, init_weights(init))
    assert torch.equal(torch.get_rng_state(), state)


def test_functions_of_weights_leave_biases_at_zero():
    module = LeNet5(init=lambda weight: weight.fill_(0.1))
    assert module.features.C1.weight.unique().tolist() == [pytest.approx(0.1)]
    assert not module.features.C1.bias.any()


def test_weights_that_are_not_initialized_are_an_error():
    with pytest.raises(ValueError, match=r"'init'.*leaves weights of PartialConv2d"):
        LeNet5(init=init_by_apply, connections=CONNECTIONS)


def test_leave_uninitialized_does_not_change_the_weights():
    layer = PartialConv2d(CONNECTIONS, 6, 5)
    with torch.no_grad():
        layer.weight.fill_(7)
    make_init(leave_uninitialized)(layer, torch.Generator())
    assert layer.weight.unique().tolist() == [7]
