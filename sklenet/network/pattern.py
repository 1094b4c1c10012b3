"""One pattern at a time: the network's gradient written by hand, on numpy arrays.

Training as in 1998 makes a step after every pattern. Of such a step torch spends most of
its time on keeping records for tensors of a few hundred numbers; numpy, and buffers that
are used again, make it several times as fast.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from sklenet.network.layers import Dropout
from sklenet.network.losses import CrossEntropy, Distance, Loss, MaximumAPosteriori
from sklenet.network.pattern_layers import Array, translate


class PatternGradient:
    """The loss of one pattern and its gradient, for the layers that have names here.

    Parameters
    ----------
    module : LeNet5
        On the CPU. Its parameters' ``grad`` become arrays that every call overwrites.
    criterion : Loss

    Raises
    ------
    NotImplementedError
        If the module has a layer of another kind.
    """

    def __init__(self, module: nn.Module, criterion: nn.Module) -> None:
        layers = [layer for layer in module.modules() if not list(layer.children())]
        self.layers = [translate(layer) for layer in layers if not _is_idle(layer)]
        self.loss = _find_loss(criterion)

    def __call__(self, image: Array, label: int, weight: float = 1) -> tuple[float, Array]:
        """Return the loss and the outputs, of shape (n_outputs,); set every ``grad``.

        Parameters
        ----------
        image : ndarray of float32 of shape (channels, height, width)
        label : int
        weight : float
            Of the pattern; loss and gradient are multiplied by it.
        """
        x = image
        for layer in self.layers:
            x = layer.forward(x)
        loss, gradient = self.loss(x, label)
        if weight != 1:
            loss, gradient = loss * weight, gradient * np.float32(weight)
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        return loss, x


def _find_loss(criterion: nn.Module) -> Callable[[Array, int], tuple[float, Array]]:
    """Return what gives the loss of the outputs, and its gradient by them."""
    if isinstance(criterion, CrossEntropy | MaximumAPosteriori | Distance):
        return _Softmax(criterion)

    def loss(outputs: Array, label: int) -> tuple[float, Array]:
        leaf = torch.from_numpy(outputs)[None].requires_grad_()
        value = criterion(leaf, torch.tensor([label])).sum()
        return value.item(), torch.autograd.grad(value, leaf)[0][0].numpy()

    return loss


class _Softmax:
    """The losses whose gradient is a softmax less the target.

    Equation 9's has one class more, the rubbish; equation 8 has the target alone.
    """

    def __init__(self, criterion: Loss) -> None:
        self.smoothing = criterion.label_smoothing
        self.rubbish = -criterion.j if isinstance(criterion, MaximumAPosteriori) else None
        self.normalised = not isinstance(criterion, Distance)

    def __call__(self, outputs: Array, label: int) -> tuple[float, Array]:
        target = np.full_like(outputs, self.smoothing / len(outputs))
        target[label] += 1 - self.smoothing
        loss = -float(target @ outputs)
        if not self.normalised:
            return loss, -target
        largest = float(outputs.max())
        if self.rubbish is not None:
            largest = max(largest, self.rubbish)
        exponentials = np.exp(outputs - np.float32(largest))
        total = exponentials.sum()
        if self.rubbish is not None:
            total += np.exp(np.float32(self.rubbish - largest))
        return loss + largest + float(np.log(total)), exponentials / total - target


def _is_idle(layer: nn.Module) -> bool:
    return isinstance(layer, Dropout) and layer.p == 0
