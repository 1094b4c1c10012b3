"""Losses by name: each gives one value per sample, so that samples can be weighted."""

from collections.abc import Callable

from torch import nn

LOSSES: dict[str, Callable[[], nn.Module]] = {
    "cross_entropy": lambda: nn.CrossEntropyLoss(reduction="none"),
}
