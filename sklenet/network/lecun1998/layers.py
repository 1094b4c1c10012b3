"""The layers of the 1998 network that torch lacks: subsampling, C3 and the output."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

# Table I of the paper: the feature maps of S2 that each feature map of C3 is connected to,
# 60 connections in total.
CONNECTIONS: tuple[tuple[int, ...], ...] = (
    (0, 1, 2),
    (1, 2, 3),
    (2, 3, 4),
    (3, 4, 5),
    (0, 4, 5),
    (0, 1, 5),
    (0, 1, 2, 3),
    (1, 2, 3, 4),
    (2, 3, 4, 5),
    (0, 3, 4, 5),
    (0, 1, 4, 5),
    (0, 1, 2, 5),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)


class Subsample(nn.Module):
    """Subsampling of the 1998 paper, in S2 and S4.

    The inputs in each square are added, multiplied by a coefficient, and a bias is added.
    Each feature map has one trainable coefficient and one trainable bias: 12 parameters in
    S2 and 32 in S4. The squashing function is a separate layer.

    Parameters
    ----------
    channels : int
        Number of feature maps.
    side : int, default=2
        Side length of the squares, which do not overlap.

    References
    ----------
    LeCun et al. 1998, section II.B.
    """

    def __init__(self, channels: int, side: int = 2) -> None:
        super().__init__()
        self.side = side
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))

    @property
    def fan_in(self) -> int:
        """Number of inputs of each unit."""
        return self.side**2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # The conversion to ONNX would lose a divisor_override of 1.
        total = self.side**2 * F.avg_pool2d(x, self.side)
        return total * self.weight[:, None, None] + self.bias[:, None, None]


class PartialConv2d(nn.Module):
    """A convolution in which each output map is connected to some of the input maps.

    Missing connections have no weights: C3 of the 1998 paper has 60 kernels of 25 weights
    and 16 biases, 1,516 parameters.

    Parameters
    ----------
    connections : sequence of sequences of int
        For each output map, the input maps that it is connected to.
    in_channels : int
        Number of input maps.
    kernel_size : int
        Side length of the kernels.

    Attributes
    ----------
    weight : Parameter of shape (n_connections, kernel_size, kernel_size)
        Kernels of all connections.
    index : Tensor of shape (n_connections,)
        Position of each kernel among all pairs of an output map and an input map.
    fan_in : Tensor of shape (n_connections, 1, 1)
        Number of inputs of the units that each kernel belongs to.
    bias_fan_in : Tensor of shape (n_maps,)
        Number of inputs of the units that each bias belongs to.
    """

    index: torch.Tensor
    fan_in: torch.Tensor

    def __init__(
        self, connections: Sequence[Sequence[int]], in_channels: int, kernel_size: int
    ) -> None:
        super().__init__()
        self.connections = [list(maps) for maps in connections]
        self.shape = (len(self.connections), in_channels, kernel_size, kernel_size)
        index = [
            k * in_channels + m for k, maps in enumerate(self.connections) for m in maps
        ]
        self.register_buffer("index", torch.tensor(index), persistent=False)
        n_inputs = [len(maps) * kernel_size**2 for maps in self.connections]
        kernel_n_inputs = [n_inputs[k // in_channels] for k in index]
        self.fan_in = torch.tensor(kernel_n_inputs, dtype=torch.float32)[:, None, None]
        self.bias_fan_in = torch.tensor(n_inputs, dtype=torch.float32)
        self.weight = nn.Parameter(torch.empty(len(index), kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(len(self.connections)))

    def to_dense(self) -> torch.Tensor:
        """Return the kernels of all pairs of maps, with 0 for missing connections."""
        n_maps, in_channels, height, width = self.shape
        kernels = self.weight.new_zeros(n_maps * in_channels, height, width)
        return kernels.index_copy(0, self.index, self.weight).view(self.shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.to_dense(), self.bias)

    def extra_repr(self) -> str:
        return f"{len(self.index)} connections, kernel_size={self.shape[-1]}"


class RadialBasis(nn.Module):
    """Output layer of Euclidean radial basis function units.

    The outputs are the negatives -y_i of the squared distances y_i = sum_j (x_j - w_ij)^2
    from the target codes w_i (equation 7 of the 1998 paper). As in other output layers, the
    predicted class is that of the largest output.

    Parameters
    ----------
    codes : Tensor of shape (n_classes, n_inputs)
        Target codes of +1 and -1. They are not trained.
    """

    codes: torch.Tensor

    def __init__(self, codes: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Expanding the square would lose precision for small distances. Single precision
        # would lose it for large ones, which affects predicted probabilities.
        if not self.training:
            x = x.double()
        # Indexing with None would add a slice, which torch 2.6 cannot export to ONNX.
        return -(x.unsqueeze(1) - self.codes).square().sum(dim=2)

    def extra_repr(self) -> str:
        return "{} codes of {}".format(*self.codes.shape)


def check_connections(
    connections: Any, maps: Sequence[int] = (6, 16)
) -> Sequence[Sequence[int]] | None:
    """Return the table of connections for a value of the parameter `connections`.

    Parameters
    ----------
    connections : {"full", "lecun1998"} or sequence of sequences of int
        Value of the parameter.
    maps : sequence of int, default=(6, 16)
        Numbers of feature maps of C1 and C3.

    Returns
    -------
    sequence of sequences of int or None
        For each feature map of C3, the feature maps of S2 that it is connected to. None for
        "full".

    Raises
    ------
    ValueError
        If the value is not a table that fits the feature maps.
    """
    n_c1, n_c3 = maps
    if isinstance(connections, str):
        if connections != "lecun1998":
            return None
        if (n_c1, n_c3) != (6, len(CONNECTIONS)):
            raise ValueError(
                "The 'connections' parameter is 'lecun1998', the table of 6 and 16 maps,"
                f" but 'maps' is {maps!r}. Set it to (6, 16), or 'connections' to 'full'"
                " or a table."
            )
        return CONNECTIONS
    rows = [list(inputs) for inputs in connections if np.iterable(inputs)]
    table = [[int(m) for m in inputs if isinstance(m, Integral)] for inputs in rows]
    if (
        len(table) != n_c3
        or table != rows
        or not all(inputs and len(set(inputs)) == len(inputs) for inputs in table)
        or not all(0 <= m < n_c1 for inputs in table for m in inputs)
    ):
        raise ValueError(
            "The 'connections' parameter of LeNet5Classifier must be 'full', 'lecun1998',"
            f" or for each of C3's {n_c3} maps a list of the maps of S2, 0 to {n_c1 - 1},"
            f" that it is connected to. Got {connections!r} instead."
        )
    return table
