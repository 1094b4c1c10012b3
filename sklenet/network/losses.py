"""Losses by name: each gives one value per sample, so that samples can be weighted."""

from collections.abc import Callable
from functools import partial

from torch import nn

LOSSES: dict[str, Callable[[], nn.Module]] = {
    "cross_entropy": partial(nn.CrossEntropyLoss, reduction="none"),
}
