"""Activations and pooling layers by name, and the layers torch lacks."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from sklenet.network.lecun1998 import Subsample


class ScaledTanh(nn.Module):
    """The 1998 squashing function f(a) = 1.7159 tanh(2a/3), so that f(1) = 1.

    Reference: LeCun et al. 1998, section II.B and appendix A.
    """

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        return 1.7159 * torch.tanh(a * (2 / 3))


class Dropout(nn.Module):
    """Set units to zero with probability `p` in training, and scale the others up.

    Unlike torch's, it draws from a generator of its own.

    Parameters
    ----------
    p : float
    seed : int
    """

    def __init__(self, p: float, seed: int) -> None:
        super().__init__()
        self.p = p
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Begin a new sequence of random numbers."""
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
        # Generators cannot be copied; a copy starts from the seed again.
        return Dropout(self.p, self.seed).train(self.training)


class FirstConv2d(nn.Conv2d):
    """A convolution of data, whose gradient does not depend on the number of threads.

    oneDNN sums the weights' gradient over as many parts of the batch as there are
    threads, so that its last bits depend on them. The same sum is also a convolution of
    the input with the output's gradient, batch and channels exchanged, and that one is
    computed per output.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.bias is None or x.requires_grad or not torch.is_grad_enabled():
            return super().forward(x)
        return _DataConvolution.apply(x, self.weight, self.bias)


class _DataConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x, weight, bias):
        ctx.save_for_backward(x)
        return F.conv2d(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient):
        (x,) = ctx.saved_tensors
        of_weight = F.conv2d(x.transpose(0, 1), gradient.transpose(0, 1)).transpose(0, 1)
        return None, of_weight, gradient.sum((0, 2, 3))


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,  # slope 0.01
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "scaled_tanh": ScaledTanh,
}

POOLINGS: dict[str, type[nn.Module]] = {
    "max": nn.MaxPool2d,
    "avg": nn.AvgPool2d,
    "subsample": Subsample,
}
