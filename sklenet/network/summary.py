"""A summary of a network: its layers with their weights, connections and operations."""

import math
from typing import Any

import pandas as pd
import torch
from torch import nn

from sklenet.network.lecun1998.layers import PartialConv2d, RadialBasis, Subsample
from sklenet.network.lenet5 import LeNet5


def summarize_network(network: LeNet5, input_shape: tuple[int, int, int]) -> pd.DataFrame:
    """Return the layers of a network as a data frame, with a last row "all" for their sum.

    Parameters
    ----------
    network : LeNet5
        The network.
    input_shape : tuple of int (channels, height, width)
        Shape of one input image.

    Returns
    -------
    DataFrame
        One row per layer, with the columns "output_shape", "parameters", "connections"
        (weights and biases, counted for each unit) and "multiply_adds". The parameters of
        an activation function are counted with its layer.
    """
    rows: dict[str, dict[str, Any]] = {}
    x = torch.zeros((1, *input_shape))
    with torch.inference_mode():
        for name, layer in network.layers().items():
            n_inputs = x[0].numel()
            x = layer(x)
            n_parameters = sum(p.numel() for p in layer.parameters())
            layer_name, _, suffix = name.partition("_")
            if suffix:  # the activation function or dropout of a layer
                rows[layer_name]["parameters"] += n_parameters
            elif name != "flatten":
                shape = tuple(x.shape[1:])
                n_connections, n_multiply_adds = _count_operations(layer, n_inputs, shape)
                rows[name] = {
                    "output_shape": shape,
                    "parameters": n_parameters,
                    "connections": n_connections,
                    "multiply_adds": n_multiply_adds,
                }
    counts = ("parameters", "connections", "multiply_adds")
    total = {count: sum(row[count] for row in rows.values()) for count in counts}
    rows["all"] = {"output_shape": tuple(x.shape[1:])} | total
    return pd.DataFrame.from_dict(rows, orient="index")


def _count_operations(layer: Any, n_inputs: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the numbers of connections and of multiply-add operations of a layer.

    Parameters
    ----------
    layer : Module
        The layer.
    n_inputs : int
        Number of inputs of the layer.
    shape : tuple of int
        Shape of its outputs.
    """
    n_units = math.prod(shape)
    if isinstance(layer, nn.Conv2d | PartialConv2d):
        n_positions = math.prod(shape[1:])
        n_weights, n_biases = layer.weight.numel(), shape[0]
        return (n_weights + n_biases) * n_positions, n_weights * n_positions
    if isinstance(layer, nn.Linear):
        return (n_inputs + 1) * n_units, n_inputs * n_units
    if isinstance(layer, RadialBasis):
        return n_inputs * n_units, n_inputs * n_units
    if isinstance(layer, nn.Sequential) and isinstance(layer[0], Subsample):
        # Four inputs and a bias; their sum is multiplied by the coefficient.
        return 5 * n_units, n_units
    window = getattr(layer, "kernel_size", 2)
    height, width = window if isinstance(window, tuple) else (window, window)
    return height * width * n_units, 0
