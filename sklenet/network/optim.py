"""Optimizers and learning-rate schedules by name."""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.optim import lr_scheduler as schedulers

from sklenet.network.lecun1998.sdlm import SDLM

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


def make_schedule(choice: Any) -> Schedule:
    """Return a function that makes a scheduler, from the parameter `lr_schedule`.

    The function raises a ValueError that names the parameter unless a callable returns a
    scheduler of the optimizer, to be stepped after every batch, or None.
    """
    if isinstance(choice, str):
        return SCHEDULES[choice]

    def schedule(optimizer: Optimizer, n_steps: int) -> schedulers.LRScheduler | None:
        if choice is schedulers.ReduceLROnPlateau:
            raise _make_schedule_error(choice, _PLATEAU)
        try:
            scheduler = choice(optimizer, n_steps)
        except Exception as error:
            reason = f"called with an optimizer and {n_steps} steps, it raises {error!r}"
            raise _make_schedule_error(choice, reason) from error
        if isinstance(scheduler, schedulers.ReduceLROnPlateau):
            raise _make_schedule_error(
                choice, f"it returns a ReduceLROnPlateau; {_PLATEAU}"
            )
        if scheduler is not None and not callable(getattr(scheduler, "step", None)):
            raise _make_schedule_error(choice, f"it returns {scheduler!r:.60}")
        if getattr(scheduler, "optimizer", optimizer) is not optimizer:
            raise _make_schedule_error(
                choice, "it returns a scheduler of another optimizer"
            )
        return scheduler

    return schedule


_PLATEAU = (
    "ReduceLROnPlateau needs the validation loss, which is known once per epoch: use"
    " net_params={'callbacks': [skorch.callbacks.LRScheduler('ReduceLROnPlateau',"
    " monitor='valid_loss')]} for it"
)


def check_no_instances(optimizer: Any, lr_schedule: Any) -> None:
    """Raise a ValueError if a parameter is an object that belongs to other weights."""
    if isinstance(optimizer, Optimizer):
        name = type(optimizer).__name__
        raise ValueError(
            f"The 'optimizer' parameter is an instance of {name}, which belongs to other"
            f" weights than the network's. Pass the class {name}, its learning rate as"
            " 'lr', its weight decay as 'weight_decay', and other options in 'net_params',"
            " such as {'optimizer__betas': (0.9, 0.99)}."
        )
    if isinstance(lr_schedule, schedulers.LRScheduler):
        reason = "an instance belongs to another optimizer than the network's"
        raise _make_schedule_error(lr_schedule, reason)


def check_optimization(
    optimizer: Any, lr_schedule: Any, options: dict[str, Any], additional: dict[str, Any]
) -> None:
    """Raise an error if an optimizer, its options, or a schedule do not work.

    They are tried on a single weight, and on a fit of a thousand steps, unless all of them
    have names.

    Parameters
    ----------
    optimizer, lr_schedule : str or callable
        The parameters of these names.
    options : dict
        The options of the optimizer that parameters decide, ``lr`` among them.
    additional : dict
        Its other options, from `net_params`.
    """
    if isinstance(optimizer, str) and isinstance(lr_schedule, str) and not additional:
        return
    make = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float32))
    try:
        trial = make([weight], **options | additional)
    except Exception as error:
        if additional:
            # An unknown name is a TypeError, as of any function; the rest are wrong values.
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"The 'net_params' parameter has options that optimizer={optimizer!r} does"
                f" not accept, among {sorted(additional)}: {error}"
            ) from error
        shown = ", ".join(f"{name}={value!r}" for name, value in options.items())
        reason = f"called with the weights and {shown}, it raises {error!r}"
        raise _make_optimizer_error(optimizer, reason) from error
    if not isinstance(trial, Optimizer):
        raise _make_optimizer_error(optimizer, f"it makes {trial!r:.60}")
    make_schedule(lr_schedule)(trial, 1000)


def _make_optimizer_error(choice: Any, reason: str) -> ValueError:
    return ValueError(
        f"The 'optimizer' parameter is {choice!r}, but {reason}. Expected a class of torch"
        " optimizers, such as torch.optim.NAdam; its options other than 'lr' and"
        " 'weight_decay' belong in 'net_params'."
    )


def _make_schedule_error(choice: Any, reason: str) -> ValueError:
    return ValueError(
        f"The 'lr_schedule' parameter is {choice!r}, but {reason}. Expected a function of"
        " the optimizer and the number of steps that returns a torch scheduler, which is"
        " stepped after every batch: lambda optimizer, n_steps: StepLR(optimizer, n_steps)."
    )
