"""Optimizers and learning-rate schedules, by name or by a callable."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import SGD, Adadelta, Adagrad, Adam, AdamW, NAdam, Optimizer, RMSprop
from torch.optim import lr_scheduler as schedulers

from sklenet.network.lecun1998.sdlm import SDLM

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "nadam": NAdam,
    "sgd": SGD,
    "nesterov": SGD,  # with nesterov=True
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "rmsprop": RMSprop,
    "sdlm": SDLM,
}

ScheduleFactory = Callable[[Optimizer, int], schedulers.LRScheduler | None]


def make_constant_schedule(optimizer: Optimizer, n_steps: int) -> None:
    """Return None: the learning rate is constant."""


def make_step_schedule(optimizer: Optimizer, n_steps: int) -> schedulers.LRScheduler:
    """Divide the learning rate by 10 after half and three quarters of the steps."""
    milestones = [max(1, n_steps // 2), max(1, n_steps * 3 // 4)]
    return schedulers.MultiStepLR(optimizer, milestones, gamma=0.1)


def make_cosine_schedule(optimizer: Optimizer, n_steps: int) -> schedulers.LRScheduler:
    """Decay the learning rate to 0 along half a cosine wave."""
    return schedulers.CosineAnnealingLR(optimizer, n_steps)


def make_warm_restarts_schedule(
    optimizer: Optimizer, n_steps: int
) -> schedulers.LRScheduler:
    """Decay the learning rate to 0 along half a cosine wave, three times.

    Each period is twice as long as the one before: they take 1/7, 2/7 and 4/7 of the steps.
    If that is a whole number of steps, the learning rates are those of torch's
    ``CosineAnnealingWarmRestarts``, which does not have other periods.

    References
    ----------
    Loshchilov and Hutter 2017, SGDR: Stochastic Gradient Descent with Warm Restarts.
    """

    def compute_factor(step: int) -> float:
        sevenths = 7 * step / n_steps
        start, end = next(
            (period for period in ((0, 1), (1, 3)) if sevenths < period[1]), (3, 7)
        )
        return (1 + math.cos(math.pi * (sevenths - start) / (end - start))) / 2

    return schedulers.LambdaLR(optimizer, compute_factor)


def make_exponential_schedule(optimizer: Optimizer, n_steps: int) -> schedulers.LRScheduler:
    """Decay the learning rate by the same factor in each step, to 1/100 of its value."""
    return schedulers.ExponentialLR(optimizer, gamma=0.01 ** (1 / n_steps))


def make_one_cycle_schedule(optimizer: Optimizer, n_steps: int) -> schedulers.LRScheduler:
    """Increase the learning rate from 1/25 of its value for 30 % of the steps, then decay.

    The learning rate increases to its value and decays to almost 0.
    """
    lr = optimizer.param_groups[0]["lr"]
    return schedulers.OneCycleLR(
        optimizer, lr, total_steps=n_steps + 1, cycle_momentum=False
    )


def make_lecun1998_schedule(optimizer: Optimizer, n_steps: int) -> schedulers.LRScheduler:
    """Decay the learning rate as in the 1998 paper, whatever the number of steps.

    In 20 epochs with a learning rate of 0.0005, it is the schedule of the paper: 0.0005 in
    the first two epochs, 0.0002 in the next three, 0.0001 in the next three, 0.00005 in the
    next four, and 0.00001 thereafter.

    References
    ----------
    LeCun et al. 1998, section III.B.
    """

    def compute_factor(step: int) -> float:
        epoch = 20 * step / n_steps
        factors = ((2, 1.0), (5, 0.4), (8, 0.2), (12, 0.1))
        return next((factor for end, factor in factors if epoch < end), 0.02)

    return schedulers.LambdaLR(optimizer, compute_factor)


SCHEDULES: dict[str, ScheduleFactory] = {
    "constant": make_constant_schedule,
    "step": make_step_schedule,
    "exponential": make_exponential_schedule,
    "cosine": make_cosine_schedule,
    "warm_restarts": make_warm_restarts_schedule,
    "one_cycle": make_one_cycle_schedule,
    "lecun1998": make_lecun1998_schedule,
}


def make_schedule(lr_schedule: Any) -> ScheduleFactory:
    """Return a factory of schedulers for a value of the parameter `lr_schedule`.

    Parameters
    ----------
    lr_schedule : str or callable
        A name in ``SCHEDULES``, or a function of an optimizer and the number of steps.

    Returns
    -------
    callable
        A function of an optimizer and the number of steps. It returns a scheduler to be
        stepped after every batch, or None for a constant learning rate, and raises a
        ValueError if a custom function returns anything else.
    """
    if isinstance(lr_schedule, str):
        return SCHEDULES[lr_schedule]

    def make_custom_schedule(
        optimizer: Optimizer, n_steps: int
    ) -> schedulers.LRScheduler | None:
        if lr_schedule is schedulers.ReduceLROnPlateau:
            raise _make_schedule_error(lr_schedule, _PLATEAU)
        try:
            scheduler = lr_schedule(optimizer, n_steps)
        except Exception as error:
            reason = f"called with an optimizer and {n_steps} steps, it raises {error!r}"
            raise _make_schedule_error(lr_schedule, reason) from error
        problem = _find_scheduler_problem(scheduler, optimizer)
        if problem:
            raise _make_schedule_error(lr_schedule, problem)
        return scheduler

    return make_custom_schedule


def _find_scheduler_problem(scheduler: Any, optimizer: Optimizer) -> str | None:
    """Return why a scheduler cannot be used for an optimizer, or None if it can."""
    if isinstance(scheduler, schedulers.ReduceLROnPlateau):
        return f"it returns a ReduceLROnPlateau; {_PLATEAU}"
    if scheduler is not None and not callable(getattr(scheduler, "step", None)):
        return f"it returns {scheduler!r:.60}"
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        return "it returns a scheduler of another optimizer"
    return None


_PLATEAU = (
    "ReduceLROnPlateau needs the validation loss, which is known once per epoch: use"
    " net_params={'callbacks': [skorch.callbacks.LRScheduler('ReduceLROnPlateau',"
    " monitor='valid_loss')]} for it"
)


def check_no_instances(optimizer: Any, lr_schedule: Any) -> None:
    """Raise a ValueError if a parameter is an instance, which belongs to other weights.

    Parameters
    ----------
    optimizer, lr_schedule : object
        Values of the parameters of these names.
    """
    if isinstance(optimizer, Optimizer):
        name = type(optimizer).__name__
        raise ValueError(
            f"The 'optimizer' parameter is an instance of {name}, which belongs to the"
            f" weights of another network. Pass the class {name}, its learning rate as"
            " 'lr', its weight decay as 'weight_decay', and other options in 'net_params',"
            " such as {'optimizer__betas': (0.9, 0.99)}."
        )
    if isinstance(lr_schedule, schedulers.LRScheduler):
        reason = "an instance belongs to another optimizer than that of the network"
        raise _make_schedule_error(lr_schedule, reason)


def check_optimization(
    optimizer: Any, lr_schedule: Any, options: dict[str, Any], additional: dict[str, Any]
) -> None:
    """Check that an optimizer, its options and a learning-rate schedule can be used.

    Custom ones, and additional options, are tried on a single weight and for 1000 steps.

    Parameters
    ----------
    optimizer : str or callable
        Value of the parameter `optimizer`.
    lr_schedule : str or callable
        Value of the parameter `lr_schedule`.
    options : dict
        Options of the optimizer that are parameters of the estimator, such as ``lr``.
    additional : dict
        Other options of the optimizer, from `net_params`.

    Raises
    ------
    TypeError
        If the optimizer does not have one of the additional options.
    ValueError
        If the optimizer, its options or the schedule cannot be used.
    """
    if isinstance(optimizer, str) and isinstance(lr_schedule, str) and not additional:
        return
    factory = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float32))
    try:
        instance = factory([weight], **options | additional)
    except Exception as error:
        if additional:
            # An unknown option raises a TypeError, as in any function call.
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"The 'net_params' parameter has options that optimizer={optimizer!r} does"
                f" not accept, among {sorted(additional)}: {error}"
            ) from error
        keywords = ", ".join(f"{name}={value!r}" for name, value in options.items())
        reason = f"called with the weights and {keywords}, it raises {error!r}"
        raise _make_optimizer_error(optimizer, reason) from error
    if not isinstance(instance, Optimizer):
        raise _make_optimizer_error(optimizer, f"it makes {instance!r:.60}")
    make_schedule(lr_schedule)(instance, 1000)


def _make_optimizer_error(optimizer: Any, reason: str) -> ValueError:
    return ValueError(
        f"The 'optimizer' parameter is {optimizer!r}, but {reason}. Expected a class of"
        " torch optimizers, such as torch.optim.NAdam; its options other than 'lr' and"
        " 'weight_decay' belong in 'net_params'."
    )


def _make_schedule_error(lr_schedule: Any, reason: str) -> ValueError:
    return ValueError(
        f"The 'lr_schedule' parameter is {lr_schedule!r}, but {reason}. Expected a function"
        " of the optimizer and the number of steps that returns a torch scheduler to step"
        " after every batch, such as lambda optimizer, n_steps: StepLR(optimizer, n_steps)."
    )
