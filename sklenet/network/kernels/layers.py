"""The layers of LeNet-5 in terms of the kernels.

``forward`` keeps what ``backward`` needs. ``backward`` takes the gradient with respect to
the outputs, which it may overwrite, overwrites the gradients of the weights, and returns
the gradient with respect to the inputs. Weights and gradients are the torch parameters' own
memory. Results are buffers of the layer that its next call overwrites.

Maps are arrays of shape (maps, height, width, n), units of shape (units, n).
"""

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from sklenet.network.kernels import activation, convolution, dense, losses, pooling
from sklenet.network.kernels import augmentation as augmentation
from sklenet.network.kernels import images as images
from sklenet.network.kernels import optimizers as optimizers
from sklenet.network.kernels.compiler import Kernel, prepare
from sklenet.network.layers import (
    Dropout,
    FirstConv2d,
    get_activation_name,
    get_pooling_name,
)
from sklenet.network.lecun1998.layers import PartialConv2d, RadialBasis, Subsample
from sklenet.network.losses import LOSSES, Loss, MaximumAPosteriori

Array = np.ndarray

_ALIGNMENT = 64  # bytes: a line of the cache, and the longest vector

# The number of images from which on the rows of C1 are long enough to use each pair of them
# at once. For fewer, starting the sums of each pair takes longer than memory does.
_MIN_FUSED = 16

# What `compiler.load_layers` compiles at once.
ALWAYS = (images.gather_images,)


def make_buffer(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Return zeros that begin at a line of the cache, for vectors that end at one, too."""
    dtype = np.dtype(dtype)
    n_bytes = math.prod(shape) * dtype.itemsize
    memory = np.zeros(n_bytes + _ALIGNMENT, np.uint8)
    start = -memory.__array_interface__["data"][0] % _ALIGNMENT
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


def share_memory(parameter: torch.Tensor, trains: bool = True) -> tuple[Array, Array]:
    """Return a parameter and its gradient as arrays that share their memory.

    Without `trains` there is no gradient, and the parameter takes its place.
    """
    values = parameter.detach().numpy()
    if not trains:
        return values, values
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return values, parameter.grad.numpy()


class Activation:
    """An activation and its derivative, of all elements of an array, in place.

    Parameters
    ----------
    kind : int
        Index in `activation.KINDS`.
    """

    def __init__(self, kind: int) -> None:
        self.kind = kind
        # Not the compiled function, which would have to be loaded for that.
        self.needs_argument = activation.needs_argument.function(kind)
        self.kernels = activation.select_kernels(kind)

    def list_kernels(self, trains: bool) -> list[Kernel]:
        """Return the kernels that the methods call."""
        if self.kind == activation.IDENTITY:
            return []
        return list(self.kernels) if trains else [self.kernels[0]]

    def apply(self, y: Array) -> None:
        """Replace each element by the activation of it."""
        if self.kind != activation.IDENTITY:
            self.kernels[0](self.kind, _flatten(y))

    def multiply_by_slope(self, grad: Array, source: Array) -> None:
        """Multiply `grad` by the derivative, see `activation.multiply_by_slope`."""
        if self.kind != activation.IDENTITY:
            self.kernels[1](self.kind, _flatten(grad), _flatten(source))


def _flatten(x: Array) -> Array:
    assert x.flags.c_contiguous  # otherwise it would be a copy
    return x.reshape(-1)


class Stage:
    """A convolution, its activation, and pooling over squares of 2x2.

    Parameters
    ----------
    layer : Conv2d or PartialConv2d
    kind : int
        The activation.
    trains : bool
        Whether the gradients are the parameters' own.
    """

    def __init__(
        self, layer: nn.Conv2d | PartialConv2d, kind: int, trains: bool = True
    ) -> None:
        assert layer.bias is not None
        self.kind, self.trains = kind, trains
        self.last_activation = Activation(kind)
        # The gradient with respect to the image is not needed.
        self.is_first = isinstance(layer, FirstConv2d)
        weight, grad_weight = share_memory(layer.weight, trains)
        self.bias, self.grad_bias = share_memory(layer.bias, trains)
        if isinstance(layer, PartialConv2d):
            n_maps, n_inputs, self.k, _ = layer.shape
            table = np.full(n_maps * n_inputs, -1)
            table[layer.index.numpy()] = np.arange(len(weight))
        else:
            n_maps, n_inputs, self.k, _ = layer.weight.shape
            table = np.arange(n_maps * n_inputs)
        self.table = table.reshape(n_maps, n_inputs)
        self.table_back = np.ascontiguousarray(self.table.T)
        self.kernels = weight.reshape(-1, self.k, self.k)
        self.grad_kernels = grad_weight.reshape(-1, self.k, self.k)
        self.border = 0 if self.is_first else self.k - 1
        self.shape: tuple[int, ...] = ()

    def allocate(self, shape: tuple[int, ...]) -> None:
        """Make the buffers for inputs of a shape."""
        self.shape = shape
        n_inputs, height, width, n = shape
        n_maps = len(self.table)
        pooled_height = (height - self.k + 1) // 2
        pooled_width = (width - self.k + 1) // 2
        self.pooled_shape = (n_maps, pooled_height, pooled_width, n)
        self.y = make_buffer((n_maps, pooled_height, pooled_width * n))
        # What the slope of the last activation is computed from.
        self.source = self.y
        if self.last_activation.needs_argument:
            self.source = make_buffer(self.y.shape)
        self.units_shape = (n_maps, 2 * pooled_height, 2 * pooled_width * n)
        if not self.trains:
            return
        self.is_fused = self.is_first and n >= _MIN_FUSED
        if self.is_fused:
            self.pairs = make_buffer((2, 2, 2 * pooled_width * n))
        else:
            columns = 2 * (pooled_width + self.border)
            self.grad_units = make_buffer((n_maps, 2 * pooled_height, columns * n))
        if not self.is_first:
            self.grad_x = make_buffer((n_inputs, height, width * n))

    def forward(self, x: Array) -> Array:
        if self.shape != x.shape:
            self.allocate(x.shape)
        self.x = x.reshape(*x.shape[:2], -1)
        self.convolve_and_pool(x.shape[-1])
        return self.y.reshape(self.pooled_shape)

    def backward(self, grad: Array) -> Array:
        n = self.shape[-1]
        grad = grad.reshape(self.y.shape)
        if self.is_fused:
            self.correlate_weights(grad, n)
            return grad
        self.unpool(grad, n)
        start, length = self.border * n, self.units_shape[2]
        convolution.correlate_weights(
            self.grad_units, start, length, self.x, self.table, n, self.grad_kernels
        )
        if self.is_first:
            return grad
        turned = np.ascontiguousarray(self.kernels[:, ::-1, ::-1])
        convolution.correlate_back(self.grad_units, turned, self.table_back, n, self.grad_x)
        return self.grad_x.reshape(self.shape)

    def list_kernels(self) -> list[Kernel]:
        """Return the kernels that the methods call."""
        if not self.trains:
            return []
        if self.is_first:
            return [convolution.correlate_weights]
        return [convolution.correlate_weights, convolution.correlate_back]

    def convolve_and_pool(self, n: int) -> None:
        """Compute ``y`` from ``x``."""
        raise NotImplementedError

    def unpool(self, grad: Array, n: int) -> None:
        """Compute ``grad_units`` and the gradients of all weights but the kernels."""
        raise NotImplementedError

    def correlate_weights(self, grad: Array, n: int) -> None:
        """Compute the gradients of all weights, two rows of two maps at a time."""
        raise NotImplementedError


class MaxStage(Stage):
    """A stage with maximum pooling."""

    def allocate(self, shape: tuple[int, ...]) -> None:
        super().allocate(shape)
        self.corner = make_buffer(self.y.shape, np.int8)
        self.rows = make_buffer((2, 2, self.units_shape[2]))

    def list_kernels(self) -> list[Kernel]:
        if self.last_activation.needs_argument:
            kernels = [pooling.convolve_activate_and_take_largest]
        else:
            kernels = [pooling.convolve_and_take_largest]
        if self.trains:
            kernels.append(pooling.unpool_largest)
            if self.is_first:
                kernels.append(pooling.correlate_weights_largest)
        kernels += self.last_activation.list_kernels(self.trains)
        return super().list_kernels() + kernels

    def convolve_and_pool(self, n: int) -> None:
        if self.last_activation.needs_argument:
            pooling.convolve_activate_and_take_largest(
                self.x,
                self.kernels,
                self.table,
                self.bias,
                n,
                self.kind,
                self.rows,
                self.y,
                self.source,
                self.corner,
            )
            return
        pooling.convolve_and_take_largest(
            self.x, self.kernels, self.table, self.bias, n, self.rows, self.y, self.corner
        )
        self.last_activation.apply(self.y)

    def unpool(self, grad: Array, n: int) -> None:
        self.last_activation.multiply_by_slope(grad, self.source)
        pooling.unpool_largest(
            grad, self.corner, n, self.border, self.grad_units, self.grad_bias
        )

    def correlate_weights(self, grad: Array, n: int) -> None:
        self.last_activation.multiply_by_slope(grad, self.source)
        pooling.correlate_weights_largest(
            grad,
            self.corner,
            n,
            self.x,
            self.table,
            self.pairs,
            self.grad_kernels,
            self.grad_bias,
        )


class SumStage(Stage):
    """A stage whose pooling is a sum, times a coefficient, plus a shift.

    Parameters
    ----------
    layer, kind, trains
        As in `Stage`.
    subsample : Subsample, optional
        The layer with the coefficients and shifts. None: the mean.
    second_kind : int
        The activation after the pooling.
    """

    def __init__(
        self,
        layer: nn.Conv2d | PartialConv2d,
        kind: int,
        trains: bool = True,
        subsample: Subsample | None = None,
        second_kind: int = activation.IDENTITY,
    ) -> None:
        super().__init__(layer, kind, trains)
        self.second_kind, self.last_activation = second_kind, Activation(second_kind)
        if subsample is None:
            n_maps = len(self.table)
            self.coefficient = np.full(n_maps, 0.25, np.float32)
            self.shift = np.zeros(n_maps, np.float32)
            self.grad_coefficient = np.empty_like(self.coefficient)
            self.grad_shift = np.empty_like(self.shift)
        else:
            self.coefficient, self.grad_coefficient = share_memory(subsample.weight, trains)
            self.shift, self.grad_shift = share_memory(subsample.bias, trains)

    def allocate(self, shape: tuple[int, ...]) -> None:
        super().allocate(shape)
        self.total = make_buffer(self.y.shape)
        self.units = make_buffer(self.units_shape)

    def list_kernels(self) -> list[Kernel]:
        kernels = [pooling.convolve_and_add_squares]
        if self.trains:
            kernels.append(pooling.unpool_squares)
            if self.is_first:
                kernels.append(pooling.correlate_weights_squares)
        return super().list_kernels() + kernels

    def convolve_and_pool(self, n: int) -> None:
        pooling.convolve_and_add_squares(
            self.x,
            self.kernels,
            self.table,
            self.bias,
            n,
            self.kind,
            self.coefficient,
            self.shift,
            self.second_kind,
            self.units,
            self.total,
            self.y,
            self.source,
        )

    def unpool(self, grad: Array, n: int) -> None:
        pooling.unpool_squares(
            grad,
            self.source,
            self.total,
            self.units,
            n,
            self.kind,
            self.coefficient,
            self.second_kind,
            self.border,
            self.grad_units,
            self.grad_bias,
            self.grad_coefficient,
            self.grad_shift,
        )

    def correlate_weights(self, grad: Array, n: int) -> None:
        pooling.correlate_weights_squares(
            grad,
            self.source,
            self.total,
            self.units,
            n,
            self.kind,
            self.coefficient,
            self.second_kind,
            self.x,
            self.table,
            self.pairs,
            self.grad_kernels,
            self.grad_bias,
            self.grad_coefficient,
            self.grad_shift,
        )


class Dense:
    """A fully connected layer and its activation."""

    def __init__(
        self, layer: nn.Linear, kind: int = activation.IDENTITY, trains: bool = True
    ) -> None:
        self.activation, self.trains = Activation(kind), trains
        self.weight, self.grad_weight = share_memory(layer.weight, trains)
        self.bias, self.grad_bias = share_memory(layer.bias, trains)
        self.y = self.source = self.grad_x = np.empty((0, 0), np.float32)

    def list_kernels(self) -> list[Kernel]:
        """Return the kernels that the methods call."""
        # A fit is followed by predictions, which should not have to wait.
        kernels = [dense.multiply, dense.add_bias]
        if self.trains:
            kernels.append(dense.add_up_rows)
        return kernels + self.activation.list_kernels(self.trains)

    def forward(self, x: Array) -> Array:
        n = x.shape[-1]
        self.x_shape, self.x = x.shape, x.reshape(-1, n)
        if self.y.shape[1] != n:
            self.y = self.source = make_buffer((len(self.weight), n))
            if self.activation.needs_argument:
                self.source = make_buffer(self.y.shape)
            if self.trains:
                self.grad_x = make_buffer(self.x.shape)
        if self.trains:
            np.dot(self.weight, self.x, out=self.y)
        else:
            dense.multiply(self.weight, self.x, self.y)
        dense.add_bias(self.y, self.bias)
        if self.activation.needs_argument:
            np.copyto(self.source, self.y)
        self.activation.apply(self.y)
        return self.y

    def backward(self, grad: Array) -> Array:
        self.activation.multiply_by_slope(grad, self.source)
        dense.add_up_rows(grad, self.grad_bias)
        np.dot(grad, self.x.T, out=self.grad_weight)
        np.dot(self.weight.T, grad, out=self.grad_x)
        return self.grad_x.reshape(self.x_shape)


class DroppedUnits:
    """Dropout: each unit is 0 with the probability p, and divided by 1 - p otherwise.

    Attributes
    ----------
    part : int
        The part of the batch that is computed next. Each has a sequence of random numbers
        of its own, so that it does not matter which thread computes it.
    """

    def __init__(self, layer: Dropout) -> None:
        self.layer, self.part = layer, 0
        self.y = self.factor = np.empty((0, 0), np.float32)

    def list_kernels(self) -> list[Kernel]:
        """Return the kernels that the methods call."""
        return []

    def forward(self, x: Array) -> Array:
        if self.y.shape != x.shape:
            self.y, self.factor = make_buffer(x.shape), make_buffer(x.shape)
        self.layer.generator(self.part).random(out=self.factor, dtype=np.float32)
        np.greater_equal(self.factor, np.float32(self.layer.p), out=self.factor)
        self.factor *= np.float32(1 / (1 - self.layer.p))
        return np.multiply(x, self.factor, out=self.y)

    def backward(self, grad: Array) -> Array:
        grad *= self.factor
        return grad


class Distances:
    """Minus the squared distance of each image's units from each code.

    Predictions are in double precision, as in `RadialBasis`.
    """

    def __init__(self, layer: RadialBasis, trains: bool = True) -> None:
        self.trains = trains
        dtype = np.float32 if trains else np.float64
        self.codes = np.ascontiguousarray(layer.codes.numpy(), dtype)

    def list_kernels(self) -> list[Kernel]:
        """Return the kernels that the methods call."""
        pull_back = [dense.pull_distances_back] if self.trains else []
        return [dense.measure_distances, *pull_back]

    def forward(self, x: Array) -> Array:
        self.x_shape, self.x = x.shape, x.reshape(-1, x.shape[-1])
        outputs = np.empty((len(self.codes), x.shape[-1]), self.codes.dtype)
        dense.measure_distances(self.x, self.codes, outputs)
        return outputs

    def backward(self, grad: Array) -> Array:
        grad_x = np.empty_like(self.x)
        dense.pull_distances_back(grad, self.x, self.codes, grad_x)
        return grad_x.reshape(self.x_shape)


class NamedLoss:
    """The losses of a batch's outputs, and their gradient with respect to the outputs.

    Raises
    ------
    NotImplementedError
        If the kernel cannot be compiled.
    """

    def __init__(self, criterion: Loss) -> None:
        _prepare_or_raise(losses.compute_losses)
        kinds = {LOSSES[name]: k for k, name in enumerate(losses.KINDS)}
        self.kind = kinds[type(criterion)]
        self.smoothing = float(criterion.label_smoothing)
        self.j = float(criterion.j) if isinstance(criterion, MaximumAPosteriori) else 0.0

    def __call__(self, outputs: Array, labels: Array) -> tuple[Array, Array]:
        labels = np.ascontiguousarray(labels, np.int64)
        if not 0 <= labels.min() <= labels.max() < len(outputs):
            raise IndexError(f"labels must be from 0 to {len(outputs) - 1}")
        values, grad = np.empty(len(labels), np.float32), np.empty_like(outputs)
        losses.compute_losses(
            self.kind, outputs, labels, self.smoothing, self.j, values, grad
        )
        return values, grad


def _prepare_or_raise(*kernels: Kernel) -> None:
    if not prepare(*kernels):
        raise NotImplementedError("the kernels cannot be compiled here")


def find_activation(layer: nn.Module) -> int:
    """Return the index of an activation, or raise a NotImplementedError."""
    name = get_activation_name(layer)
    if name not in activation.KINDS:
        raise NotImplementedError(f"no compiled kernel for {layer}")
    return activation.KINDS.index(name)


def make_stage(layer: Any, kind: int, pool: Any, trains: bool = True) -> Stage:
    """Return a stage, or raise a NotImplementedError if its pooling has no kernel."""
    squash = None
    if isinstance(pool, nn.Sequential):  # the sum, and its activation
        pool, squash = pool
    name = get_pooling_name(pool)
    if name == "subsample":
        second_kind = activation.IDENTITY if squash is None else find_activation(squash)
        return SumStage(layer, kind, trains, pool, second_kind)
    if name is None or squash is not None:
        raise NotImplementedError(f"no compiled kernel for {pool}")
    return {"max": MaxStage, "avg": SumStage}[name](layer, kind, trains)


def make_layers(module: Any, trains: bool = True) -> list[Any]:
    """Return the layers of a LeNet5, from the first stage to the output.

    Parameters
    ----------
    module : LeNet5
    trains : bool
        Whether there is a backward pass. Otherwise dropout does nothing, and the outputs of
        an image do not depend on the other images.

    Raises
    ------
    NotImplementedError
        If a layer has no kernel, or if a kernel cannot be compiled.
    """
    # Not named_children, which leaves out a layer that is there twice.
    parts = module.features._modules
    layers: list[Any] = []
    for name, pool in (("C1", "S2"), ("C3", "S4")):
        kind = find_activation(parts[f"{name}_activation"])
        layers.append(make_stage(parts[name], kind, parts[pool], trains))
    head = [
        layer
        for layer in module.head
        if not (isinstance(layer, Dropout) and (layer.p == 0 or not trains))
    ]
    while head:
        layer = head.pop(0)
        if isinstance(layer, RadialBasis):
            layers.append(Distances(layer, trains))
        elif type(layer) is Dropout:
            layers.append(DroppedUnits(layer))
        elif not isinstance(layer, nn.Linear):
            raise NotImplementedError(f"no compiled kernel for {layer}")
        elif head and not isinstance(head[0], nn.Linear | RadialBasis | Dropout):
            layers.append(Dense(layer, find_activation(head.pop(0)), trains))
        else:
            layers.append(Dense(layer, trains=trains))
    # The dense layers first: other kernels call what they use.
    _prepare_or_raise(*(k for layer in reversed(layers) for k in layer.list_kernels()))
    return layers
