"""The hand-written forward and backward pass of LeNet-5 on a CPU.

torch records every operation in order to differentiate it, and supports any network. For
this one, a few compiled loops over the images of a batch are several times as fast; see
:mod:`sklenet.network.kernels`. Layers, losses and modules without compiled loops raise a
NotImplementedError, so that the caller can use torch.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import torch
from torch import nn

from sklenet.network.kernels.compiler import load_layers
from sklenet.network.lenet5 import LeNet5
from sklenet.network.losses import LOSSES, Loss

Array = np.ndarray

# Large batches are split into parts, which several threads may share. The number of parts
# depends on the batch alone, and their gradients are added in one order.
_PART, _MAX_PARTS = 32, 4
_VECTOR = 8  # images whose numbers fill a vector of a usual processor
_ALIGNED = 16  # numbers that fill a line of the cache


class Gradient:
    """The losses of a batch, and the gradient of their mean.

    Parameters
    ----------
    module : LeNet5
        On the CPU. The ``grad`` of its parameters become arrays that every call overwrites.
    criterion : Module
        Gives one loss per sample.

    Raises
    ------
    NotImplementedError
        If there is no kernel for a layer or for the loss, for instance a custom one, if
        parameters are frozen or have another type, if there are hooks, or if kernels cannot
        be compiled here.
    """

    def __init__(self, module: nn.Module, criterion: nn.Module) -> None:
        _check_plain(module)
        for name, p in module.named_parameters():
            if not p.requires_grad:
                raise NotImplementedError(f"no compiled kernel for {name}, frozen")
        # A custom loss may look at several samples together, or have weights.
        if not isinstance(criterion, Loss) or type(criterion) not in LOSSES.values():
            raise NotImplementedError(f"no compiled kernel for {criterion}")
        kernels = load_layers()
        if kernels is None:
            raise NotImplementedError("no compiled kernels without numba")
        self.module, self.kernels = module, kernels
        self.losses = kernels.NamedLoss(criterion)
        self.own = _Worker(module, kernels)
        self.helpers: list[_Worker] = []  # made when there are threads for them
        self.sums: list[Array] = []

    def __call__(
        self,
        images: Any,
        labels: Array,
        weights: Array | None = None,
        pool: Executor | None = None,
    ) -> tuple[Array, Array]:
        """Return the losses and the outputs; set the ``grad`` of every parameter, anew.

        Parameters
        ----------
        images : ndarray of float32 of shape (channels, height, width, n), or object
            An object has the attribute ``shape``, which is (channels, height, width), and
            the method ``write(here, out)``, which writes the images of a slice of the batch
            to an array of shape (channels * height * width, n). It may be called by several
            threads at the same time.
        labels : ndarray of int of shape (n,)
        weights : ndarray of shape (n,), optional
            Factors of the losses.
        pool : Executor, optional
            Threads that may share the work.

        Returns
        -------
        losses : ndarray of shape (n,)
            Multiplied with the weights.
        outputs : ndarray of shape (n_outputs, n)
        """
        n = len(labels)
        n_parts = min(_MAX_PARTS, max(1, n // _PART))
        ends = [n * k // n_parts for k in range(n_parts + 1)]

        def compute(worker: _Worker, k: int) -> tuple[Array, Array]:
            here = slice(ends[k], ends[k + 1])
            part_weights = None if weights is None else weights[here]
            worker.set_part(k)
            x = worker.take_images(images, here)
            result = worker(x, labels[here], part_weights, n, self.losses)
            if n_parts > 1:
                self.sums[k][:] = worker.gradient
            return result

        if n_parts == 1:
            return compute(self.own, 0)
        while len(self.sums) < n_parts:
            self.sums.append(np.empty_like(self.own.gradient))
        results = self._share(compute, n_parts, pool)
        np.add(self.sums[0], self.sums[1], out=self.own.gradient)
        for part in self.sums[2:n_parts]:
            self.own.gradient += part
        losses, outputs = zip(*results, strict=True)
        return np.concatenate(losses), np.concatenate(outputs, axis=1)

    def _share(
        self,
        compute: Callable[["_Worker", int], Any],
        n_parts: int,
        pool: Executor | None,
    ) -> list[Any]:
        """Return the results of all parts, computed here and by threads that are idle.

        The parts of one thread use the same buffers, which then remain in its cache.
        """
        if pool is None:
            return [compute(self.own, k) for k in range(n_parts)]
        while len(self.helpers) < n_parts - 1:
            self.helpers.append(_Worker(self.module, self.kernels, is_helper=True))
        futures = [
            pool.submit(compute, helper, k)
            for k, helper in enumerate(self.helpers[: n_parts - 1], 1)
        ]
        first = compute(self.own, 0)
        rest = [
            compute(self.own, k) if future.cancel() else future
            for k, future in reversed(list(enumerate(futures, 1)))
        ]
        return [
            first,
            *(r.result() if isinstance(r, Future) else r for r in reversed(rest)),
        ]


class Forward:
    """The outputs of a network for predictions, without dropout.

    The outputs of an image are bitwise the same whatever the other images are.

    Parameters
    ----------
    module : LeNet5

    Raises
    ------
    NotImplementedError
        As in `Gradient`.
    """

    def __init__(self, module: Any) -> None:
        _check_plain(module)
        kernels = load_layers()
        if kernels is None:
            raise NotImplementedError("no compiled kernels without numba")
        self.layers = kernels.make_layers(module, trains=False)
        self.make_buffer = kernels.make_buffer
        self.images = np.empty((0, 0), np.float32)

    def __call__(self, images: Array) -> Array:
        """Return the outputs, an array of float64 of shape (n, n_outputs).

        Parameters
        ----------
        images : ndarray of float32 of shape (n, channels, height, width)
        """
        n, *shape = images.shape
        buffer = self.buffer(math.prod(shape), n)
        buffer[:, :n] = images.reshape(n, -1).T
        buffer[:, n:] = 0
        return self.compute(shape, n)

    def buffer(self, n_pixels: int, n: int) -> Array:
        """Return an array of shape (n_pixels, at least n) for the images of `compute`.

        It has whole vectors of images: with a remainder, a loop over them would be slow.
        """
        shape = (n_pixels, -(-n // _VECTOR) * _VECTOR)
        if self.images.shape != shape:
            self.images = self.make_buffer(shape)
        return self.images

    def compute(self, shape: Sequence[int], n: int) -> Array:
        """Return the outputs of the first n images in the buffer, as `__call__` does.

        Parameters
        ----------
        shape : tuple of int (channels, height, width)
        n : int
        """
        x = self.images.reshape(*shape, -1)
        with np.errstate(all="ignore"):
            for layer in self.layers:
                x = layer.forward(x)
        return x[:, :n].T.astype(np.float64)


class _Worker:
    """The layers of a network with buffers and gradients for one thread.

    Parameters
    ----------
    module : LeNet5
    kernels : module
    is_helper : bool, default=False
        Whether the ``grad`` of the parameters is left as it is.

    Attributes
    ----------
    gradient : ndarray
        The gradients of all parameters, one after the other.
    """

    def __init__(self, module: Any, kernels: Any, is_helper: bool = False) -> None:
        parameters = list(module.parameters())
        before = [p.grad for p in parameters]
        sizes = [-(-p.numel() // _ALIGNED) * _ALIGNED for p in parameters]
        self.gradient = kernels.make_buffer((sum(sizes),))
        start = 0
        for p, size in zip(parameters, sizes, strict=True):
            values = self.gradient[start : start + p.numel()]
            p.grad = torch.from_numpy(values.reshape(p.shape))
            start += size
        self.layers = kernels.make_layers(module)
        self.dropout = [x for x in self.layers if isinstance(x, kernels.DroppedUnits)]
        self.make_buffer = kernels.make_buffer
        self.images = np.empty(0, np.float32)
        if is_helper:
            for p, grad in zip(parameters, before, strict=True):
                p.grad = grad

    def set_part(self, k: int) -> None:
        """Set which part of a batch comes next, on which dropout depends."""
        for layer in self.dropout:
            layer.part = k

    def take_images(self, images: Any, here: slice) -> Array:
        """Return the images of a part of a batch, of shape (channels, height, width, n)."""
        if isinstance(images, np.ndarray):
            return np.ascontiguousarray(images[..., here])
        shape = (*images.shape, here.stop - here.start)
        if self.images.shape != shape:
            self.images = self.make_buffer(shape)
        images.write(here, self.images.reshape(-1, shape[-1]))
        return self.images

    def __call__(
        self, images: Array, labels: Array, weights: Array | None, n: int, losses: Callable
    ) -> tuple[Array, Array]:
        """Return losses and outputs; set the gradients of the losses' sum over `n`."""
        x = images
        # An overflow shows in the weights, which are checked at the end of the fit.
        with np.errstate(all="ignore"):
            for layer in self.layers:
                x = layer.forward(x)
            outputs = x
            values, grad = losses(x, labels)
            if weights is not None:
                values, grad = values * weights, grad * weights.astype(np.float32)
            grad /= n
            for layer in reversed(self.layers):
                grad = layer.backward(grad)
        return values, outputs.copy()


_HOOKS = tuple(name for name in vars(nn.Module()) if name.endswith("_hooks"))


def _check_plain(module: nn.Module) -> None:
    """Raise a NotImplementedError if the module is not one as `LeNet5` makes it."""
    if type(module) is not LeNet5:
        raise NotImplementedError(f"no compiled kernel for {type(module).__name__}")
    layers: list[nn.Module] = [module]
    for layer in layers:  # which grows; module.modules() takes several times as long
        attributes = vars(layer)
        for name in _HOOKS:
            if attributes[name]:
                raise NotImplementedError(f"no compiled kernel for the hooks of {layer}")
        for name, p in layer._parameters.items():
            if p is None:
                continue
            is_plain = p.is_contiguous() and p.dtype == torch.float32
            if not is_plain or p.device.type != "cpu":
                raise NotImplementedError(f"no compiled kernel for {name} of {layer}")
            if p._backward_hooks or p._post_accumulate_grad_hooks:
                raise NotImplementedError(
                    f"no compiled kernel for the hooks of {name} of {layer}"
                )
        layers += [child for child in layer._modules.values() if child is not None]
