"""SDLM's second derivatives compared with loops in float64 and with autograd."""

import numpy as np
import pytest
import torch
from torch import nn

from sklenet import LeNet5Classifier
from sklenet.datasets import fetch_mnist
from sklenet.network import ACTIVATIONS, LOSSES, POOLINGS, LeNet5
from sklenet.network.lecun1998.codes import make_codes
from sklenet.network.lecun1998.layers import CONNECTIONS, RadialBasis
from sklenet.network.lecun1998.sdlm import SDLM, estimate_second_derivatives
from sklenet.presets import lecun1998


def make_1998_network(**options):
    defaults = {
        "activation": "scaled_tanh",
        "pooling": "subsample",
        "init": "lecun_uniform",
        "connections": CONNECTIONS,
        "codes": torch.from_numpy(make_codes(np.arange(10), 84)),
    }
    return LeNet5(**defaults | options)


def hessian_diagonal(module, x, labels, loss):
    """Return the exact second derivatives of each parameter by autograd."""
    total = loss(module(x), labels).mean()
    diagonals = {}
    for p in module.parameters():
        (gradient,) = torch.autograd.grad(total, p, create_graph=True)
        rows = [
            torch.autograd.grad(g, p, retain_graph=True)[0].flatten()[k]
            for k, g in enumerate(gradient.flatten())
        ]
        diagonals[p] = torch.stack(rows).view_as(p)
    return diagonals


@pytest.mark.parametrize("loss", ["cross_entropy", "map"])
def test_second_derivatives_of_one_linear_layer_are_exact(loss):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(7, 5)).double()
    x, labels = torch.randn(9, 7, dtype=torch.float64), torch.arange(9) % 5
    exact = hessian_diagonal(module, x, labels, LOSSES[loss]())
    for p, h in estimate_second_derivatives(module, x, labels, LOSSES[loss]()).items():
        assert torch.allclose(h, exact[p], rtol=1e-10)


def test_second_derivatives_through_distances_are_exact():
    torch.manual_seed(0)
    codes = torch.from_numpy(make_codes(np.arange(4), 6)).double()
    module = nn.Sequential(nn.Linear(3, 6), RadialBasis(codes)).double()
    x, labels = torch.randn(9, 3, dtype=torch.float64), torch.arange(9) % 4
    exact = hessian_diagonal(module, x, labels, LOSSES["distance"]())
    for p, h in estimate_second_derivatives(
        module, x, labels, LOSSES["distance"]()
    ).items():
        assert torch.allclose(h, exact[p], rtol=1e-10)


def _squash(a):
    return 1.7159 * np.tanh(2 / 3 * a)


def _slope(a):
    return 1.7159 * 2 / 3 * (1 - np.tanh(2 / 3 * a) ** 2)


def compute_by_loops(network, image):
    """Compute the recursion of the paper for one pattern by loops over connections.

    The loss is equation 8, whose second derivative with respect to each unit of F6 is 2.
    """
    w = {name: p.detach().double().numpy() for name, p in network.named_parameters()}
    dense = network.features.C3.to_dense().detach().double().numpy()

    def convolve(x, kernels, bias):
        n, _, k, _ = kernels.shape
        side = x.shape[1] - k + 1
        out = np.empty((n, side, side))
        for i in range(side):
            for j in range(side):
                patch = x[:, i : i + k, j : j + k]
                out[:, i, j] = (kernels * patch).sum(axis=(1, 2, 3)) + bias
        return out

    def sums(x):
        c, side, _ = x.shape
        return x.reshape(c, side // 2, 2, side // 2, 2).sum(axis=(2, 4))

    a1 = convolve(image, w["features.C1.weight"], w["features.C1.bias"])
    x1 = _squash(a1)
    s2 = sums(x1)
    a2 = s2 * w["features.S2.sum.weight"][:, None, None]
    a2 = a2 + w["features.S2.sum.bias"][:, None, None]
    x2 = _squash(a2)
    a3 = convolve(x2, dense, w["features.C3.bias"])
    x3 = _squash(a3)
    s4 = sums(x3)
    a4 = s4 * w["features.S4.sum.weight"][:, None, None]
    a4 = a4 + w["features.S4.sum.bias"][:, None, None]
    x4 = _squash(a4).ravel()
    a5 = w["head.C5.weight"] @ x4 + w["head.C5.bias"]
    x5 = _squash(a5)
    a6 = w["head.F6.weight"] @ x5 + w["head.F6.bias"]

    h = {}
    h6 = 2 * _slope(a6) ** 2
    h["head.F6.weight"], h["head.F6.bias"] = np.outer(h6, x5**2), h6
    h5 = _slope(a5) ** 2 * ((w["head.F6.weight"] ** 2).T @ h6)
    h["head.C5.weight"], h["head.C5.bias"] = np.outer(h5, x4**2), h5
    h4 = (_slope(a4).ravel() ** 2 * ((w["head.C5.weight"] ** 2).T @ h5)).reshape(a4.shape)
    h["features.S4.sum.weight"] = (h4 * s4**2).sum(axis=(1, 2))
    h["features.S4.sum.bias"] = h4.sum(axis=(1, 2))
    hs = h4 * w["features.S4.sum.weight"][:, None, None] ** 2
    h3 = _slope(a3) ** 2 * hs.repeat(2, axis=1).repeat(2, axis=2)

    def propagate(kernels, x, h):
        h_kernels, h_inputs = np.zeros_like(kernels), np.zeros_like(x)
        k = kernels.shape[-1]
        for i in range(h.shape[1]):
            for j in range(h.shape[2]):
                patch = x[:, i : i + k, j : j + k]
                h_unit = h[:, i, j][:, None, None, None]
                h_kernels += h_unit * patch**2
                h_inputs[:, i : i + k, j : j + k] += (h_unit * kernels**2).sum(axis=0)
        return h_kernels, h_inputs

    h_c3, h2 = propagate(dense, x2, h3)
    h["features.C3.weight"] = h_c3.reshape(96, 5, 5)[network.features.C3.index.numpy()]
    h["features.C3.bias"] = h3.sum(axis=(1, 2))
    h2 = h2 * _slope(a2) ** 2
    h["features.S2.sum.weight"] = (h2 * s2**2).sum(axis=(1, 2))
    h["features.S2.sum.bias"] = h2.sum(axis=(1, 2))
    hs = h2 * w["features.S2.sum.weight"][:, None, None] ** 2
    h1 = _slope(a1) ** 2 * hs.repeat(2, axis=1).repeat(2, axis=2)
    h["features.C1.weight"], _ = propagate(w["features.C1.weight"], image, h1)
    h["features.C1.bias"] = h1.sum(axis=(1, 2))
    return h


def test_second_derivatives_of_the_1998_network_equal_those_by_loops():
    torch.manual_seed(0)
    network = make_1998_network().double()
    images, labels = torch.rand(2, 1, 32, 32, dtype=torch.float64), torch.tensor([3, 8])
    names = {p: name for name, p in network.named_parameters()}
    expected = [compute_by_loops(network, image.numpy()) for image in images]
    found = estimate_second_derivatives(network, images, labels, LOSSES["distance"]())
    assert len(found) == len(names) == 12
    for p, h in found.items():
        mean = (expected[0][names[p]] + expected[1][names[p]]) / 2
        assert np.allclose(h.numpy(), mean, rtol=1e-9), names[p]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("loss", LOSSES)
def test_second_derivatives_of_all_named_layers_and_losses(activation, pooling, loss):
    network = make_1998_network(activation=activation, pooling=pooling)
    images, labels = torch.rand(4, 1, 32, 32), torch.arange(4)
    found = estimate_second_derivatives(network, images, labels, LOSSES[loss]())
    assert set(found) == set(network.parameters())
    for p, h in found.items():
        assert h.shape == p.shape
        assert (h >= 0).all()
        assert h.isfinite().all()
    assert network.training


def test_average_pooling_has_squared_weights():
    average = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )
    torch.manual_seed(0)
    x, labels = torch.rand(5, 1, 6, 6), torch.arange(5) % 3
    found = estimate_second_derivatives(average, x, labels, LOSSES["cross_entropy"]())
    linear = average[3]
    conv = average[0](x)
    pooled = average[2](average[1](conv))
    p = linear(pooled).softmax(dim=1)
    h = (p * (1 - p)) @ linear.weight.square()
    h = h.view(5, 2, 2, 2).repeat_interleave(2, 2).repeat_interleave(2, 3) / 16
    assert torch.allclose(found[average[0].bias], h.sum((0, 2, 3)) / 5, rtol=1e-4)


def test_a_layer_without_a_rule_is_rejected():
    module = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
    with pytest.raises(TypeError, match="second derivatives of LayerNorm"):
        estimate_second_derivatives(
            module, torch.rand(2, 4), torch.arange(2), LOSSES["map"]()
        )


def test_a_step_divides_by_mu_plus_the_second_derivative():
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = SDLM([weight], lr=0.1, mu=0.5, weight_decay=0.01)
    optimizer.state[weight]["factor"] = 1 / (0.5 + torch.tensor([0.5, 1.5]))
    weight.grad = torch.tensor([1.0, -1.0])
    optimizer.step()
    expected = [1 - 0.1 / 1.0 * 1.01, 2 - 0.1 / 2.0 * (-1 + 0.02)]
    assert weight.tolist() == pytest.approx(expected)
    assert optimizer.compute_learning_rates().tolist() == pytest.approx([0.1, 0.05])


@pytest.mark.real_data("mnist")
@pytest.mark.parametrize("seed", range(3))
def test_learning_rates_of_the_first_epoch_are_those_of_the_paper(real_data, seed):
    """Section III.B: between about 7e-5 and 0.016."""
    X, y = fetch_mnist(return_X_y=True)
    options = lecun1998() | {"lr": 5e-4, "lr_schedule": "constant", "max_epochs": 1}
    estimates = []

    class RecordingSDLM(SDLM):
        def estimate(self, *args):
            super().estimate(*args)
            estimates.append(self.compute_learning_rates())

    # Second derivatives are estimated on 500 patterns, whatever the size of the dataset.
    LeNet5Classifier(**options | {"optimizer": RecordingSDLM}, random_state=seed).fit(
        X[:500], y[:500]
    )
    (rates,) = estimates
    assert 7e-5 / 2 < rates.min() < 7e-5 * 2
    assert 0.016 / 2 < rates.max() < 0.016 * 2
