"""Each loss against its formula, in float64."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sklenet.network import LOSSES

rng = np.random.default_rng(0)
Z = 3 * rng.standard_normal((7, 4))
LABELS = np.array([0, 1, 2, 3, 0, 1, 2])
SOFTMAX = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
SIGMOID = 1 / (1 + np.exp(-Z))


def expected(name, targets):
    right = (targets * Z).sum(axis=1)
    return {
        "map": -right + np.log(np.exp(-0.1) + np.exp(Z).sum(axis=1)),
        "distance": -right,
        "cross_entropy": -(targets * np.log(SOFTMAX)).sum(axis=1),
        "mse": ((SOFTMAX - targets) ** 2).mean(axis=1),
        "l1": np.abs(SOFTMAX - targets).mean(axis=1),
        "bce": -(targets * np.log(SIGMOID) + (1 - targets) * np.log(1 - SIGMOID)).mean(
            axis=1
        ),
    }[name]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_formula(name, smoothing):
    targets = np.eye(4)[LABELS] * (1 - smoothing) + smoothing / 4
    loss = LOSSES[name](smoothing)(torch.from_numpy(Z), torch.from_numpy(LABELS))
    assert loss.shape == (7,)
    assert np.allclose(loss.numpy(), expected(name, targets))


@pytest.mark.parametrize("name", LOSSES)
def test_probabilities(name):
    probabilities = LOSSES[name]().log_probabilities(torch.from_numpy(Z)).softmax(dim=1)
    wanted = SIGMOID / SIGMOID.sum(axis=1, keepdims=True) if name == "bce" else SOFTMAX
    assert np.allclose(probabilities, wanted)


def test_probabilities_of_bce_where_all_sigmoids_underflow():
    outputs = torch.tensor([[-1000.0, -1001.0]], dtype=torch.float64)
    probabilities = LOSSES["bce"]().log_probabilities(outputs).softmax(dim=1)
    assert torch.allclose(probabilities, F.softmax(outputs, dim=1))
