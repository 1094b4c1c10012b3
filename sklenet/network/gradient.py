"""The gradient of LeNet-5, written by hand.

torch keeps a record of every operation in order to differentiate it, and has to be ready
for any network. For this one, on a CPU, a few large matrix products on numpy arrays are
faster, most of all at a batch of one, with which training went in 1998. What is not known
here is left to torch.
"""

import copy
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import torch
from torch import nn

from sklenet.network.kernels.compiler import load_layers
from sklenet.network.layers import Dropout
from sklenet.network.lecun1998 import RadialBasis
from sklenet.network.lenet5 import LeNet5
from sklenet.network.losses import LOSSES, Loss

Array = np.ndarray

# Large batches are split, so that several threads may share one. Into how many parts
# depends on the batch alone: whoever computes them, they are added in one order.
_PART, _MAX_PARTS = 32, 4


class Gradient:
    """The losses of a batch, and the gradient of their mean.

    Parameters
    ----------
    module : LeNet5
        On the CPU. Its parameters' ``grad`` become arrays that every call overwrites.
    criterion : Module
        One loss per sample.

    Raises
    ------
    NotImplementedError
        If the module has a layer that is not known here, or anything else is out of the
        ordinary: parameters that are frozen or shared, hooks, a loss of ones own.
    """

    def __init__(self, module: nn.Module, criterion: nn.Module) -> None:
        _check_plain(module)
        # A custom loss may look at several samples together, or have weights.
        if not isinstance(criterion, Loss) or type(criterion) not in LOSSES.values():
            raise NotImplementedError(f"no gradient by hand for {criterion}")
        kernels = load_layers()
        if kernels is None:
            raise NotImplementedError("no gradient by hand without numba")
        self.module, self.kernels = module, kernels
        self.losses = kernels.NamedLoss(criterion)
        self.parts = [_Part(module, kernels)]

    def __call__(
        self,
        images: Array,
        labels: Array,
        weights: Array | None = None,
        helpers: Executor | None = None,
    ) -> tuple[Array, Array]:
        """Return the losses and the outputs; set every parameter's ``grad``, anew.

        Parameters
        ----------
        images : ndarray of float32 of shape (channels, height, width, n)
        labels : ndarray of int of shape (n,)
        weights : ndarray of shape (n,), optional
            What the losses are multiplied with.
        helpers : Executor, optional
            Threads that may share the work.

        Returns
        -------
        losses : ndarray of shape (n,)
            Multiplied with the weights.
        outputs : ndarray of shape (n_outputs, n)
        """
        n = len(labels)
        n_parts = min(_MAX_PARTS, max(1, n // _PART))
        while len(self.parts) < n_parts:
            self.parts.append(_Part(_with_own_gradient(self.module), self.kernels))
        parts = self.parts[:n_parts]
        ends = [n * k // n_parts for k in range(n_parts + 1)]

        def compute(k: int) -> tuple[Array, Array]:
            here = slice(ends[k], ends[k + 1])
            of_part = None if weights is None else weights[here]
            return parts[k](images[..., here], labels[here], of_part, n, self.losses)

        results = _share(compute, n_parts, helpers)
        for part in parts[1:]:
            for sums, own in zip(parts[0].gradients, part.gradients, strict=True):
                sums += own
        if n_parts == 1:
            return results[0]
        losses, outputs = zip(*results, strict=True)
        return np.concatenate(losses), np.concatenate(outputs, axis=1)


class _Part:
    """The layers for a part of a batch, whose gradients are arrays of their own."""

    def __init__(self, module: Any, kernels: Any) -> None:
        self.layers = _translate(module, kernels)
        self.gradients = [kernels.share_memory(p)[1] for p in module.parameters()]

    def __call__(
        self, images: Array, labels: Array, weights: Array | None, n: int, losses: Callable
    ) -> tuple[Array, Array]:
        """Return losses and outputs; set the gradients of the losses' sum over `n`."""
        x = np.ascontiguousarray(images)
        # What overflows is told by the weights that are not finite, at the end of the fit.
        with np.errstate(all="ignore"):
            for layer in self.layers:
                x = layer.forward(x)
            values, gradient = losses(x, labels)
            if weights is not None:
                values, gradient = values * weights, gradient * weights.astype(np.float32)
            gradient /= n
            for layer in reversed(self.layers):
                gradient = layer.backward(gradient)
        return values, x


def _with_own_gradient(module: nn.Module) -> nn.Module:
    """Return a copy of the module that has the same weights, in the same memory."""
    other = copy.deepcopy(module)
    for own, p in zip(other.parameters(), module.parameters(), strict=True):
        own.data, own.grad = p.data, None
    return other


def _share(function: Callable[[int], Any], n: int, helpers: Executor | None) -> list[Any]:
    """Return function(k) for k < n, computed here and, where they are idle, by helpers."""
    if helpers is None or n == 1:
        return [function(k) for k in range(n)]
    futures = [helpers.submit(function, k) for k in range(1, n)]
    first = function(0)
    rest = [
        function(k) if future.cancel() else future
        for k, future in reversed(list(enumerate(futures, 1)))
    ]
    return [first, *(r.result() if isinstance(r, Future) else r for r in reversed(rest))]


def _check_plain(module: nn.Module) -> None:
    """Raise a NotImplementedError if the module is not one as `LeNet5` makes it."""
    if type(module) is not LeNet5:
        raise NotImplementedError(f"no gradient by hand for {type(module).__name__}")
    for name, p in module.named_parameters():
        if not (p.requires_grad and p.is_contiguous() and p.dtype == torch.float32):
            raise NotImplementedError(f"no gradient by hand for {name} as it is")
    for layer in module.modules():
        hooks = (v for k, v in vars(layer).items() if k.endswith("_hooks"))
        if any(hooks):
            raise NotImplementedError(f"no gradient by hand for the hooks of {layer}")


def _translate(module: Any, kernels: Any) -> list[Any]:
    """Return the layers in terms of kernels, from the first stage to the output."""
    # Not named_children, which leaves out a layer that is there twice.
    parts = module.features._modules
    layers: list[Any] = []
    for convolution, pool in (("C1", "S2"), ("C3", "S4")):
        kind = kernels.find_activation(parts[f"{convolution}_activation"])
        layers.append(kernels.make_stage(parts[convolution], kind, parts[pool]))
    head = [m for m in module.head if not (isinstance(m, Dropout) and m.p == 0)]
    while head:
        layer = head.pop(0)
        if isinstance(layer, RadialBasis):
            layers.append(kernels.Distances(layer))
        elif not isinstance(layer, nn.Linear):
            raise NotImplementedError(f"no gradient by hand for {layer}")
        elif head and not isinstance(head[0], nn.Linear | RadialBasis):
            layers.append(kernels.Dense(layer, kernels.find_activation(head.pop(0))))
        else:
            layers.append(kernels.Dense(layer))
    return layers
