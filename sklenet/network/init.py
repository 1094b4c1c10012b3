"""Initial weights by name, drawn from a generator of their own.

A layer's fan-in F is the number of its inputs per unit: input maps times kernel area for
a convolution, inputs for a linear layer; fan-out likewise.
"""

import math
from collections.abc import Callable

import torch
from torch import nn

Init = Callable[[nn.Module, torch.Generator], None]


def _with_zero_bias(draw: Callable[..., torch.Tensor], **options: object) -> Init:
    def init(layer: nn.Module, generator: torch.Generator) -> None:
        draw(layer.weight, generator=generator, **options)
        if isinstance(layer.bias, torch.Tensor):
            nn.init.zeros_(layer.bias)

    return init


def _fan_in(layer: nn.Module) -> int:
    assert isinstance(layer.weight, torch.Tensor)
    return layer.weight[0].numel()


def _uniform(layer: nn.Module, bound: float, generator: torch.Generator) -> None:
    for parameter in (layer.weight, layer.bias):
        if isinstance(parameter, torch.Tensor):
            nn.init.uniform_(parameter, -bound, bound, generator=generator)


def lecun_uniform(layer: nn.Module, generator: torch.Generator) -> None:
    """Weights and biases uniform in +/-2.4/F (LeCun et al. 1998, appendix A)."""
    _uniform(layer, 2.4 / _fan_in(layer), generator)


def torch_default(layer: nn.Module, generator: torch.Generator) -> None:
    """Weights and biases uniform in +/-1/sqrt(F), as torch's own layers start."""
    _uniform(layer, 1 / math.sqrt(_fan_in(layer)), generator)


INITS: dict[str, Init] = {
    "xavier_uniform": _with_zero_bias(nn.init.xavier_uniform_),
    "xavier_normal": _with_zero_bias(nn.init.xavier_normal_),
    "he_uniform": _with_zero_bias(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "he_normal": _with_zero_bias(nn.init.kaiming_normal_, nonlinearity="relu"),
    "lecun_uniform": lecun_uniform,
    "torch": torch_default,
}
