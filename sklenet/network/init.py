"""Initial weights by name, drawn from a generator of their own.

A layer's fan-in F is the number of its inputs per unit: input maps times kernel area for
a convolution, inputs for a linear layer; fan-out likewise.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from sklenet.network.lecun1998.layers import PartialConv2d, Subsample

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
                # NaN, as in `_unset`: whatever is not drawn will be seen.
                dense = torch.full(layer.shape, torch.nan, dtype=layer.weight.dtype)
                draw(dense, generator=generator, **options)
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


def leave_uninitialized(layer: nn.Module, generator: torch.Generator) -> None:
    """Leave weights as they are in memory, for a network whose weights will be loaded."""


def make_init(choice: Any) -> Init:
    """Return a function of a layer and a generator from the parameter `init`.

    A callable takes

    - a layer and a ``torch.Generator``;
    - or a layer alone, as the functions for ``Module.apply`` do;
    - or the weights, as the functions of ``torch.nn.init`` do; biases start at 0 then.

    Only the first kind, and functions of ``torch.nn.init``, can draw from the generator.
    All others draw from torch's global generator, which is seeded for them, and restored.
    """
    if isinstance(choice, str):
        return INITS[choice]
    if choice is leave_uninitialized:
        return choice
    attempts = _find_calls(choice)

    def init(layer: nn.Module, generator: torch.Generator) -> None:
        for k, attempt in enumerate(attempts):
            _unset(layer)
            try:
                with torch.no_grad():
                    attempt(layer, generator)
            except Exception as error:
                if k == len(attempts) - 1:
                    raise _make_error(
                        choice, f"it raises {error!r:.300} for {layer}"
                    ) from error
                continue
            if all(p.isfinite().all() for p in layer.parameters(recurse=False)):
                return
        raise _make_error(choice, f"it leaves weights of {layer} without finite values")

    return init


def _find_calls(choice: Any) -> list[Init]:
    """Return the ways to call a callable that may be right, the likeliest first."""
    function = choice.func if isinstance(choice, partial) else choice
    if getattr(function, "__module__", None) == "torch.nn.init":
        takes_generator = "generator" in inspect.signature(choice).parameters
        return [
            _with_zero_bias(choice if takes_generator else _with_global_generator(choice))
        ]
    if _takes_two(choice):
        return [choice]
    call = _with_global_generator(choice)
    # A function for Module.apply would do nothing, silently, if it were given weights.
    return [call, _with_zero_bias(call)]


def _make_error(choice: Any, reason: str) -> ValueError:
    return ValueError(
        f"The 'init' parameter is {choice!r}, but {reason}. Expected a function of a layer"
        " and a torch.Generator, or one of the weights, such as nn.init.xavier_uniform_."
    )


def _takes_two(function: Callable) -> bool:
    """Return whether a function may be called with a layer and a generator."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # a builtin function
        return False
    required = [
        p
        for p in signature.parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    has_many = any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())
    return has_many or len(required) != 1


def _unset(layer: nn.Module) -> None:
    """Set weights to NaN and biases to 0, which tells later what was not drawn."""
    with torch.no_grad():
        for name, p in layer.named_parameters(recurse=False):
            p.fill_(0 if name == "bias" else torch.nan)


def _with_global_generator(function: Callable[[Any], object]) -> Callable:
    """Let a function that takes no generator draw from torch's, seeded and restored."""

    def call(argument: Any, generator: torch.Generator) -> None:
        seed = int(torch.randint(2**31, (1,), generator=generator))
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(seed)
            function(argument)

    return call
