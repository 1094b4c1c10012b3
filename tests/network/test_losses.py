"""The losses compared with their formulas in float64."""

import functools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.network import LOSSES
from sklenet.network.losses import make_loss

rng = np.random.default_rng(0)
Z = 3 * rng.standard_normal((7, 4))
LABELS = np.array([0, 1, 2, 3, 0, 1, 2])
SOFTMAX = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
SIGMOID = 1 / (1 + np.exp(-Z))


def compute_expected(name, targets):
    label_outputs = (targets * Z).sum(axis=1)
    return {
        "map": -label_outputs + np.log(np.exp(-0.1) + np.exp(Z).sum(axis=1)),
        "distance": -label_outputs,
        "cross_entropy": -(targets * np.log(SOFTMAX)).sum(axis=1),
        "mse": ((SOFTMAX - targets) ** 2).mean(axis=1),
        "l1": np.abs(SOFTMAX - targets).mean(axis=1),
        "bce": -(targets * np.log(SIGMOID) + (1 - targets) * np.log(1 - SIGMOID)).mean(
            axis=1
        ),
    }[name]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_values(name, smoothing):
    targets = np.eye(4)[LABELS] * (1 - smoothing) + smoothing / 4
    loss = LOSSES[name](smoothing)(torch.from_numpy(Z), torch.from_numpy(LABELS))
    assert loss.shape == (7,)
    assert np.allclose(loss.numpy(), compute_expected(name, targets))


@pytest.mark.parametrize("name", LOSSES)
def test_probabilities(name):
    probabilities = (
        LOSSES[name]().compute_log_probabilities(torch.from_numpy(Z)).softmax(dim=1)
    )
    expected = SIGMOID / SIGMOID.sum(axis=1, keepdims=True) if name == "bce" else SOFTMAX
    assert np.allclose(probabilities, expected)


def test_probabilities_of_bce_if_all_sigmoids_underflow():
    outputs = torch.tensor([[-1000.0, -1001.0]], dtype=torch.float64)
    probabilities = LOSSES["bce"]().compute_log_probabilities(outputs).softmax(dim=1)
    assert torch.allclose(probabilities, F.softmax(outputs, dim=1))


@pytest.mark.parametrize(
    "custom_loss",
    [
        nn.CrossEntropyLoss(reduction="none"),
        functools.partial(nn.CrossEntropyLoss, reduction="none"),
        functools.partial(F.cross_entropy, reduction="none"),
        LOSSES["cross_entropy"],
        LOSSES["cross_entropy"](),
        lambda: nn.CrossEntropyLoss(reduction="none"),
        lambda outputs, labels: F.cross_entropy(outputs, labels, reduction="none"),
    ],
)
def test_a_custom_loss_equals_the_named_one(custom_loss):
    outputs, labels = torch.from_numpy(Z), torch.from_numpy(LABELS)
    loss = make_loss(custom_loss, 0.0, 4)
    assert loss is not custom_loss
    assert np.allclose(loss(outputs, labels), LOSSES["cross_entropy"]()(outputs, labels))


def test_a_custom_loss_trains_the_same_network_as_the_named_one():
    X, y = (array[:60] for array in load_digits(return_X_y=True))
    fits = [
        LeNet5Classifier(max_epochs=2, random_state=0, loss=loss).fit(X, y)
        for loss in ("cross_entropy", nn.CrossEntropyLoss(reduction="none"))
    ]
    first, second = (fitted.predict_proba(X) for fitted in fits)
    assert np.allclose(first, second, atol=1e-4)


def test_class_weights_of_a_loss_of_torch():
    weight = torch.tensor([2.0, 1.0, 1.0, 0.5])
    loss = make_loss(nn.CrossEntropyLoss(weight=weight, reduction="none"), 0.0, 4)
    outputs, labels = torch.from_numpy(Z).float(), torch.from_numpy(LABELS)
    plain = LOSSES["cross_entropy"]()(outputs, labels)
    assert torch.allclose(loss(outputs, labels), plain * weight[labels])


@pytest.mark.parametrize("n_outputs", [2, 3, 10])
def test_a_loss_with_one_value_per_class_is_rejected(n_outputs):
    with pytest.raises(ValueError, match=r"one loss per sample.*gave \(\d+,\)"):
        make_loss(lambda outputs, labels: outputs.sum(dim=0), 0.0, n_outputs)


@pytest.mark.parametrize("j", [0.1, 1.0, 10.0])
def test_map_loss_is_equation_9(j):
    rng = np.random.default_rng(1)
    distances = rng.uniform(0, 20, (6, 10))
    labels = rng.integers(0, 10, 6)
    loss = LOSSES["map"](j=j)
    label_distances = distances[np.arange(6), labels]
    expected = label_distances + np.log(np.exp(-j) + np.exp(-distances).sum(axis=1))
    outputs = torch.from_numpy(-distances)
    values = loss(outputs, torch.from_numpy(labels))
    assert np.allclose(values, expected, rtol=1e-12)
    for k in range(6):
        one = loss(outputs[k : k + 1], torch.from_numpy(labels[k : k + 1]))
        assert one.item() == pytest.approx(values[k].item(), rel=1e-12)


def test_map_loss_of_large_distances_is_finite():
    outputs = torch.tensor([[-5000.0, -4000.0]])
    assert LOSSES["map"]()(outputs, torch.tensor([0])).item() == pytest.approx(4999.9)


def test_the_loss_of_a_pattern_does_not_depend_on_other_patterns():
    outputs = -torch.rand(20, 10, dtype=torch.float64) * 50
    labels = torch.arange(20) % 10
    for name in ("map", "distance"):
        loss = LOSSES[name]()
        alone = [loss(outputs[k : k + 1], labels[k : k + 1]).item() for k in range(20)]
        assert loss(outputs, labels).tolist() == pytest.approx(alone, rel=1e-12)


def test_distance_loss_is_equation_8():
    outputs = -torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert LOSSES["distance"]()(outputs, torch.tensor([1, 0])).tolist() == [2.0, 3.0]
