"""Initial weights by name, drawn from a generator of their own.

A layer's fan-in F is the number of its inputs per unit: input maps times kernel area for
a convolution, inputs for a linear layer; fan-out likewise.
"""

from collections.abc import Callable

import torch
from torch import nn

from sklenet.network.lecun1998 import PartialConv2d, Subsample

Init = Callable[[nn.Module, torch.Generator], None]


def _with_zero_bias(draw: Callable[..., torch.Tensor], **options: object) -> Init:
    """Return an init of torch's for the weights, with biases of 0.

    A partly connected layer is drawn as if it were fully connected. The coefficients of
    subsampling, which is nothing but an average to begin with, are one by their number.
    """

    def init(layer: nn.Module, generator: torch.Generator) -> None:
        with torch.no_grad():
            if isinstance(layer, Subsample):
                layer.weight.fill_(1 / layer.fan_in)
            elif isinstance(layer, PartialConv2d):
                dense = draw(torch.empty(layer.shape), generator=generator, **options)
                layer.weight.copy_(dense.flatten(0, 1)[layer.index])
            else:
                draw(layer.weight, generator=generator, **options)
            if isinstance(layer.bias, torch.Tensor):
                nn.init.zeros_(layer.bias)

    return init


def _uniform(layer: nn.Module, bound: Callable, generator: torch.Generator) -> None:
    """Draw weights and biases uniformly in +/-bound(F), F being their unit's fan-in."""
    assert isinstance(layer.weight, torch.Tensor)
    of_weight = getattr(layer, "fan_in", layer.weight[0].numel())
    of_bias = getattr(layer, "bias_fan_in", of_weight)
    for parameter, fan_in in ((layer.weight, of_weight), (layer.bias, of_bias)):
        if isinstance(parameter, torch.Tensor):
            ends = bound(fan_in)
            if isinstance(ends, torch.Tensor):  # each element has its own
                nn.init.uniform_(parameter, -1, 1, generator=generator)
                parameter.data.mul_(ends)
            else:
                nn.init.uniform_(parameter, -ends, ends, generator=generator)


def lecun_uniform(layer: nn.Module, generator: torch.Generator) -> None:
    """Weights and biases uniform in +/-2.4/F (LeCun et al. 1998, appendix A)."""
    _uniform(layer, lambda fan_in: 2.4 / fan_in, generator)


def torch_default(layer: nn.Module, generator: torch.Generator) -> None:
    """Weights and biases uniform in +/-1/sqrt(F), as torch's own layers start.

    F is 1 for subsampling, whose coefficient multiplies one sum.
    """
    one_sum = isinstance(layer, Subsample)
    _uniform(layer, lambda fan_in: 1.0 if one_sum else fan_in**-0.5, generator)


INITS: dict[str, Init] = {
    "xavier_uniform": _with_zero_bias(nn.init.xavier_uniform_),
    "xavier_normal": _with_zero_bias(nn.init.xavier_normal_),
    "he_uniform": _with_zero_bias(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "he_normal": _with_zero_bias(nn.init.kaiming_normal_, nonlinearity="relu"),
    "lecun_uniform": lecun_uniform,
    "torch": torch_default,
}
