"""Layers that torch lacks, and the named activation functions and pooling layers."""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from sklenet.network.lecun1998.layers import Subsample


class ScaledTanh(nn.Module):
    """The squashing function of the 1998 paper, f(a) = 1.7159 tanh(2a/3).

    It is scaled such that f(1) = 1 and f(-1) = -1.

    References
    ----------
    LeCun et al. 1998, section II.B and appendix A.
    """

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        return 1.7159 * torch.tanh(a * (2 / 3))


class Dropout(nn.Module):
    """Dropout with a random number generator of its own.

    Unlike :class:`torch.nn.Dropout`, it does not use the global generator of torch.

    Parameters
    ----------
    p : float
        Probability that a unit is set to zero during training. The remaining units are
        scaled by 1 / (1 - p).
    seed : int
        Seed of the generator.
    """

    def __init__(self, p: float, seed: int) -> None:
        super().__init__()
        self.p = p
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Start a new sequence of random numbers."""
        self.seed = seed
        self._generator: torch.Generator | None = None
        self._generators: dict[int, np.random.Generator] = {}

    def generator(self, part: int) -> np.random.Generator:
        """Return the generator of a part of each batch, for the compiled kernels."""
        if part not in self._generators:
            bits = np.random.SFC64([self.seed, part])
            self._generators.setdefault(part, np.random.Generator(bits))
        return self._generators[part]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        if self._generator is None or self._generator.device != x.device:
            self._generator = torch.Generator(x.device).manual_seed(self.seed)
        keep = torch.empty_like(x).bernoulli_(1 - self.p, generator=self._generator)
        return x * keep.div_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"

    def __deepcopy__(self, memo: dict) -> "Dropout":
        # Generators cannot be copied; the sequence of a copy starts from the seed.
        return Dropout(self.p, self.seed).train(self.training)


class FirstConv2d(nn.Conv2d):
    """A convolution whose gradient does not depend on the number of threads.

    oneDNN splits the batch by the number of threads to sum the gradient of the weights, so
    that its last bits depend on that number. The gradient is also the convolution of the
    input with the gradient of the output, with batch and channels exchanged, which is
    computed for each weight separately. On a CPU, this layer computes it in that way if its
    input requires no gradient, as that of the first layer.

    Parameters are those of :class:`torch.nn.Conv2d`.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        is_first = self.bias is not None and not x.requires_grad
        if x.device.type != "cpu" or not is_first or not torch.is_grad_enabled():
            return super().forward(x)
        return _FirstConvolution.apply(x, self.weight, self.bias)


class _FirstConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x, weight, bias):
        ctx.save_for_backward(x)
        return F.conv2d(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad_output):
        (x,) = ctx.saved_tensors
        grad_weight = F.conv2d(x.transpose(0, 1), grad_output.transpose(0, 1))
        return None, grad_weight.transpose(0, 1), grad_output.sum((0, 2, 3))


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,  # slope 0.01
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,  # by the error function, not by its approximation by tanh
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
    "scaled_tanh": ScaledTanh,
    "hardtanh": nn.Hardtanh,
    "sigmoid": nn.Sigmoid,
}

POOLINGS: dict[str, type[nn.Module]] = {
    "max": nn.MaxPool2d,
    "avg": nn.AvgPool2d,
    "subsample": Subsample,
}


def get_settings(layer: nn.Module) -> dict[str, Any]:
    """Return the arguments of a layer that determine what it computes.

    Pairs of equal numbers, such as the height and width of a window, are single numbers.
    """
    return {
        name: value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
        for name, value in vars(layer).items()
        if not name.startswith("_") and name not in ("training", "inplace")
    }


@cache
def _make_settings(name: str, *args: int) -> dict[str, Any]:
    """Return the settings of a named layer."""
    return get_settings((ACTIVATIONS | POOLINGS)[name](*args))


_ACTIVATION_NAMES: dict[Any, str] = {kind: name for name, kind in ACTIVATIONS.items()}
_POOLING_NAMES: dict[Any, str] = {kind: name for name, kind in POOLINGS.items()}


def get_activation_name(layer: Any) -> str | None:
    """Return the name of an activation layer, or None if it has another type or settings.

    Parameters
    ----------
    layer : Module
        Activation layer, for instance one that a user passed.
    """
    name = _ACTIVATION_NAMES.get(type(layer))
    if name is None or get_settings(layer) != _make_settings(name):
        return None
    return name


def get_pooling_name(layer: Any, side: int = 2) -> str | None:
    """Return the name of a pooling layer, or None if it has another type or settings.

    Parameters
    ----------
    layer : Module
        Pooling layer, for instance one that a user passed.
    side : int, default=2
        Side length of the windows.
    """
    if type(layer) is Subsample:
        return "subsample" if layer.side == side else None
    name = _POOLING_NAMES.get(type(layer))
    if name is None or get_settings(layer) != _make_settings(name, side):
        return None
    return name
