"""The parts of the 1998 network that no library has: its S2, its C3, its output."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

# Table I: the maps of S2 that each map of C3 sees, 60 connections in all.
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
    """S2 and S4: the sum of each square of inputs, times a coefficient, plus a bias.

    Coefficient and bias are trainable, one of each per map: 12 parameters in S2 and 32 in
    S4. The squashing function follows as a layer of its own.

    Reference: LeCun et al. 1998, section II.B.

    Parameters
    ----------
    channels : int
    side : int
        Of the squares, which do not overlap.
    """

    def __init__(self, channels: int, side: int = 2) -> None:
        super().__init__()
        self.side = side
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))

    @property
    def fan_in(self) -> int:
        """The number of inputs of a unit."""
        return self.side**2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # A divisor of 1 would say it directly, but is lost in a conversion to ONNX.
        total = self.side**2 * F.avg_pool2d(x, self.side)
        return total * self.weight[:, None, None] + self.bias[:, None, None]


class PartialConv2d(nn.Module):
    """A convolution whose maps see some of the input maps only.

    A connection that is missing has no weight anywhere: C3 has 60 kernels of 25 weights
    and 16 biases, 1,516 parameters.

    Parameters
    ----------
    connections : sequence of sequences of int
        Per output map, the input maps it sees.
    in_channels, kernel_size : int
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
        # Of the unit that each kernel, and each bias, belongs to.
        of_maps = [len(maps) * kernel_size**2 for maps in self.connections]
        of_kernels = [of_maps[k // in_channels] for k in index]
        self.fan_in = torch.tensor(of_kernels, dtype=torch.float32)[:, None, None]
        self.bias_fan_in = torch.tensor(of_maps, dtype=torch.float32)
        self.weight = nn.Parameter(torch.empty(len(index), kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(len(self.connections)))

    def dense(self) -> torch.Tensor:
        """Return all kernels, those of missing connections being 0."""
        n_maps, in_channels, height, width = self.shape
        kernels = self.weight.new_zeros(n_maps * in_channels, height, width)
        return kernels.index_copy(0, self.index, self.weight).view(self.shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.dense(), self.bias)

    def extra_repr(self) -> str:
        return f"{len(self.index)} connections, kernel_size={self.shape[-1]}"


class RadialBasis(nn.Module):
    """The output layer: minus the squared Euclidean distance to each class' code.

    y_i = sum_j (x_j - w_ij)^2 is the paper's output (equation 7). Its negative is what the
    layer gives, so that the largest output is the guess, as in every other network.

    Parameters
    ----------
    codes : Tensor of shape (n_classes, n_inputs)
        +1 and -1; fixed, not trained.
    """

    codes: torch.Tensor

    def __init__(self, codes: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # |x|^2 - 2 x.w + |w|^2 would lose digits where a distance is small, and 32 bits
        # lose them where it is large, which probabilities show.
        if not self.training:
            x = x.double()
        # Indexing with None would add a slice, which torch 2.6 cannot export to ONNX.
        return -(x.unsqueeze(1) - self.codes).square().sum(dim=2)

    def extra_repr(self) -> str:
        return "{} codes of {}".format(*self.codes.shape)


def check_connections(
    connections: Any, maps: Sequence[int] = (6, 16)
) -> Sequence[Sequence[int]] | None:
    """Return the parameter `connections` as a table, or None for a full connection.

    Raises
    ------
    ValueError
        If it is no table of C3's maps that see some of S2's.
    """
    n_first, n_second = maps
    if isinstance(connections, str):
        if connections != "lecun1998":
            return None
        if (n_first, n_second) != (6, len(CONNECTIONS)):
            raise ValueError(
                "The 'connections' parameter is 'lecun1998', the table of 6 and 16 maps,"
                f" but 'maps' is {maps!r}. Set it to (6, 16), or 'connections' to 'full'"
                " or a table."
            )
        return CONNECTIONS
    rows = [list(seen) for seen in connections if np.iterable(seen)]
    table = [[int(m) for m in seen if isinstance(m, Integral)] for seen in rows]
    if (
        len(table) != n_second
        or table != rows
        or not all(seen and len(set(seen)) == len(seen) for seen in table)
        or not all(0 <= m < n_first for seen in table for m in seen)
    ):
        raise ValueError(
            "The 'connections' parameter of LeNet5Classifier must be 'full', 'lecun1998',"
            f" or for each of C3's {n_second} maps a list of the maps of S2, 0 to"
            f" {n_first - 1}, that it sees. Got {connections!r} instead."
        )
    return table
