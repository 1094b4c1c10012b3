"""The gradient of LeNet-5, written by hand.

torch keeps a record of every operation in order to differentiate it, and has to be ready
for any network. For this one, on a CPU, a few large matrix products on numpy arrays are
faster, most of all at a batch of one, with which training went in 1998. What is not known
here is left to torch.
"""

from collections.abc import Callable
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
    make_activation,
    make_pool,
)
from sklenet.network.layers import Dropout
from sklenet.network.lecun1998 import RadialBasis
from sklenet.network.lenet5 import LeNet5
from sklenet.network.losses import LOSSES, CrossEntropy, Distance, Loss, MaximumAPosteriori


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
        self.layers = _translate(module)
        self.losses = _find_losses(criterion)

    def __call__(
        self, images: Array, labels: Array, weights: Array | None = None
    ) -> tuple[Array, Array]:
        """Return the losses and the outputs; set every parameter's ``grad``, anew.

        Parameters
        ----------
        images : ndarray of float32 of shape (channels, height, width, n)
        labels : ndarray of int of shape (n,)
        weights : ndarray of shape (n,), optional
            What the losses are multiplied with.

        Returns
        -------
        losses : ndarray of shape (n,)
            Multiplied with the weights.
        outputs : ndarray of shape (n_outputs, n)
        """
        x = images
        for layer in self.layers:
            x = layer.forward(x)
        losses, gradient = self.losses(x, labels)
        if weights is not None:
            losses, gradient = losses * weights, gradient * weights.astype(np.float32)
        gradient /= len(labels)
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        return losses, x


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
