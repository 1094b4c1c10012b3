"""Layers from the parameters `activation` and `pooling`, whatever their form."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sklenet.network.layers import ACTIVATIONS, POOLINGS

# How S2 and S4 halve the resolution; a class of a pooling layer takes it as its argument.
SIDE = 2

_EXPECTED = {
    "activation": "a module such as nn.GELU(), a class or function that makes one without"
    " arguments, or a function of a tensor such as torch.tanh, which keeps its shape",
    "pooling": "a module such as nn.MaxPool2d(2), a class or function that makes one from"
    " the side of the window, or a function of a tensor such as lambda x:"
    " F.max_pool2d(x, 2), which halves height and width",
}


class FunctionLayer(nn.Module):
    """A layer that applies a function of a tensor.

    Parameters
    ----------
    function : callable
    note : str
        What became of calling the function as a factory of layers, for messages.
    """

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], note: str) -> None:
        super().__init__()
        self.function, self.note = function, note

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)

    def extra_repr(self) -> str:
        return repr(self.function)


def make_activation(choice: Any) -> nn.Module:
    """Return a new activation layer from the parameter `activation`."""
    if isinstance(choice, str):
        return ACTIVATIONS[choice]()
    return _build_layer("activation", choice)


def make_pooling(choice: Any) -> nn.Module:
    """Return a new pooling layer from the parameter `pooling`."""
    if isinstance(choice, str):
        return POOLINGS[choice](SIDE)
    return _build_layer("pooling", choice, SIDE)


def _build_layer(parameter: str, choice: Any, *arguments: int) -> nn.Module:
    """Return a copy of a module, the product of a factory, or a function as a layer."""
    if isinstance(choice, nn.Module):
        return copy.deepcopy(choice)  # the network has several, and trains them
    called = f"called with {arguments[0]}" if arguments else "called without arguments"
    try:
        layer = choice(*arguments)
    except Exception as error:
        reason = f"{called}, it raises {error!r}"
        if isinstance(choice, type) or not can_be_called(choice, 1):
            raise make_error(parameter, choice, reason) from error
        return FunctionLayer(choice, reason)  # torch.tanh, for example, wants a tensor
    if isinstance(layer, nn.Module):
        return layer
    reason = f"{called}, it returns {layer!r:.60}"
    if isinstance(choice, type) or not can_be_called(choice, 1):
        raise make_error(parameter, choice, reason)
    return FunctionLayer(choice, reason)


def can_be_called(function: Callable, n_arguments: int) -> bool:
    """Return whether a function may take so many arguments, as far as one can tell."""
    try:
        inspect.signature(function).bind(*[None] * n_arguments)
    except TypeError:
        return False
    except ValueError:  # a builtin function
        return True
    return True


def make_error(parameter: str, choice: Any, reason: str) -> ValueError:
    """Return an error that names the parameter, its value, and what it should be."""
    return ValueError(
        f"The {parameter!r} parameter is {choice!r}, but {reason}. Expected"
        f" {_EXPECTED[parameter]}."
    )


def check_layer(
    parameter: str, choice: Any, layer: nn.Module, shape: tuple[int, ...]
) -> None:
    """Raise a ValueError unless a layer takes maps or units of this shape as it should.

    Parameters
    ----------
    parameter : {"activation", "pooling"}
    choice : object
        The value of the parameter.
    layer : Module
        The layer made from it, in evaluation mode.
    shape : tuple of int
        The shape of the layer's input for one image.
    """
    expected = shape
    if parameter == "pooling":
        expected = (*shape[:-2], *(side // SIDE for side in shape[-2:]))
    # Not a leaf, so that the layer may work in place.
    x = torch.zeros((2, *shape), dtype=torch.float32, requires_grad=True) * 1
    try:
        with torch.enable_grad():
            y = layer(x)
    except Exception as error:
        note = f" ({layer.note})" if isinstance(layer, FunctionLayer) else ""
        reason = f"it raises {error!r} for a tensor of shape {tuple(x.shape)}{note}"
        raise make_error(parameter, choice, reason) from error
    if not isinstance(y, torch.Tensor):
        reason = f"it returns {y!r:.60} rather than a tensor"
    elif tuple(y.shape) != (2, *expected):
        reason = (
            f"it turns a tensor of shape {tuple(x.shape)} into one of shape"
            f" {tuple(y.shape)} rather than {(2, *expected)}"
        )
    elif y.dtype != torch.float32 or not y.requires_grad:
        reason = "its result is not differentiable, or not of float32"
    else:
        return
    raise make_error(parameter, choice, reason)
