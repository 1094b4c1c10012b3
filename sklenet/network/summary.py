"""What a network is made of: its layers, their weights, connections and operations."""

import math
from typing import Any

import pandas as pd
import torch
from torch import nn

from sklenet.network.lecun1998.layers import PartialConv2d, RadialBasis, Subsample
from sklenet.network.lenet5 import LeNet5


def summarize_network(network: LeNet5, input_shape: tuple[int, int, int]) -> pd.DataFrame:
    """Return a row per layer, and one for all of them.

    Parameters
    ----------
    network : LeNet5
    input_shape : tuple of int (channels, height, width)
        Of the canvas.
    """
    rows: list[list[Any]] = []
    x = torch.zeros((1, *input_shape))
    with torch.inference_mode():
        for name, layer in network.layers().items():
            n_inputs = x[0].numel()
            x = layer(x)
            shape, units = tuple(x.shape[1:]), x[0].numel()
            parameters = sum(p.numel() for p in layer.parameters())
            if any(name.endswith(part) for part in ("activation", "dropout", "flatten")):
                if rows:  # an activation is a part of its layer, with what it may learn
                    rows[-1][2] += parameters
                continue
            connections, multiply_adds = _count(layer, shape, n_inputs, units)
            rows.append([name, shape, parameters, connections, multiply_adds])
    heads = ["layer", "output_shape", "parameters", "connections", "multiply_adds"]
    frame = pd.DataFrame(rows, columns=heads).set_index("layer")
    total = [rows[-1][1], *frame[heads[2:]].sum()]
    return pd.concat([frame, pd.DataFrame([total], ["all"], heads[1:])])


def _count(
    layer: Any, shape: tuple[int, ...], n_inputs: int, units: int
) -> tuple[int, int]:
    """Return a layer's connections, biases among them, and multiplications with adding."""
    if isinstance(layer, nn.Conv2d | PartialConv2d):
        places = math.prod(shape[1:])
        weights, biases = layer.weight.numel(), len(layer.bias)  # type: ignore[arg-type]
        return (weights + biases) * places, weights * places
    if isinstance(layer, nn.Linear):
        return (n_inputs + 1) * units, n_inputs * units
    if isinstance(layer, RadialBasis):
        return n_inputs * units, n_inputs * units
    # Pooling: four units each, and the paper's has a bias, and multiplies once.
    if isinstance(layer, nn.Sequential) and isinstance(layer[0], Subsample):
        return 5 * units, units
    sides = getattr(layer, "kernel_size", 2)
    return math.prod(sides if isinstance(sides, tuple) else (sides, sides)) * units, 0
