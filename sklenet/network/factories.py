"""Activation and pooling layers from the values of the parameters with these names."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sklenet.network.layers import ACTIVATIONS, POOLINGS

# Side length of the windows of S2 and S4, with which pooling classes are called.
POOLING_SIDE = 2

_EXPECTED = {
    "activation": "a module such as nn.GELU(), a class or function that returns a module"
    " when called without arguments, or a function of a tensor such as torch.tanh, which"
    " keeps its shape",
    "pooling": "a module such as nn.MaxPool2d(2), a class or function that returns a module"
    " when called with the side length of the window, or a function of a tensor such as"
    " lambda x: F.max_pool2d(x, 2), which halves height and width",
}


class FunctionLayer(nn.Module):
    """A layer that applies a function of a tensor.

    Parameters
    ----------
    function : callable
        The function.
    factory_error : str
        Why the function is not a factory of layers, for error messages.
    """

    def __init__(
        self, function: Callable[[torch.Tensor], torch.Tensor], factory_error: str
    ) -> None:
        super().__init__()
        self.function, self.factory_error = function, factory_error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)

    def extra_repr(self) -> str:
        return repr(self.function)


def make_activation(activation: Any) -> nn.Module:
    """Return a new activation layer for a value of the parameter `activation`."""
    if isinstance(activation, str):
        return ACTIVATIONS[activation]()
    return _make_custom_layer("activation", activation)


def make_pooling(pooling: Any) -> nn.Module:
    """Return a new pooling layer for a value of the parameter `pooling`."""
    if isinstance(pooling, str):
        return POOLINGS[pooling](POOLING_SIDE)
    return _make_custom_layer("pooling", pooling, POOLING_SIDE)


def _make_custom_layer(parameter: str, value: Any, *args: int) -> nn.Module:
    """Return a copy of a module, the product of a factory, or a function as a layer."""
    if isinstance(value, nn.Module):
        return copy.deepcopy(value)  # each layer of the network has its own weights
    called = f"called with {args[0]}" if args else "called without arguments"
    cause = None
    try:
        layer = value(*args)
    except Exception as error:  # as of torch.tanh, which requires a tensor
        reason, cause = f"{called}, it raises {error!r}", error
    else:
        if isinstance(layer, nn.Module):
            return layer
        reason = f"{called}, it returns {layer!r:.60}"
    if isinstance(value, type) or not can_be_called(value, 1):
        raise _make_error(parameter, value, reason) from cause
    return FunctionLayer(value, reason)


def can_be_called(function: Callable, n_arguments: int) -> bool:
    """Return whether a function accepts a number of positional arguments.

    Builtin functions without a signature are assumed to accept it.
    """
    try:
        inspect.signature(function).bind(*[None] * n_arguments)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _make_error(parameter: str, value: Any, reason: str) -> ValueError:
    return ValueError(
        f"The {parameter!r} parameter is {value!r}, but {reason}. Expected"
        f" {_EXPECTED[parameter]}."
    )


def check_layer(
    parameter: str, value: Any, layer: nn.Module, shape: tuple[int, ...]
) -> None:
    """Check that a custom layer is differentiable and that its output has the right shape.

    Parameters
    ----------
    parameter : {"activation", "pooling"}
        Name of the parameter.
    value : object
        Value of the parameter.
    layer : Module
        The layer made from it, in evaluation mode.
    shape : tuple of int
        Shape of the input of the layer for one image.

    Raises
    ------
    ValueError
        If the layer is unsuitable.
    """
    expected = shape
    if parameter == "pooling":
        expected = (*shape[:-2], *(side // POOLING_SIDE for side in shape[-2:]))
    # The input is not a leaf of the graph, because the layer may operate in place.
    x = torch.zeros((2, *shape), dtype=torch.float32, requires_grad=True) * 1
    try:
        with torch.enable_grad():
            y = layer(x)
    except Exception as error:
        note = f" ({layer.factory_error})" if isinstance(layer, FunctionLayer) else ""
        reason = f"it raises {error!r} for a tensor of shape {tuple(x.shape)}{note}"
        raise _make_error(parameter, value, reason) from error
    if not isinstance(y, torch.Tensor):
        reason = f"it returns {y!r:.60} rather than a tensor"
    elif tuple(y.shape) != (2, *expected):
        reason = (
            f"for a tensor of shape {tuple(x.shape)} it returns one of shape"
            f" {tuple(y.shape)} rather than {(2, *expected)}"
        )
    elif y.dtype != torch.float32 or not y.requires_grad:
        reason = "its output is not differentiable, or not of dtype float32"
    else:
        return
    raise _make_error(parameter, value, reason)
