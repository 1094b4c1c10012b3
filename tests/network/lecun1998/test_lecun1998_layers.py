"""Parts of the 1998 network, compared with numbers of the paper and with formulas."""

import math
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.network import INITS, LeNet5
from sklenet.network.lecun1998.codes import (
    make_codes,
    make_digit_bitmaps,
    make_separated_codes,
)
from sklenet.network.lecun1998.layers import (
    CONNECTIONS,
    PartialConv2d,
    RadialBasis,
    Subsample,
)


@pytest.fixture
def network():
    return LeNet5(
        activation="scaled_tanh",
        pooling="subsample",
        init="lecun_uniform",
        connections=CONNECTIONS,
        codes=torch.from_numpy(make_codes(np.arange(10), 84)),
    )


def count_parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_number_of_parameters_of_each_layer_in_1998(network):
    # Section II.B; the codes of the output layer are not trained.
    layers = {name: count_parameters(layer) for name, layer in network.layers().items()}
    assert {name: n for name, n in layers.items() if n} == {
        "C1": 156,
        "S2": 12,
        "C3": 1_516,
        "S4": 32,
        "C5": 48_120,
        "F6": 10_164,
    }
    assert count_parameters(network) == 60_000


def test_number_of_connections_of_each_layer(network):
    # Section II.B: the inputs of all units, including the bias.
    layers = {
        "C1": network.features.C1,
        "S2": network.features.S2.sum,
        "C3": network.features.C3,
        "S4": network.features.S4.sum,
        "C5": network.head.C5,
    }
    shapes = {}
    for name, layer in layers.items():
        layer.register_forward_hook(
            lambda _, __, y, name=name: shapes.update({name: y.shape[1:]})
        )
    network(torch.zeros(1, 1, 32, 32))
    positions = {name: math.prod(shape[1:]) for name, shape in shapes.items()}
    per_unit = {"S2": 6 * (4 + 1), "S4": 16 * (4 + 1)}
    connections = {
        name: positions[name] * per_unit.get(name, count_parameters(layer))
        for name, layer in layers.items()
    }
    assert connections == {
        "C1": 122_304,
        "S2": 5_880,
        "C3": 151_600,
        "S4": 2_000,
        "C5": 48_120,
    }


def test_table_of_connections():
    assert len(CONNECTIONS) == 16
    assert sum(map(len, CONNECTIONS)) == 60
    # "The first six C3 feature maps take inputs from every contiguous subset of three
    # feature maps. The next six take input from every contiguous subset of four. The next
    # three take input from some discontinuous subsets of four. Finally, the last one takes
    # input from all S2 feature maps."
    threes = [tuple(sorted((k + i) % 6 for i in range(3))) for k in range(6)]
    fours = [tuple(sorted((k + i) % 6 for i in range(4))) for k in range(6)]
    assert list(CONNECTIONS[:6]) == threes
    assert list(CONNECTIONS[6:12]) == fours
    for maps in CONNECTIONS[12:15]:
        assert len(maps) == 4
        assert maps not in fours
    assert CONNECTIONS[15] == tuple(range(6))
    # Each feature map of S2 is connected to ten of C3.
    assert [sum(m in maps for maps in CONNECTIONS) for m in range(6)] == [10] * 6


@pytest.mark.parametrize("k", range(16))
def test_each_map_of_c3_depends_on_its_own_connections_only(network, k):
    c3 = network.features.C3
    x = torch.randn(2, 6, 14, 14)
    before = c3(x)
    for m in range(6):
        changed = x.clone()
        changed[:, m] += torch.randn(2, 14, 14)
        same = torch.equal(c3(changed)[:, k], before[:, k])
        assert same is (m not in CONNECTIONS[k])


def test_a_partial_convolution_equals_a_full_one_with_zeros():
    torch.manual_seed(0)
    partial = PartialConv2d(CONNECTIONS, 6, 5).double()
    nn.init.normal_(partial.weight)
    nn.init.normal_(partial.bias)
    full = nn.Conv2d(6, 16, 5).double()
    full.load_state_dict({"weight": partial.to_dense(), "bias": partial.bias})
    x = torch.randn(3, 6, 9, 9, dtype=torch.float64)
    assert torch.equal(partial(x), full(x))
    (partial(x) ** 2).sum().backward()
    (full(x) ** 2).sum().backward()
    assert torch.allclose(
        partial.weight.grad, full.weight.grad.flatten(0, 1)[partial.index]
    )
    missing = torch.ones(96, dtype=torch.bool)
    missing[partial.index] = False
    assert missing.sum() == 36
    assert not partial.to_dense().flatten(0, 1)[missing].any()


def test_subsampling_is_a_sum_times_a_coefficient_plus_a_bias():
    layer = Subsample(3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 2.0, -0.5]))
        layer.bias.copy_(torch.tensor([0.0, 1.0, 2.0]))
    x = torch.arange(2 * 3 * 4 * 6, dtype=torch.float32).view(2, 3, 4, 6)
    blocks = x.numpy().reshape(2, 3, 2, 2, 3, 2).sum(axis=(3, 5))
    expected = (
        blocks * np.array([1, 2, -0.5])[:, None, None] + np.array([0, 1, 2])[:, None, None]
    )
    assert np.allclose(layer(x).detach(), expected)


def test_subsampled_maps_are_squashed(network):
    x = torch.randn(1, 1, 32, 32) * 5
    s2 = network.features[:3](x)
    assert s2.abs().max() <= 1.7159
    assert network.features.S2.squash is not network.features.C1_activation


def test_outputs_are_negative_squared_distances():
    rng = np.random.default_rng(0)
    x, codes = rng.normal(size=(5, 84)), make_digit_bitmaps().reshape(10, 84)
    layer = RadialBasis(torch.from_numpy(codes).double())
    expected = [[((row - code) ** 2).sum() for code in codes] for row in x]
    assert np.allclose(-layer(torch.from_numpy(x)).numpy(), expected)
    assert count_parameters(layer) == 0


def test_lecun_uniform_uses_the_fan_in_of_partial_layers():
    generator = torch.Generator().manual_seed(0)
    layers = [PartialConv2d(CONNECTIONS, 6, 5) for _ in range(200)]
    for layer in layers:
        INITS["lecun_uniform"](layer, generator)
    largest = torch.stack([layer.weight.detach().abs() for layer in layers]).amax((0, 2, 3))
    first = 0
    for maps in CONNECTIONS:
        bound = 2.4 / (25 * len(maps))
        map_largest = largest[first : first + len(maps)]
        assert map_largest.max() <= bound * 1.000001
        assert map_largest.min() > bound * 0.97
        first += len(maps)
    layer = Subsample(2000)
    INITS["lecun_uniform"](layer, generator)
    assert 0.59 < layer.weight.abs().max() <= 0.6


@pytest.mark.parametrize("init", INITS)
def test_all_initializers_are_finite_and_reproducible(init):
    options = {"pooling": "subsample", "connections": CONNECTIONS, "init": init}
    module = LeNet5(**options)
    assert all(p.isfinite().all() for p in module.parameters())
    repeated = LeNet5(**options)
    assert all(map(torch.equal, module.parameters(), repeated.parameters()))


PAPER = {
    "activation": "scaled_tanh",
    "pooling": "subsample",
    "connections": "lecun1998",
    "output": "rbf",
    "init": "lecun_uniform",
    "feature_range": (-0.1, 1.175),
    "random_state": 0,
}


@pytest.mark.parametrize("loss", ["map", "distance", "cross_entropy"])
def test_the_1998_network_learns_digits(digits, loss):
    *_, X_test, y_test = digits
    # With 300 digits, cross-entropy reaches only about 85 %, depending on rounding.
    X, y = (array[:1000] for array in load_digits(return_X_y=True))
    estimator = LeNet5Classifier(loss=loss, max_epochs=8, batch_size=8, lr=0.003, **PAPER)
    assert estimator.fit(X, y).score(X_test, y_test) > 0.85
    assert count_parameters(estimator.module_) == 60_000
    probabilities = estimator.predict_proba(X_test)
    assert np.allclose(probabilities.sum(axis=1), 1)
    distances = -estimator.decision_function(X_test)
    assert (distances >= 0).all()
    assert np.array_equal(distances.argmin(axis=1), probabilities.argmax(axis=1))


def test_each_part_can_be_used_by_itself(digits):
    X, y, *_ = digits
    for name in ("pooling", "connections", "output"):
        estimator = LeNet5Classifier(max_epochs=8, random_state=0, **{name: PAPER[name]})
        assert estimator.fit(X, y).score(X, y) > 0.5, name
    custom = LeNet5Classifier(connections=[[k % 6] for k in range(16)], max_epochs=1)
    assert count_parameters(custom.fit(X, y).module_.features.C3) == 16 * 26


def test_classes_other_than_digits_have_separated_codes(digits):
    X, y, *_ = digits
    names = np.array([f"digit {label}" for label in y])
    estimator = LeNet5Classifier(output="rbf", max_epochs=15, batch_size=8, random_state=0)
    assert estimator.fit(X, names).score(X, names) > 0.8
    codes = estimator.module_.head.output.codes
    assert np.array_equal(codes, make_separated_codes(10, 84))


def test_sdlm_trains_with_single_patterns(digits):
    X, y, X_test, y_test = digits
    parameters = PAPER | {"loss": "map", "optimizer": "sdlm", "lr": 5e-4, "init": "torch"}
    parameters |= {"batch_size": 1, "max_epochs": 4, "lr_schedule": "lecun1998"}
    fitted = LeNet5Classifier(**parameters).fit(X, y)
    assert fitted.score(X_test, y_test) > 0.8
    repeated = LeNet5Classifier(**parameters).fit(X, y)
    assert np.array_equal(repeated.predict_proba(X_test), fitted.predict_proba(X_test))
    # Each weight has its own learning rate. The schedule has decayed by a factor of 50.
    rates = (fitted.net_.optimizer_.compute_learning_rates() * 50).numpy()
    assert len(rates) == 60_000
    assert 0 < rates.min() < rates.max() / 10
    assert rates.max() <= 5e-4 / 0.02


def test_sdlm_continues_training_with_warm_start(digits):
    X, y, *_ = digits
    options = {"optimizer": "sdlm", "init": "torch", "output": "rbf", "max_epochs": 1}
    warm = LeNet5Classifier(warm_start=True, random_state=0, **options).fit(X, y)
    first = warm.loss_curve_[0]
    assert pickle.loads(pickle.dumps(warm)).fit(X, y).loss_curve_[1] < first
    options["net_params"] = {"optimizer__mu": 1e6}
    frozen = LeNet5Classifier(random_state=0, **options).fit(X, y)
    assert frozen.net_.optimizer_.compute_learning_rates().max() < 1.1e-9
