"""Layers from modules, classes, factories and functions."""

import copy
import functools
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.network import LeNet5
from sklenet.network.choices import build_activation, build_pooling, can_be_called

QUICK = {"max_epochs": 2, "random_state": 0}
X, y = (array[:60] for array in load_digits(return_X_y=True))


@pytest.fixture(scope="module")
def of_names():
    """Return the probabilities of fits with named activations and poolings."""

    @functools.cache
    def predict(**names):
        return LeNet5Classifier(**QUICK, **names).fit(X, y).predict_proba(X)

    return predict


def leaky(x):
    return F.leaky_relu(x, 0.01)


SAME_ACTIVATIONS = {
    "instance": ("relu", nn.ReLU()),
    "in place": ("relu", nn.ReLU(inplace=True)),
    "class": ("tanh", nn.Tanh),
    "function": ("relu", F.relu),
    "builtin": ("tanh", torch.tanh),
    "factory": ("elu", functools.partial(nn.ELU, 1.0)),
    "function with arguments": (
        "leaky_relu",
        functools.partial(F.leaky_relu, negative_slope=0.01),
    ),
    "own function": ("leaky_relu", leaky),
}
SAME_POOLINGS = {
    "instance": ("max", nn.MaxPool2d(2)),
    "class": ("avg", nn.AvgPool2d),
    "function": ("avg", functools.partial(F.avg_pool2d, kernel_size=2)),
    "lambda": ("max", lambda x: F.max_pool2d(x, 2)),
    "factory": ("max", lambda side: nn.MaxPool2d(side)),
}


@pytest.mark.parametrize("form", SAME_ACTIVATIONS)
def test_an_activation_in_another_form_is_that_of_the_name(form, of_names):
    name, choice = SAME_ACTIVATIONS[form]
    fitted = LeNet5Classifier(**QUICK, activation=choice).fit(X, y)
    # torch's gradient and that of the kernels round differently.
    assert np.allclose(fitted.predict_proba(X), of_names(activation=name), atol=1e-4)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    with torch.no_grad():
        exported = fitted.to_torch()(torch.from_numpy(X))
    assert np.allclose(exported, fitted.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("form", SAME_POOLINGS)
def test_a_pooling_in_another_form_is_that_of_the_name(form, of_names):
    name, choice = SAME_POOLINGS[form]
    fitted = LeNet5Classifier(**QUICK, pooling=choice).fit(X, y)
    assert np.allclose(fitted.predict_proba(X), of_names(pooling=name), atol=1e-4)
    assert fitted.summary().loc["S2", "output_shape"] == (6, 14, 14)


def test_every_layer_is_a_copy_of_an_instance():
    prelu = nn.PReLU(init=0.3)
    module = LeNet5(activation=prelu, pooling=nn.Sequential(nn.MaxPool2d(2)))
    layers = [layer for layer in module.modules() if isinstance(layer, nn.PReLU)]
    assert len(layers) == 4
    assert len({id(layer.weight) for layer in [*layers, prelu]}) == 5
    fitted = LeNet5Classifier(**QUICK, activation=prelu).fit(X, y)
    assert prelu.weight.item() == pytest.approx(0.3)
    trained = fitted.module_.features.C1_activation.weight.item()
    assert trained != pytest.approx(0.3, abs=1e-6)
    repeated = LeNet5Classifier(**QUICK, activation=prelu).fit(X, y)
    assert np.array_equal(fitted.predict_proba(X), repeated.predict_proba(X))


def test_trying_a_layer_leaves_statistics_and_generators_alone():
    state = torch.get_rng_state()
    pooling = nn.Sequential(nn.MaxPool2d(2), nn.Dropout(0.5))
    norm = nn.Sequential(nn.BatchNorm2d(6, affine=False), nn.MaxPool2d(2))
    module = LeNet5(activation=nn.Tanh(), pooling=pooling)
    assert module.training
    assert all(layer.training for layer in module.modules())
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match="'pooling' parameter is Sequential"):
        LeNet5(pooling=norm)  # six maps in S2, but sixteen in S4
    assert norm[0].num_batches_tracked == 0


def test_the_paper_s_pooling_squashes_with_the_given_activation():
    module = LeNet5(activation=nn.GELU(), pooling="subsample")
    assert isinstance(module.features.S2.squash, nn.GELU)
    with pytest.raises(ValueError, match="'activation' parameter is GLU"):
        LeNet5(activation=nn.GLU(1), pooling="subsample")


def test_an_error_in_a_later_layer_is_found():
    with pytest.raises(ValueError, match=r"'activation'.*shape \(2, 84\)"):
        LeNet5(activation=lambda x: x if x.shape[-1] != 84 else x[:, :3])


def test_large_and_coloured_canvases():
    LeNet5((3, 45, 61), activation=nn.GELU(), pooling=nn.AvgPool2d(2))
    with pytest.raises(ValueError, match=r"rather than \(2, 6, 20, 28\)"):
        LeNet5((3, 45, 61), pooling=nn.MaxPool2d(2, ceil_mode=True))


def test_names():
    assert isinstance(build_activation("tanh"), nn.Tanh)
    assert isinstance(build_pooling("avg"), nn.AvgPool2d)


def test_function_layers_can_be_copied_and_printed():
    layer = build_activation(torch.tanh)
    assert torch.equal(copy.deepcopy(layer)(torch.ones(2)), torch.ones(2).tanh())
    assert "tanh" in repr(layer)


def test_can_be_called():
    assert can_be_called(lambda x: x, 1)
    assert not can_be_called(lambda: 1, 1)
    assert can_be_called(torch.tanh, 1)
    assert not can_be_called(nn.Linear, 1)
