"""The layers of LeNet-5 on numpy arrays, forwards and backwards.

Images come last: maps are arrays of (maps, height, width, n), units of (units, n). Then
every product is one of large matrices, and what pooling compares lies beside each other.

``forward`` keeps what ``backward`` needs; ``backward`` takes the gradient by the outputs,
overwrites those of the weights, and gives the one by the inputs. Weights and gradients are
the torch parameters' own memory.
"""

import itertools
from collections.abc import Callable

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from torch import nn

from sklenet.network.layers import FirstConv2d, ScaledTanh
from sklenet.network.lecun1998 import PartialConv2d, RadialBasis, Subsample

Array = np.ndarray

# The corners of a square of 2x2 pixels, in the order in which torch goes through them.
_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


class Stage:
    """A convolution, its activation, and pooling over squares of 2x2.

    The four units that are pooled see patches of k x k inputs, which lie in one of
    (k+1) x (k+1). With each kernel once in each corner of such a patch, the convolution
    is one matrix product, whose first axis is the corner.
    """

    def __init__(
        self, layer: nn.Conv2d | PartialConv2d, activation: "Activation", pool: "Pool"
    ) -> None:
        assert layer.bias is not None
        self.activation, self.pool = activation, pool
        # Nobody asks for the gradient by the image.
        self.first = isinstance(layer, FirstConv2d)
        self.weight, self.of_weight = arrays(layer.weight)
        self.bias, self.of_bias = arrays(layer.bias)
        shape = layer.shape if isinstance(layer, PartialConv2d) else layer.weight.shape
        n_maps, n_inputs, self.side, _ = shape
        self.index = layer.index.numpy() if isinstance(layer, PartialConv2d) else None
        self.kernels = self.weight
        if self.index is not None:
            self.kernels = np.zeros(shape, np.float32)
        large = self.side + 1
        self.cornered = np.zeros((2, 2, n_maps, n_inputs, large, large), np.float32)
        self.of_cornered = np.empty_like(self.cornered)
        self.corners = self._of_corners(self.cornered)
        self.of_corners = self._of_corners(self.of_cornered)
        self.matrix = self.cornered.reshape(4 * n_maps, -1)
        self.x = np.empty(0, np.float32)

    def _of_corners(self, cornered: Array) -> list[Array]:
        k = self.side
        return [cornered[i, j, :, :, i : i + k, j : j + k] for i, j in _CORNERS]

    def _allocate(self, shape: tuple[int, ...]) -> None:
        """Make the arrays that every batch of this shape uses, and what looks at them.

        At a batch of one, a view costs more to make than to copy.
        """
        self.x, self.of_x = np.empty(shape, np.float32), np.empty(shape, np.float32)
        large = self.side + 1
        windows = sliding_window_view(self.x, (large, large), axis=(1, 2))[:, ::2, ::2]
        self.windows = windows.transpose(0, 4, 5, 1, 2, 3)
        self.patches = np.empty(self.windows.shape, np.float32)
        self.columns = self.patches.reshape(self.matrix.shape[1], -1)
        self.of_columns = np.empty_like(self.columns)
        # The patches overlap, but not within squares of 2x2 of what they see.
        of_patches = self.of_columns.reshape(self.patches.shape)
        height, width, n = map(int, of_patches.shape[3:])
        self.overlaps = []
        for i, j in itertools.product(range(0, large, 2), repeat=2):
            rows, columns = min(2, large - i), min(2, large - j)
            start = self.of_x[:, i:, j:]
            c, y, x, m = start.strides
            inputs = as_strided(
                start,
                (shape[0], height, rows, width, columns, n),
                (c, 2 * y, y, 2 * x, x, m),
            )
            seen = of_patches[:, i : i + 2, j : j + 2].transpose(0, 3, 1, 4, 2, 5)
            self.overlaps.append((inputs, seen))

    def forward(self, x: Array) -> Array:
        if self.x.shape != x.shape:
            self._allocate(x.shape)
        np.copyto(self.x, x)
        np.copyto(self.patches, self.windows)
        if self.index is not None:
            self.kernels.reshape(-1, self.side, self.side)[self.index] = self.weight
        for corner in self.corners:
            corner[:] = self.kernels
        sums = (self.matrix @ self.columns).reshape(4, len(self.bias), -1)
        pooled = self.pool.forward(sums, self.bias, self.activation)
        return pooled.reshape(len(self.bias), *self.patches.shape[3:])

    def backward(self, gradient: Array) -> Array:
        gradient = gradient.reshape(len(self.bias), -1)
        of_sums = self.pool.backward(gradient, self.of_bias, self.activation)
        of_sums = of_sums.reshape(len(self.matrix), -1)
        # Transposed, since the long products of the taller matrix by the other are faster.
        of_matrix = self.of_cornered.reshape(self.matrix.shape)
        of_matrix[:] = (self.columns @ of_sums.T).T
        a, b, c, d = self.of_corners
        of_kernels = a + b
        of_kernels += c
        of_kernels += d
        if self.index is not None:
            of_kernels = of_kernels.reshape(-1, self.side, self.side)[self.index]
        self.of_weight[:] = of_kernels
        if self.first:
            return gradient
        np.dot(self.matrix.T, of_sums, out=self.of_columns)
        self.of_x[:] = 0
        for inputs, seen in self.overlaps:
            inputs += seen
        return self.of_x


class Activation:
    """A function of each element that does not fall, and its slope from its value."""

    def __init__(
        self, function: Callable[[Array], Array], slope: Callable[[Array], Array]
    ) -> None:
        self.function = function
        self.slope = slope

    def forward(self, x: Array) -> Array:
        self.y = self.function(x)
        return self.y

    def backward(self, gradient: Array) -> Array:
        return gradient * self.slope(self.y)


class Pool:
    """The mean of four units, each of them activated."""

    scale: Array = np.array(0.25, np.float32)

    def forward(self, sums: Array, bias: Array, activation: Activation) -> Array:
        """Pool sums of (4, maps, n), which lack their bias."""
        sums += bias[:, None]
        self.total = activation.forward(sums).sum(axis=0)
        return self.total * self.scale

    def backward(self, gradient: Array, of_bias: Array, activation: Activation) -> Array:
        """Return the gradient by the sums; set that of the bias."""
        of_sums = activation.backward(gradient * self.scale)
        of_sums.sum(axis=(0, 2), out=of_bias)
        return of_sums


class SubsamplePool(Pool):
    """The sum of four units, each activated, times a coefficient, plus a bias."""

    def __init__(self, layer: Subsample) -> None:
        self.weight, self.of_weight = arrays(layer.weight)
        self.shift, self.of_shift = arrays(layer.bias)

    def forward(self, sums: Array, bias: Array, activation: Activation) -> Array:
        self.scale = self.weight[:, None]
        return super().forward(sums, bias, activation) + self.shift[:, None]

    def backward(self, gradient: Array, of_bias: Array, activation: Activation) -> Array:
        np.einsum("ij,ij->i", gradient, self.total, out=self.of_weight)
        gradient.sum(axis=1, out=self.of_shift)
        return super().backward(gradient, of_bias, activation)


class MaxPool(Pool):
    """The largest of four units, activated afterwards: it is the same, and a quarter.

    Its gradient goes to the first of equal ones.
    """

    def forward(self, sums: Array, bias: Array, activation: Activation) -> Array:
        self.sums = sums
        self.largest = np.maximum(
            np.maximum(sums[0], sums[1]), np.maximum(sums[2], sums[3])
        )
        return activation.forward(self.largest + bias[:, None])

    def backward(self, gradient: Array, of_bias: Array, activation: Activation) -> Array:
        left = activation.backward(gradient)  # what no corner has taken yet
        left.sum(axis=1, out=of_bias)
        of_sums = np.empty_like(self.sums)
        for corner, of_corner in zip(self.sums, of_sums, strict=True):
            np.multiply(left, corner == self.largest, out=of_corner)
            left -= of_corner
        return of_sums


class Linear:
    """A fully connected layer."""

    def __init__(self, layer: nn.Linear) -> None:
        self.weight, self.of_weight = arrays(layer.weight)
        self.bias, self.of_bias = arrays(layer.bias)

    def forward(self, x: Array) -> Array:
        self.x = x
        return self.weight @ x + self.bias[:, None]

    def backward(self, gradient: Array) -> Array:
        np.dot(gradient, self.x.T, out=self.of_weight)
        gradient.sum(axis=1, out=self.of_bias)
        return self.weight.T @ gradient


class Flatten:
    """All maps of an image as one column."""

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return x.reshape(-1, x.shape[-1])

    def backward(self, gradient: Array) -> Array:
        return gradient.reshape(self.shape)


class Distances:
    """Minus the squared distance of each column from each code."""

    def __init__(self, layer: RadialBasis) -> None:
        self.codes = layer.codes.numpy()[:, :, None]

    def forward(self, x: Array) -> Array:
        self.difference = x - self.codes
        return -np.einsum("ijn,ijn->in", self.difference, self.difference)

    def backward(self, gradient: Array) -> Array:
        return -2 * np.einsum("in,ijn->jn", gradient, self.difference)


_A, _S = np.float32(1.7159), np.float32(2 / 3)
_ACTIVATIONS: dict[type[nn.Module], tuple[Callable, Callable]] = {
    nn.ReLU: (lambda x: np.maximum(x, 0), lambda y: y > 0),
    nn.LeakyReLU: (
        lambda x: np.maximum(x, np.float32(0.01) * x),
        lambda y: np.where(y > 0, np.float32(1), np.float32(0.01)),
    ),
    nn.ELU: (
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda y: np.minimum(y, 0) + 1,
    ),
    nn.Tanh: (np.tanh, lambda y: 1 - y * y),
    nn.Sigmoid: (
        lambda x: 1 / (1 + np.exp(-np.maximum(x, np.float32(-80)))),
        lambda y: y * (1 - y),
    ),
    ScaledTanh: (lambda x: _A * np.tanh(_S * x), lambda y: _S * _A - (_S / _A) * y * y),
}


def arrays(parameter: torch.Tensor) -> tuple[Array, Array]:
    """Return a parameter and its gradient as arrays that share their memory."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.detach().numpy(), parameter.grad.numpy()


def make_activation(layer: nn.Module) -> Activation:
    """Return the activation, or raise a NotImplementedError."""
    usual = _ACTIVATIONS.get(type(layer))
    if (
        usual is None
        or getattr(layer, "negative_slope", 0.01) != 0.01
        or getattr(layer, "alpha", 1.0) != 1.0
    ):
        raise NotImplementedError(f"no gradient by hand for {layer}")
    return Activation(*usual)


def make_pool(layer: nn.Module) -> Pool:
    """Return pooling over squares of 2x2, or raise a NotImplementedError."""
    if type(layer) is Subsample and layer.side == 2:
        return SubsamplePool(layer)
    for kind, pool in ((nn.MaxPool2d, MaxPool), (nn.AvgPool2d, Pool)):
        if type(layer) is kind and _settings(layer) == _settings(kind(2)):
            return pool()
    raise NotImplementedError(f"no gradient by hand for {layer}")


def _settings(layer: nn.Module) -> dict:
    return {
        k: v for k, v in vars(layer).items() if not k.startswith("_") and k != "training"
    }
