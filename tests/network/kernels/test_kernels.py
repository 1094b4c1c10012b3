"""Each kernel against torch in double precision."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sklenet.network import LOSSES
from sklenet.network.kernels.compiler import load_layers
from sklenet.network.layers import ACTIVATIONS

layers = load_layers()
if layers is None:
    pytest.skip("numba does not compile here", allow_module_level=True)
from sklenet.network.kernels import (  # noqa: E402
    activation,
    convolution,
    dense,
    losses,
    pooling,
)

few = settings(max_examples=20)
SEEDS = st.integers(0, 2**32 - 1)


def draw(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def to_torch(x, n):
    """Maps of (maps, height, width * n) as a double tensor of (n, maps, height, width)."""
    x = x.reshape(*x.shape[:2], -1, n)
    return torch.from_numpy(np.ascontiguousarray(x.transpose(3, 0, 1, 2))).double()


def from_torch(x):
    return np.ascontiguousarray(x.detach().permute(1, 2, 3, 0).flatten(2).numpy())


def assert_close(actual, expected, rtol=1e-5):
    """Values of these tests are sums of terms of size 1, which may cancel each other."""
    expected = np.asarray(expected)
    scale = np.abs(expected).max(initial=1)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * scale)


@st.composite
def convolutions(draw_from):
    """Return x, kernels, the table and the bias of a convolution, and n."""
    k, n = draw_from(st.integers(1, 7)), draw_from(st.integers(1, 20))
    n_outputs, n_inputs = draw_from(st.integers(1, 5)), draw_from(st.integers(1, 4))
    height, width = (k + draw_from(st.integers(1, 8)) for _ in range(2))
    seed = draw_from(SEEDS)
    connected = draw_from(
        st.lists(
            st.booleans(), min_size=n_outputs * n_inputs, max_size=n_outputs * n_inputs
        )
    )
    if not any(connected):
        connected[0] = True
    table = np.full(n_outputs * n_inputs, -1)
    table[np.flatnonzero(connected)] = np.arange(sum(connected))
    return (
        draw(seed, n_inputs, height, width * n),
        # Sums of about 1, where activations are not saturated.
        draw(seed + 1 & 0xFFFFFFFF, sum(connected), k, k) / k / n_inputs,
        table.reshape(n_outputs, n_inputs),
        draw(seed + 2 & 0xFFFFFFFF, n_outputs),
        n,
    )


def dense_kernels(kernels, table):
    """All kernels as a double tensor that requires a gradient; missing ones are 0."""
    k = kernels.shape[1]
    full = np.zeros((*table.shape, k, k))
    full[table >= 0] = kernels[table[table >= 0]]
    return torch.from_numpy(full).requires_grad_()


@few
@given(convolutions())
def test_convolutions_are_torchs(case):
    x, kernels, table, _, n = case
    weight, images = dense_kernels(kernels, table), to_torch(x, n).requires_grad_()
    expected = F.conv2d(images, weight)
    grad = torch.from_numpy(draw(0, *expected.shape)).double()
    expected.backward(grad)

    k = kernels.shape[1]
    height, width = expected.shape[2:]
    out = np.zeros((len(table), height, width * n), np.float32)
    for m in range(0, len(table), 2):
        m2 = min(m + 1, len(table) - 1)
        convolution.correlate_rows(x, kernels, table, m, 0, n, out, m, m2, 0, height)
    assert_close(out, from_torch(expected))

    border = k - 1
    columns = width + 2 * border
    bordered = np.zeros((len(table), height, columns * n), np.float32)
    inside = bordered[:, :, border * n : (border + width) * n]
    inside[:] = from_torch(grad)
    grad_kernels = np.full_like(kernels, np.nan)
    convolution.correlate_weights(
        bordered, border * n, width * n, x, table, n, grad_kernels
    )
    full = weight.grad.numpy()
    for position in zip(*np.nonzero(table >= 0), strict=True):
        assert_close(grad_kernels[table[position]], full[position])

    grad_x = np.full_like(x, np.nan)
    turned = np.ascontiguousarray(kernels[:, ::-1, ::-1])
    back = np.ascontiguousarray(table.T)
    convolution.correlate_back(bordered, turned, back, n, grad_x)
    assert_close(grad_x, from_torch(images.grad))


def double_activation(name, x):
    if name == "scaled_tanh":
        return 1.7159 * torch.tanh(x * (2 / 3))
    return ACTIVATIONS[name]()(x)


def make_source(kind, y):
    """Return the array for the arguments of an activation, if they are needed."""
    return np.empty_like(y) if activation.needs_argument(kind) else y


def test_there_is_a_kernel_for_every_activation():
    assert set(activation.KINDS) == {"identity", *ACTIVATIONS}


@pytest.mark.parametrize("name", activation.KINDS[1:])
def test_activations_and_their_slopes_are_torchs(name):
    kind = activation.KINDS.index(name)
    x = np.concatenate([np.linspace(-100, 100, 2001), np.linspace(-3, 3, 6001)])
    x = np.append(x, [0.0, -1e-6, 1e-6, 1e-3, -1e-3]).astype(np.float32)
    leaf = torch.from_numpy(x).double().requires_grad_()
    expected = double_activation(name, leaf)
    expected.sum().backward()
    y = x.copy()
    activation.activate(kind, y)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-6, atol=1e-6)
    slope = np.ones_like(x)
    source = x if activation.needs_argument(kind) else y
    activation.multiply_by_slope(kind, slope, source)
    np.testing.assert_allclose(slope, leaf.grad, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", activation.KINDS)
def test_what_is_not_finite_does_not_become_finite(name):
    y = np.full(40, np.nan, np.float32)
    activation.activate(activation.KINDS.index(name), y)
    assert np.isnan(y).all()


def convolve_and_pool(x, kernels, table, bias, n, kind, y, source, corner):
    """Compute a stage with maximum pooling as `layers.MaxStage` does."""
    rows = np.empty((2, 2, 2 * y.shape[2]), np.float32)
    if activation.needs_argument(kind):
        pooling.convolve_activate_and_take_largest(
            x, kernels, table, bias, n, kind, rows, y, source, corner
        )
    else:
        pooling.convolve_and_take_largest(x, kernels, table, bias, n, rows, y, corner)
        activation.activate(kind, y.reshape(-1))


@few
@given(convolutions(), st.sampled_from(activation.KINDS[1:]))
def test_stages_with_maximum_pooling_are_torchs(case, name):
    x, kernels, table, bias, n = case
    kind = activation.KINDS.index(name)
    images, weight = to_torch(x, n), dense_kernels(kernels, table)
    leaf = torch.from_numpy(bias).double().requires_grad_()
    sums = F.conv2d(images, weight, leaf)
    if min(sums.shape[2:]) < 2:
        return
    sums.retain_grad()
    values = double_activation(name, sums)
    # In torch, the last digits of equal units can differ, if some of them are computed
    # in vectors and others one by one.
    values = values + (values.detach().round(decimals=12) - values.detach())
    expected = F.max_pool2d(values, 2)
    grad = torch.from_numpy(draw(1, *expected.shape)).double()
    expected.backward(grad)

    shape = from_torch(expected).shape
    y, corner = np.empty(shape, np.float32), np.empty(shape, np.int8)
    source = make_source(kind, y)
    convolve_and_pool(x, kernels, table, bias, n, kind, y, source, corner)
    assert_close(y, from_torch(expected))
    border = 2
    used = slice(border * n, border * n + 2 * shape[2])
    grad_units = np.zeros((shape[0], 2 * shape[1], 2 * shape[2] + 4 * n), np.float32)
    grad_bias = np.empty_like(bias)
    grad_pooled = from_torch(grad).astype(np.float32)
    activation.multiply_by_slope(kind, grad_pooled.reshape(-1), source.reshape(-1))
    pooling.unpool_largest(grad_pooled, corner, n, border, grad_units, grad_bias)
    full = from_torch(sums.grad)[:, : 2 * shape[1], : 2 * shape[2]]
    assert_close(grad_units[:, :, used], full)
    assert not grad_units[:, :, : border * n].any()
    assert not grad_units[:, :, used.stop :].any()
    assert_close(grad_bias, leaf.grad)


@few
@given(
    convolutions(),
    st.sampled_from(activation.KINDS[1:]),
    st.sampled_from(activation.KINDS),
)
def test_stages_whose_pooling_adds_up_are_torchs(case, name, second):
    x, kernels, table, bias, n = case
    kind, second_kind = activation.KINDS.index(name), activation.KINDS.index(second)
    coefficient, shift = draw(3, len(table)), draw(4, len(table))
    images, weight = to_torch(x, n), dense_kernels(kernels, table)
    leaves = [
        torch.from_numpy(p).double().requires_grad_() for p in (bias, coefficient, shift)
    ]
    sums = F.conv2d(images, weight, leaves[0])
    if min(sums.shape[2:]) < 2:
        return
    sums.retain_grad()
    expected = 4 * F.avg_pool2d(double_activation(name, sums), 2)
    expected = expected * leaves[1][:, None, None] + leaves[2][:, None, None]
    if second != "identity":
        expected = double_activation(second, expected)
    grad = torch.from_numpy(draw(1, *expected.shape)).double()
    expected.backward(grad)

    shape = from_torch(expected).shape
    units_shape = (shape[0], 2 * shape[1], 2 * shape[2])
    total, y = np.empty(shape, np.float32), np.empty(shape, np.float32)
    units = np.empty(units_shape, np.float32)
    source = make_source(second_kind, y)
    pooling.convolve_and_add_squares(
        x,
        kernels,
        table,
        bias,
        n,
        kind,
        coefficient,
        shift,
        second_kind,
        units,
        total,
        y,
        source,
    )
    assert_close(y, from_torch(expected))
    grad_units = np.zeros(units_shape, np.float32)
    grads = [np.empty_like(p) for p in (bias, coefficient, shift)]
    pooling.unpool_squares(
        from_torch(grad).astype(np.float32),
        source,
        total,
        units,
        n,
        kind,
        coefficient,
        second_kind,
        0,
        grad_units,
        *grads,
    )
    full = from_torch(sums.grad)[:, : 2 * shape[1], : 2 * shape[2]]
    # Where a rectifier bends, rounding decides.
    assert_close(grad_units, full, rtol=1e-4)
    for own, p in zip(grads, leaves, strict=True):
        assert_close(own, p.grad, rtol=1e-4)


def test_the_first_of_equal_units_takes_the_gradient():
    row = np.zeros(4, np.float32)
    pooled, corner = np.empty(2, np.float32), np.full(2, 9, np.int8)
    pooling.take_largest(row, row, 1, pooled, corner)
    assert corner.tolist() == [0, 0]


@pytest.mark.parametrize("n", [1, 8])
@pytest.mark.parametrize("where", [(0,), (1,), (2,), (3,), (0, 2), (1, 3), (0, 1, 2, 3)])
@pytest.mark.parametrize("others", [[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, -np.inf, np.inf]])
def test_the_largest_of_units_with_nan_is_nan(where, others, n):
    # One square of an image whose other squares have no NaN.
    units = np.tile(np.float32(others).reshape(2, 2), (1, 3))
    for k in where:
        units[k // 2, 2 + k % 2] = np.nan
    leaf = torch.from_numpy(units[None]).requires_grad_()
    expected = F.max_pool2d(leaf, 2)
    expected.sum().backward()
    upper, lower = np.repeat(units, n, axis=1)
    pooled, corner = np.empty(3 * n, np.float32), np.empty(3 * n, np.int8)
    pooling.take_largest(upper, lower, n, pooled, corner)
    np.testing.assert_array_equal(pooled, expected.detach().numpy().repeat(n))
    assert np.isnan(pooled).sum() == n
    taken = np.zeros((2, 6))
    for square, k in enumerate(corner[::n]):
        taken[k // 2, 2 * square + k % 2] = 1
    np.testing.assert_array_equal(taken, leaf.grad[0])


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "mish"])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("trains", [True, False])
def test_nan_reaches_the_outputs_of_a_stage_as_in_torch(name, k, trains):
    layer = torch.nn.Conv2d(1, 3, k)
    stage = layers.MaxStage(layer, activation.KINDS.index(name), trains)
    x = draw(k, 1, k + 5, k + 5, 8)
    for image in range(6):
        x[0, k - 1 + image % 6, k + 4 - image, image] = np.nan
    y = stage.forward(x)
    images = torch.from_numpy(x.transpose(3, 0, 1, 2).copy())
    with torch.no_grad():
        expected = F.max_pool2d(ACTIVATIONS[name]()(layer(images)), 2)
    assert not expected.isnan().all()
    np.testing.assert_allclose(
        y.transpose(3, 0, 1, 2), expected, rtol=1e-5, atol=1e-5, equal_nan=True
    )
    if trains:
        stage.backward(np.ones_like(y))
        assert np.isnan(stage.grad_kernels).any()


@few
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 40),
    SEEDS,
    st.sampled_from(activation.KINDS),
)
def test_dense_layers_are_torchs(n_units, n_inputs, n, seed, name):
    kind = activation.KINDS.index(name)
    layer = torch.nn.Linear(n_inputs, n_units)
    x = draw(seed, n_inputs, n)
    own = layers.Dense(layer, kind)
    own.weight[:] = draw(seed, n_units, n_inputs)
    y = own.forward(x)
    doubled = torch.nn.Linear(n_inputs, n_units).double()
    doubled.load_state_dict(layer.state_dict())
    leaf = torch.from_numpy(x.T.copy()).double().requires_grad_()
    z = doubled(leaf)
    expected = z if name == "identity" else double_activation(name, z)
    assert_close(y, expected.detach().T)
    grad = draw(seed, n_units, n)
    expected.backward(torch.from_numpy(grad.T.copy()).double())
    assert_close(own.backward(grad.copy()), leaf.grad.T, rtol=1e-4)
    assert_close(own.grad_weight, doubled.weight.grad, rtol=1e-4)
    assert_close(own.grad_bias, doubled.bias.grad, rtol=1e-4)


@few
@given(st.integers(1, 9), st.integers(2, 12), st.integers(1, 40), SEEDS)
def test_distances_are_torchs(n_units, n_classes, n, seed):
    x, grad = draw(seed, n_units, n), draw(seed, n_classes, n)
    codes = np.sign(draw(seed, n_classes, n_units))
    out, grad_x = np.empty_like(grad), np.empty_like(x)
    dense.measure_distances(x, codes, out)
    dense.pull_distances_back(grad, x, codes, grad_x)
    leaf = torch.from_numpy(x.T.copy()).double().requires_grad_()
    expected = -(leaf[:, None, :] - torch.from_numpy(codes).double()).square().sum(dim=2)
    expected.backward(torch.from_numpy(grad.T.copy()).double())
    assert_close(out, expected.detach().T)
    assert_close(grad_x, leaf.grad.T)


@pytest.mark.parametrize("name", losses.KINDS)
@few
@given(
    st.integers(2, 12),
    st.integers(1, 20),
    SEEDS,
    st.sampled_from([0.0, 0.1, 1.0]),
    st.sampled_from([0.1, 1.0, 30.0, 1000.0]),
)
def test_losses_are_torchs(name, n_classes, n, seed, smoothing, scale):
    outputs = draw(seed, n_classes, n) * np.float32(scale)
    labels = np.random.RandomState(seed).randint(0, n_classes, n)
    criterion = LOSSES[name](smoothing)
    values, grad = layers.NamedLoss(criterion)(outputs, labels)
    leaf = torch.from_numpy(outputs.T.copy()).double().requires_grad_()
    expected = criterion(leaf, torch.from_numpy(labels))
    expected.sum().backward()
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(grad, leaf.grad.T, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_that_do_not_exist_are_rejected(label):
    loss = layers.NamedLoss(LOSSES["mse"]())
    with pytest.raises(IndexError, match="from 0 to 2"):
        loss(np.zeros((3, 2), np.float32), np.array([0, label]))
