"""Optimizers and learning-rate schedules by name."""

from collections.abc import Callable

from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.optim import lr_scheduler as schedulers

from sklenet.network.sdlm import SDLM

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "sgd": SGD,
    "rmsprop": RMSprop,
    "sdlm": SDLM,
}

Schedule = Callable[[Optimizer, int], schedulers.LRScheduler | None]


def constant(optimizer: Optimizer, n_steps: int) -> None:
    """The same rate at every step."""


def step(optimizer: Optimizer, n_steps: int) -> schedulers.LRScheduler:
    """A tenth of the rate after half of the steps, a hundredth after three quarters."""
    milestones = [max(1, n_steps // 2), max(1, n_steps * 3 // 4)]
    return schedulers.MultiStepLR(optimizer, milestones, gamma=0.1)


def cosine(optimizer: Optimizer, n_steps: int) -> schedulers.LRScheduler:
    """Half a cosine wave from the rate down to 0."""
    return schedulers.CosineAnnealingLR(optimizer, n_steps)


def one_cycle(optimizer: Optimizer, n_steps: int) -> schedulers.LRScheduler:
    """From a 25th of the rate up to it in the first 30 % of the steps, then down to 0."""
    rate = optimizer.param_groups[0]["lr"]
    return schedulers.OneCycleLR(
        optimizer, rate, total_steps=n_steps + 1, cycle_momentum=False
    )


def lecun1998(optimizer: Optimizer, n_steps: int) -> schedulers.LRScheduler:
    """The paper's, in parts of the whole: with 20 passes and the rate 0.0005 its own.

    0.0005 in the first two passes, 0.0002 in the next three, 0.0001 in the next three,
    0.00005 in the next four, 0.00001 after (section III.B).
    """

    def factor(step: int) -> float:
        twentieth = 20 * step / n_steps
        ends = ((2, 1.0), (5, 0.4), (8, 0.2), (12, 0.1))
        return next((part for end, part in ends if twentieth < end), 0.02)

    return schedulers.LambdaLR(optimizer, factor)


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "step": step,
    "cosine": cosine,
    "one_cycle": one_cycle,
    "lecun1998": lecun1998,
}
