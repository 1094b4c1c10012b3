"""Activations and pooling layers by name."""

import torch
from torch import nn


class ScaledTanh(nn.Module):
    """The 1998 squashing function f(a) = 1.7159 tanh(2a/3), so that f(1) = 1.

    Reference: LeCun et al. 1998, section II.B and appendix A.
    """

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        return 1.7159 * torch.tanh(a * (2 / 3))


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,  # slope 0.01
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "scaled_tanh": ScaledTanh,
}

POOLINGS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}
