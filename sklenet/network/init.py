"""Initialization of the weights, by name or by a callable.

The fan-in F of a layer is the number of inputs of each of its units: the number of input
maps times the area of the kernel for a convolution, the number of inputs for a linear
layer.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from sklenet.network.lecun1998.layers import PartialConv2d, Subsample

Initializer = Callable[[nn.Module, torch.Generator], None]


def _with_zero_bias(draw: Callable[..., torch.Tensor], **options: object) -> Initializer:
    """Return an initializer that draws the weights of a layer and sets its bias to 0.

    The weights of a partially connected layer are drawn as those of a fully connected one.
    The coefficients of a subsampling layer are not drawn, but set to 1/F, such that the
    layer computes the mean.

    Parameters
    ----------
    draw : callable
        Function that fills a tensor, such as those of ``torch.nn.init``.
    **options
        Additional parameters of the function.
    """

    def initialize(layer: nn.Module, generator: torch.Generator) -> None:
        with torch.no_grad():
            if isinstance(layer, Subsample):
                layer.weight.fill_(1 / layer.fan_in)
            elif isinstance(layer, PartialConv2d):
                # Values that the function does not set remain NaN and are detected.
                dense = torch.full(layer.shape, torch.nan, dtype=layer.weight.dtype)
                draw(dense, generator=generator, **options)
                layer.weight.copy_(dense.flatten(0, 1)[layer.index])
            else:
                draw(layer.weight, generator=generator, **options)
            if isinstance(layer.bias, torch.Tensor):
                nn.init.zeros_(layer.bias)

    return initialize


def _draw_uniform(
    layer: nn.Module, compute_bound: Callable, generator: torch.Generator
) -> None:
    """Draw weights and biases uniformly between -bound(F) and bound(F)."""
    assert isinstance(layer.weight, torch.Tensor)
    fan_in = getattr(layer, "fan_in", layer.weight[0].numel())
    bias_fan_in = getattr(layer, "bias_fan_in", fan_in)
    for parameter, n_inputs in ((layer.weight, fan_in), (layer.bias, bias_fan_in)):
        if isinstance(parameter, torch.Tensor):
            bound = compute_bound(n_inputs)
            if isinstance(bound, torch.Tensor):  # units differ in their fan-in
                nn.init.uniform_(parameter, -1, 1, generator=generator)
                parameter.data.mul_(bound)
            else:
                nn.init.uniform_(parameter, -bound, bound, generator=generator)


def init_lecun_uniform(layer: nn.Module, generator: torch.Generator) -> None:
    """Draw weights and biases uniformly between -2.4/F and 2.4/F.

    References
    ----------
    LeCun et al. 1998, appendix A.
    """
    _draw_uniform(layer, lambda fan_in: 2.4 / fan_in, generator)


def init_torch_default(layer: nn.Module, generator: torch.Generator) -> None:
    """Draw weights and biases uniformly between -1/sqrt(F) and 1/sqrt(F).

    This is the default initialization of torch. For a subsampling layer F is 1, because its
    coefficient multiplies a single number, the sum of the inputs.
    """
    is_subsampling = isinstance(layer, Subsample)
    _draw_uniform(layer, lambda fan_in: 1.0 if is_subsampling else fan_in**-0.5, generator)


def _fill_with_zeros(weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return nn.init.zeros_(weight)


INITS: dict[str, Initializer] = {
    "xavier_uniform": _with_zero_bias(nn.init.xavier_uniform_),
    "xavier_normal": _with_zero_bias(nn.init.xavier_normal_),
    "he_uniform": _with_zero_bias(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "he_normal": _with_zero_bias(nn.init.kaiming_normal_, nonlinearity="relu"),
    "lecun_uniform": init_lecun_uniform,
    # Variance 1 / F, which keeps that of the units for SELU.
    "lecun_normal": _with_zero_bias(nn.init.kaiming_normal_, nonlinearity="linear"),
    "orthogonal": _with_zero_bias(nn.init.orthogonal_),
    # One standard deviation for all layers, that of Keras's "random_normal".
    "normal": _with_zero_bias(nn.init.normal_, std=0.05),
    # All units of a layer remain equal: a demonstration of why weights are random.
    "zeros": _with_zero_bias(_fill_with_zeros),
    "torch": init_torch_default,
}


def leave_uninitialized(layer: nn.Module, generator: torch.Generator) -> None:
    """Leave the weights uninitialized, for a network whose weights will be loaded."""


def make_init(init: Any) -> Initializer:
    """Return an initializer for a value of the parameter `init`.

    Parameters
    ----------
    init : str or callable
        A name in ``INITS``, or a function of

        - a layer and a ``torch.Generator``;
        - or a layer, such as the functions for :meth:`torch.nn.Module.apply`;
        - or the weights, such as the functions of ``torch.nn.init``. Biases are set to 0.

        Only functions of the first kind and those of ``torch.nn.init`` can draw from the
        generator. The others draw from the global generator of torch, which is seeded
        before each call and restored afterwards.

    Returns
    -------
    callable
        A function of a layer and a ``torch.Generator``. It raises a ValueError if it cannot
        call `init`, or if `init` does not set all weights to finite values.
    """
    if isinstance(init, str):
        return INITS[init]
    if init is leave_uninitialized:
        return init
    candidates = _list_initializers(init)

    def initialize(layer: nn.Module, generator: torch.Generator) -> None:
        for candidate in candidates:
            problem, cause = _try_initializer(candidate, layer, generator)
            if problem is None:
                return
        raise _make_error(init, problem) from cause

    return initialize


def _try_initializer(
    initializer: Initializer, layer: nn.Module, generator: torch.Generator
) -> tuple[str | None, Exception | None]:
    """Call an initializer; return what is wrong with it, if anything, and the cause."""
    _reset(layer)
    try:
        with torch.no_grad():
            initializer(layer, generator)
    except Exception as error:
        return f"it raises {error!r:.300} for {layer}", error
    if not all(p.isfinite().all() for p in layer.parameters(recurse=False)):
        return f"it leaves weights of {layer} without finite values", None
    return None, None


def _list_initializers(init: Any) -> list[Initializer]:
    """Return initializers that call `init` in the ways it may expect, to try in order."""
    function = init.func if isinstance(init, partial) else init
    if getattr(function, "__module__", None) == "torch.nn.init":
        has_generator = "generator" in inspect.signature(init).parameters
        return [_with_zero_bias(init if has_generator else _with_global_generator(init))]
    if _accepts_generator(init):
        return [init]
    call = _with_global_generator(init)
    # The layer comes first: a function for Module.apply, given weights, would do nothing.
    return [call, _with_zero_bias(call)]


def _make_error(init: Any, problem: str | None) -> ValueError:
    return ValueError(
        f"The 'init' parameter is {init!r}, but {problem}. Expected a function of a layer"
        " and a torch.Generator, or one of the weights, such as nn.init.xavier_uniform_."
    )


def _accepts_generator(function: Callable) -> bool:
    """Return whether a function accepts a layer and a generator."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # a builtin function
        return False
    required = [
        p
        for p in parameters
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    return len(required) != 1 or any(p.kind is p.VAR_POSITIONAL for p in parameters)


def _reset(layer: nn.Module) -> None:
    """Set weights to NaN, to detect those that are not initialized, and biases to 0."""
    with torch.no_grad():
        for name, p in layer.named_parameters(recurse=False):
            p.fill_(0 if name == "bias" else torch.nan)


def _with_global_generator(function: Callable[[Any], object]) -> Callable:
    """Return a function that also accepts a generator, from which it seeds the global one.

    The global generator of torch is restored after each call.
    """

    def call(argument: Any, generator: torch.Generator) -> None:
        seed = int(torch.randint(2**31, (1,), generator=generator))
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(seed)
            function(argument)

    return call
