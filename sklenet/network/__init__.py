"""The network: torch modules, initial weights, losses, optimizers and schedules."""

from sklenet.network.init import INITS
from sklenet.network.layers import ACTIVATIONS, POOLINGS
from sklenet.network.lenet5 import LeNet5
from sklenet.network.losses import LOSSES, Loss
from sklenet.network.optim import OPTIMIZERS, SCHEDULES

__all__ = [
    "ACTIVATIONS",
    "INITS",
    "LOSSES",
    "OPTIMIZERS",
    "POOLINGS",
    "SCHEDULES",
    "LeNet5",
    "Loss",
]
