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

from sklenet.network.gradient_layers import (
    Array,
    Distances,
    Flatten,
    Linear,
    Stage,
    arrays,
    make_activation,
    make_pool,
)
from sklenet.network.layers import Dropout
from sklenet.network.lecun1998 import RadialBasis
from sklenet.network.lenet5 import LeNet5
from sklenet.network.losses import LOSSES, CrossEntropy, Distance, Loss, MaximumAPosteriori

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
        self.module, self.losses = module, _find_losses(criterion)
        self.parts = [_Part(module)]

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
            self.parts.append(_Part(_with_own_gradient(self.module)))
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

    def __init__(self, module: Any) -> None:
        self.layers = _translate(module)
        self.gradients = [arrays(p)[1] for p in module.parameters()]

    def __call__(
        self, images: Array, labels: Array, weights: Array | None, n: int, losses: Callable
    ) -> tuple[Array, Array]:
        """Return losses and outputs; set the gradients of the losses' sum over `n`."""
        x = images
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
        if p._backward_hooks or p._post_accumulate_grad_hooks:
            raise NotImplementedError(f"no gradient by hand for the hooks of {name}")
    for layer in module.modules():
        hooks = (v for k, v in vars(layer).items() if k.endswith("_hooks"))
        if any(hooks):
            raise NotImplementedError(f"no gradient by hand for the hooks of {layer}")


def _translate(module: Any) -> list[Any]:
    """Return the layers on arrays, from the first stage to the output."""
    # Not named_children, which leaves out a layer that is there twice.
    parts = module.features._modules
    layers: list[Any] = []
    for convolution, pool in (("C1", "S2"), ("C3", "S4")):
        pooling = [parts[pool]]
        if isinstance(parts[pool], nn.Sequential):  # the sum, and what squashes it
            pooling = list(parts[pool])
        activation = make_activation(parts[f"{convolution}_activation"])
        layers.append(Stage(parts[convolution], activation, make_pool(pooling[0])))
        layers += [make_activation(layer) for layer in pooling[1:]]
    layers.append(Flatten())
    for layer in module.head:
        if isinstance(layer, nn.Linear):
            layers.append(Linear(layer))
        elif isinstance(layer, RadialBasis):
            layers.append(Distances(layer))
        elif not (isinstance(layer, Dropout) and layer.p == 0):
            layers.append(make_activation(layer))
    return layers


def _find_losses(criterion: nn.Module) -> Callable[[Array, Array], tuple[Array, Array]]:
    """Return what gives the losses of outputs, and their gradient by them."""
    # A loss of ones own may look at several samples together, or have weights.
    if not isinstance(criterion, Loss) or type(criterion) not in LOSSES.values():
        raise NotImplementedError(f"no gradient by hand for {criterion}")
    if isinstance(criterion, CrossEntropy | MaximumAPosteriori | Distance):
        return _Softmax(criterion)

    def losses(outputs: Array, labels: Array) -> tuple[Array, Array]:
        leaf = torch.from_numpy(outputs.T.copy()).requires_grad_()
        values = criterion(leaf, torch.from_numpy(labels))
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
        return values.detach().numpy(), gradient.numpy().T.copy()

    return losses


class _Softmax:
    """The losses whose gradient is a softmax less the target.

    Equation 9's has one class more, the rubbish; equation 8 has the target alone.
    """

    def __init__(self, criterion: Loss) -> None:
        self.smoothing = criterion.label_smoothing
        self.rubbish = -criterion.j if isinstance(criterion, MaximumAPosteriori) else None
        self.normalised = not isinstance(criterion, Distance)

    def __call__(self, outputs: Array, labels: Array) -> tuple[Array, Array]:
        target = np.full_like(outputs, self.smoothing / len(outputs))
        target[labels, np.arange(len(labels))] += 1 - self.smoothing
        losses = -np.einsum("in,in->n", target, outputs)
        if not self.normalised:
            return losses, -target
        largest = outputs.max(axis=0)
        if self.rubbish is not None:
            largest = np.maximum(largest, np.float32(self.rubbish))
        exponentials = np.exp(outputs - largest)
        total = exponentials.sum(axis=0)
        if self.rubbish is not None:
            total += np.exp(np.float32(self.rubbish) - largest)
        losses += largest + np.log(total)
        return losses, exponentials / total - target
