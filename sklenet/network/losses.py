"""Losses by name: each gives one value per sample, so that samples can be weighted.

Every loss also says how the network's outputs become probabilities. The mean squared and
the mean absolute error compare the softmax of the outputs with the label's unit vector
(the first is the Brier score divided by the number of classes); binary cross-entropy
takes each output for the logit of its own class against all others.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from sklenet.network.factories import can_be_called

# The j of equation 9. The paper says only that it is positive.
RUBBISH_DISTANCE = 0.1


class Loss(nn.Module):
    """A loss per sample, on outputs of shape (n, n_classes) and labels of shape (n,).

    Parameters
    ----------
    label_smoothing : float
        The part of each target that is spread evenly over all classes.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def targets(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the labels' unit vectors, smoothed."""
        n_classes = outputs.shape[1]
        unit = torch.zeros_like(outputs).scatter(1, labels[:, None], 1.0)
        return unit.lerp(torch.full_like(unit, 1 / n_classes), self.label_smoothing)

    @staticmethod
    def compute_log_probabilities(outputs: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities, up to an additive constant per sample."""
        return outputs


class CrossEntropy(Loss):
    """Minus the logarithm of the label's softmax probability."""

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(
            outputs, labels, reduction="none", label_smoothing=self.label_smoothing
        )


class MeanSquaredError(Loss):
    """The mean over classes of (probability - target)^2."""

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        error = outputs.softmax(dim=1) - self.targets(outputs, labels)
        return error.square().mean(dim=1)


class MeanAbsoluteError(Loss):
    """The mean over classes of |probability - target|."""

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        error = outputs.softmax(dim=1) - self.targets(outputs, labels)
        return error.abs().mean(dim=1)


class BinaryCrossEntropy(Loss):
    """The mean over classes of the cross-entropy of "this class" against "another"."""

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(
            outputs, self.targets(outputs, labels), reduction="none"
        ).mean(dim=1)

    @staticmethod
    def compute_log_probabilities(outputs: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of each sigmoid: probabilities are these over their sum."""
        return F.logsigmoid(outputs)


class MaximumAPosteriori(Loss):
    """The paper's equation 9: y_right + log(exp(-j) + sum of exp(-y_i)).

    It is the cross-entropy with one class more, the rubbish, whose distance is j whatever
    the image: it pushes wrong classes away too, but not further than it pays.

    Parameters
    ----------
    label_smoothing : float
    j : float
        The distance of the rubbish class.
    """

    def __init__(self, label_smoothing: float = 0.0, j: float = RUBBISH_DISTANCE) -> None:
        super().__init__(label_smoothing)
        self.j = j

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        rubbish = outputs.new_full((len(outputs), 1), -self.j)
        scores = torch.cat([outputs, rubbish], dim=1)
        right = (outputs * self.targets(outputs, labels)).sum(dim=1)
        return scores.logsumexp(dim=1) - right


class Distance(Loss):
    """The paper's equation 8, its "MSE": the right class' distance, y_right.

    Only for output="rbf", whose distances cannot become negative.
    """

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return -(outputs * self.targets(outputs, labels)).sum(dim=1)


LOSSES: dict[str, Callable[..., Loss]] = {
    "cross_entropy": CrossEntropy,
    "mse": MeanSquaredError,
    "l1": MeanAbsoluteError,
    "bce": BinaryCrossEntropy,
    "map": MaximumAPosteriori,
    "distance": Distance,
}


def compute_log_probabilities(
    criterion: torch.nn.Module, outputs: torch.Tensor
) -> torch.Tensor:
    """Return log-probabilities, up to an additive constant per sample.

    Parameters
    ----------
    criterion : Module
        A custom loss is taken to be a function of the softmax.
    outputs : tensor of shape (n, n_classes)
    """
    return getattr(criterion, "compute_log_probabilities", Loss.compute_log_probabilities)(
        outputs
    )


class FunctionLoss(nn.Module):
    """A function of outputs and labels as a module.

    Parameters
    ----------
    function : callable
    """

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.function(outputs, labels)


def make_loss(choice: Any, label_smoothing: float, n_outputs: int) -> nn.Module:
    """Return a loss from the parameter `loss`.

    Parameters
    ----------
    choice : str, Module or callable
        A name in ``LOSSES``; a module of outputs and labels, which is copied; a class or
        function that makes one without arguments; or a function of outputs and labels.
    label_smoothing : float
        For the losses that have names.
    n_outputs : int
        The number of classes, with which a loss without a name is tried.

    Raises
    ------
    ValueError
        If the loss does not give one differentiable value per sample.
    """
    if isinstance(choice, str):
        return LOSSES[choice](label_smoothing)
    loss = _build_loss(choice)
    _check_loss(choice, loss, n_outputs)
    return loss


def _build_loss(choice: Any) -> nn.Module:
    if isinstance(choice, nn.Module):
        return copy.deepcopy(choice)
    is_factory = isinstance(choice, type) or not can_be_called(choice, 2)
    try:
        loss = choice()
    except Exception as error:
        if is_factory:
            reason = f"called without arguments, it raises {error!r}"
            raise _make_error(choice, reason) from error
        return FunctionLoss(choice)  # of outputs and labels, such as F.cross_entropy
    if isinstance(loss, nn.Module):
        return loss
    if is_factory:
        raise _make_error(choice, f"called without arguments, it returns {loss!r:.60}")
    return FunctionLoss(choice)


def _check_loss(choice: Any, loss: nn.Module, n_outputs: int) -> None:
    """Raise a ValueError unless the loss gives a value for each sample."""
    if isinstance(loss, nn.NLLLoss):
        raise _make_error(
            choice, "it takes log-probabilities, which the outputs of the network are not"
        )
    # As many samples as nothing else counts, so that their number shows in the shape.
    n = n_outputs + 1
    outputs = torch.zeros((n, n_outputs), dtype=torch.float32, requires_grad=True)
    labels = torch.arange(n) % n_outputs
    try:
        with torch.enable_grad():
            values = loss(outputs * 1, labels)
    except Exception as error:
        reason = f"it raises {error!r} for outputs of shape {tuple(outputs.shape)}"
        raise _make_error(choice, f"{reason} and labels of shape ({n},)") from error
    if not isinstance(values, torch.Tensor):
        raise _make_error(choice, f"it returns {values!r:.60} rather than a tensor")
    if tuple(values.shape) != (n,):
        raise ValueError(
            f"The 'loss' parameter must give one loss per sample, of shape ({n},) for {n}"
            f" samples, but {choice!r} gave {tuple(values.shape)}. Losses of torch do so"
            " with reduction='none', such as nn.CrossEntropyLoss(reduction='none')."
        )
    if not values.requires_grad:
        raise _make_error(choice, "its values cannot be differentiated by the outputs")


def _make_error(choice: Any, reason: str) -> ValueError:
    return ValueError(
        f"The 'loss' parameter is {choice!r}, but {reason}. Expected a module such as"
        " nn.CrossEntropyLoss(reduction='none'), a class or function that makes one without"
        " arguments, or a function of outputs and labels that gives one loss per sample."
    )
