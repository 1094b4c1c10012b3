"""The layers of a network for one image, on numpy arrays.

``forward`` keeps what ``backward`` needs; ``backward`` takes the gradient by the outputs,
gives the one by the inputs, and overwrites those of the weights, for there is one image
only. Weights and gradients are the torch parameters' own memory.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn

from sklenet.network.layers import FirstConv2d, ScaledTanh
from sklenet.network.lecun1998 import PartialConv2d, RadialBasis, Subsample

Array = np.ndarray


class _Convolution:
    """A matrix product of the kernels with all patches of the image."""

    def __init__(self, layer: nn.Conv2d | PartialConv2d, first: bool) -> None:
        assert layer.bias is not None
        self.partial = isinstance(layer, PartialConv2d)
        self.first = first  # nobody asks for the gradient of the image
        self.weight, self.of_weight = _arrays(layer.weight)
        self.bias, self.of_bias = _arrays(layer.bias)
        shape = layer.shape if isinstance(layer, PartialConv2d) else layer.weight.shape
        self.n_maps, self.n_inputs, self.side, _ = shape
        if isinstance(layer, PartialConv2d):
            self.index = layer.index.numpy()
            self.kernels = np.zeros((self.n_maps, self.n_inputs * self.side**2), np.float32)
        else:
            self.kernels = self.weight.reshape(self.n_maps, -1)
        self.of_kernels = np.empty_like(self.kernels)
        self.x = np.empty(0, np.float32)

    def _allocate(self, shape: tuple[int, ...]) -> None:
        # A view of all windows costs more to make than to copy.
        self.x = np.empty(shape, np.float32)
        windows = sliding_window_view(self.x, (self.side, self.side), axis=(1, 2))
        self.windows = windows.transpose(0, 3, 4, 1, 2)
        self.patches = np.empty(self.windows.shape, np.float32)
        self.of_x = np.empty(shape, np.float32)

    def forward(self, x: Array) -> Array:
        if self.x.shape != x.shape:
            self._allocate(x.shape)
        np.copyto(self.x, x)
        np.copyto(self.patches, self.windows)
        if self.partial:
            self.kernels.reshape(-1, self.side, self.side)[self.index] = self.weight
        y = self.kernels @ self.patches.reshape(self.kernels.shape[1], -1)
        y += self.bias[:, None]
        return y.reshape(self.n_maps, *self.patches.shape[3:])

    def backward(self, gradient: Array) -> Array:
        gradient = gradient.reshape(self.n_maps, -1)
        patches = self.patches.reshape(self.kernels.shape[1], -1)
        np.dot(gradient, patches.T, out=self.of_kernels)
        of_kernels = self.of_kernels.reshape(-1, self.side, self.side)
        if self.partial:
            np.take(of_kernels, self.index, axis=0, out=self.of_weight)
        else:
            np.copyto(self.of_weight.reshape(of_kernels.shape), of_kernels)
        gradient.sum(axis=1, out=self.of_bias)
        if self.first:
            return gradient
        of_patches = (self.kernels.T @ gradient).reshape(self.patches.shape)
        height, width = of_patches.shape[3:]
        self.of_x[:] = 0
        for i in range(self.side):
            for j in range(self.side):
                self.of_x[:, i : i + height, j : j + width] += of_patches[:, i, j]
        return self.of_x


class _Linear:
    def __init__(self, layer: nn.Linear) -> None:
        self.weight, self.of_weight = _arrays(layer.weight)
        self.bias, self.of_bias = _arrays(layer.bias)

    def forward(self, x: Array) -> Array:
        self.x = x
        return self.weight @ x + self.bias

    def backward(self, gradient: Array) -> Array:
        np.multiply(gradient[:, None], self.x, out=self.of_weight)
        self.of_bias[:] = gradient
        return gradient @ self.weight


def _corners(x: Array) -> tuple[Array, ...]:
    """Return the four pixels of each square, as torch goes through them."""
    return x[:, ::2, ::2], x[:, ::2, 1::2], x[:, 1::2, ::2], x[:, 1::2, 1::2]


class _Squares:
    """What looks at squares of 2x2 pixels, the last odd row and column left out."""

    def squares(self, x: Array) -> tuple[Array, ...]:
        self.shape = x.shape
        height, width = (2 * (side // 2) for side in x.shape[1:])
        return _corners(x[:, :height, :width])

    def spread(self, values: Array) -> Array:
        of_x = np.zeros(self.shape, np.float32)
        height, width = 2 * values.shape[1], 2 * values.shape[2]
        for corner in _corners(of_x[:, :height, :width]):
            corner[:] = values
        return of_x


class _Subsample(_Squares):
    def __init__(self, layer: Subsample) -> None:
        self.weight, self.of_weight = _arrays(layer.weight)
        self.bias, self.of_bias = _arrays(layer.bias)

    def forward(self, x: Array) -> Array:
        a, b, c, d = self.squares(x)
        self.total = a + b
        self.total += c
        self.total += d
        y = self.total * self.weight[:, None, None]
        y += self.bias[:, None, None]
        return y

    def backward(self, gradient: Array) -> Array:
        n_maps = len(gradient)
        (gradient * self.total).reshape(n_maps, -1).sum(axis=1, out=self.of_weight)
        gradient.reshape(n_maps, -1).sum(axis=1, out=self.of_bias)
        return self.spread(gradient * self.weight[:, None, None])


class _Average(_Squares):
    def forward(self, x: Array) -> Array:
        a, b, c, d = self.squares(x)
        return (a + b + c + d) * np.float32(0.25)

    def backward(self, gradient: Array) -> Array:
        return self.spread(gradient * np.float32(0.25))


class _Maximum(_Squares):
    def forward(self, x: Array) -> Array:
        self.corners = self.squares(x)
        a, b, c, d = self.corners
        self.y = np.maximum(np.maximum(a, b), np.maximum(c, d))
        return self.y

    def backward(self, gradient: Array) -> Array:
        of_x = np.zeros(self.shape, np.float32)
        height, width = 2 * gradient.shape[1], 2 * gradient.shape[2]
        left = gradient.copy()  # what no corner has taken yet
        for corner, of_corner in zip(
            self.corners, _corners(of_x[:, :height, :width]), strict=True
        ):
            np.multiply(left, corner == self.y, out=of_corner)
            left -= of_corner
        return of_x


class _Activation:
    """A function of each element, and its slope from its value."""

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


class _Flatten:
    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return x.reshape(-1)

    def backward(self, gradient: Array) -> Array:
        return gradient.reshape(self.shape)


class _RadialBasis:
    def __init__(self, layer: RadialBasis) -> None:
        self.codes = layer.codes.numpy()

    def forward(self, x: Array) -> Array:
        self.difference = x - self.codes
        return -np.einsum("ij,ij->i", self.difference, self.difference)

    def backward(self, gradient: Array) -> Array:
        return -2 * (gradient @ self.difference)


_A, _S = np.float32(1.7159), np.float32(2 / 3)
_ACTIVATIONS: dict[type[nn.Module], tuple[Callable, Callable]] = {
    nn.ReLU: (lambda x: np.maximum(x, 0), lambda y: y > 0),
    nn.LeakyReLU: (
        lambda x: np.where(x > 0, x, np.float32(0.01) * x),
        lambda y: np.where(y > 0, np.float32(1), np.float32(0.01)),
    ),
    nn.ELU: (
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda y: np.where(y > 0, np.float32(1), y + 1),
    ),
    nn.Tanh: (np.tanh, lambda y: 1 - y * y),
    nn.Sigmoid: (
        lambda x: 1 / (1 + np.exp(-np.maximum(x, np.float32(-80)))),
        lambda y: y * (1 - y),
    ),
    ScaledTanh: (lambda x: _A * np.tanh(_S * x), lambda y: _S * _A - (_S / _A) * y * y),
}


def _arrays(parameter: torch.Tensor) -> tuple[Array, Array]:
    """Return a parameter and its gradient as arrays that share their memory."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.detach().numpy(), parameter.grad.numpy()


def translate(layer: nn.Module):
    """Return the layer for one image."""
    if isinstance(layer, nn.Conv2d | PartialConv2d):
        return _Convolution(layer, first=isinstance(layer, FirstConv2d))
    if isinstance(layer, nn.Linear):
        return _Linear(layer)
    if isinstance(layer, Subsample):
        return _Subsample(layer)
    if isinstance(layer, RadialBasis):
        return _RadialBasis(layer)
    if isinstance(layer, nn.MaxPool2d) and layer.kernel_size == 2:
        return _Maximum()
    if isinstance(layer, nn.AvgPool2d) and layer.kernel_size == 2:
        return _Average()
    if isinstance(layer, nn.Flatten):
        return _Flatten()
    if type(layer) in _ACTIVATIONS:
        return _Activation(*_ACTIVATIONS[type(layer)])
    raise NotImplementedError(f"no layer for one image in place of {layer}")
