"""Losses by name, with one value per sample so that samples can be weighted.

Each loss also determines how the outputs of the network become probabilities. The mean
squared error and the mean absolute error compare the softmax of the outputs with the
one-hot vector of the label; the former is the Brier score divided by the number of classes.
Binary cross-entropy treats each output as the logit of its class against all others.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from sklenet.network.factories import can_be_called

# The constant j of equation 9 in the 1998 paper, which requires only that it is positive.
RUBBISH_DISTANCE = 0.1


class Loss(nn.Module):
    """Base class of the named losses.

    A loss is a function of outputs of shape (n, n_classes) and labels of shape (n,) that
    returns one value per sample.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Fraction of each target that is distributed evenly over all classes.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def make_targets(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the smoothed one-hot vectors of the labels, of shape (n, n_classes)."""
        n_classes = outputs.shape[1]
        one_hot = torch.zeros_like(outputs).scatter(1, labels[:, None], 1.0)
        return one_hot.lerp(torch.full_like(one_hot, 1 / n_classes), self.label_smoothing)

    @staticmethod
    def compute_log_probabilities(outputs: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities, up to an additive constant per sample."""
        return outputs


class CrossEntropy(Loss):
    """Cross-entropy: the negative logarithm of the softmax probability of the label."""

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(
            outputs, labels, reduction="none", label_smoothing=self.label_smoothing
        )


class MeanSquaredError(Loss):
    """Mean over the classes of (probability - target)^2."""

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        error = outputs.softmax(dim=1) - self.make_targets(outputs, labels)
        return error.square().mean(dim=1)


class MeanAbsoluteError(Loss):
    """Mean over the classes of |probability - target|."""

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        error = outputs.softmax(dim=1) - self.make_targets(outputs, labels)
        return error.abs().mean(dim=1)


class BinaryCrossEntropy(Loss):
    """Mean over the classes of the binary cross-entropy of each class against the rest."""

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(
            outputs, self.make_targets(outputs, labels), reduction="none"
        ).mean(dim=1)

    @staticmethod
    def compute_log_probabilities(outputs: torch.Tensor) -> torch.Tensor:
        """Return the logarithms of the sigmoids, of which probabilities are proportions."""
        return F.logsigmoid(outputs)


class MaximumAPosteriori(Loss):
    """Maximum a posteriori loss of the 1998 paper: y_label + log(exp(-j) + sum exp(-y_i)).

    It is the cross-entropy with an additional "rubbish" class at the distance j from every
    image. Like cross-entropy, it also increases the distances y_i of the wrong classes, but
    the effect ceases at distances well above j.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Fraction of each target that is distributed evenly over all classes.
    j : float, default=0.1
        Distance of the rubbish class.

    References
    ----------
    LeCun et al. 1998, equation 9.
    """

    def __init__(self, label_smoothing: float = 0.0, j: float = RUBBISH_DISTANCE) -> None:
        super().__init__(label_smoothing)
        self.j = j

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        rubbish = outputs.new_full((len(outputs), 1), -self.j)
        scores = torch.cat([outputs, rubbish], dim=1)
        label_scores = (outputs * self.make_targets(outputs, labels)).sum(dim=1)
        return scores.logsumexp(dim=1) - label_scores


class Distance(Loss):
    """Distance y_label of the label's class, the mean squared error of the 1998 paper.

    It can be used only with ``output="rbf"``, whose distances cannot become negative.

    References
    ----------
    LeCun et al. 1998, equation 8.
    """

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return -(outputs * self.make_targets(outputs, labels)).sum(dim=1)


LOSSES: dict[str, Callable[..., Loss]] = {
    "cross_entropy": CrossEntropy,
    "mse": MeanSquaredError,
    "l1": MeanAbsoluteError,
    "bce": BinaryCrossEntropy,
    "map": MaximumAPosteriori,
    "distance": Distance,
}


def compute_log_probabilities(criterion: nn.Module, outputs: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities, up to an additive constant per sample.

    Parameters
    ----------
    criterion : Module
        The loss. A custom loss without a method of this name is assumed to be a function
        of the softmax.
    outputs : Tensor of shape (n, n_classes)
        Outputs of the network.

    Returns
    -------
    Tensor of shape (n, n_classes)
    """
    default = Loss.compute_log_probabilities
    return getattr(criterion, "compute_log_probabilities", default)(outputs)


class FunctionLoss(nn.Module):
    """A function of outputs and labels as a module.

    Parameters
    ----------
    function : callable
        The function.
    """

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.function(outputs, labels)


def make_loss(loss: Any, label_smoothing: float, n_outputs: int) -> nn.Module:
    """Return the loss for a value of the parameter `loss`.

    Parameters
    ----------
    loss : str, Module or callable
        A name in ``LOSSES``, a module, which is copied, a class or function that returns a
        module when called without arguments, or a function of outputs and labels.
    label_smoothing : float
        Label smoothing of named losses.
    n_outputs : int
        Number of outputs of the network, for checking a custom loss.

    Returns
    -------
    Module
        A function of outputs and labels.

    Raises
    ------
    ValueError
        If a custom loss does not return one differentiable value per sample.
    """
    if isinstance(loss, str):
        return LOSSES[loss](label_smoothing)
    criterion = _make_custom_loss(loss)
    _check_loss(loss, criterion, n_outputs)
    return criterion


def _make_custom_loss(loss: Any) -> nn.Module:
    if isinstance(loss, nn.Module):
        return copy.deepcopy(loss)
    cause = None
    try:
        criterion = loss()
    except Exception as error:  # as of F.cross_entropy, which requires outputs and labels
        reason, cause = f"called without arguments, it raises {error!r}", error
    else:
        if isinstance(criterion, nn.Module):
            return criterion
        reason = f"called without arguments, it returns {criterion!r:.60}"
    if isinstance(loss, type) or not can_be_called(loss, 2):
        raise _make_error(loss, reason) from cause
    return FunctionLoss(loss)


def _check_loss(loss: Any, criterion: nn.Module, n_outputs: int) -> None:
    """Raise a ValueError if a custom loss does not return a value for each sample."""
    if isinstance(criterion, nn.NLLLoss):
        raise _make_error(
            loss, "it requires log-probabilities, which the outputs of the network are not"
        )
    # The number of samples differs from that of classes, so that shapes can be told apart.
    n = n_outputs + 1
    outputs = torch.zeros((n, n_outputs), dtype=torch.float32, requires_grad=True)
    labels = torch.arange(n) % n_outputs
    try:
        with torch.enable_grad():
            values = criterion(outputs * 1, labels)
    except Exception as error:
        reason = f"it raises {error!r} for outputs of shape {tuple(outputs.shape)}"
        raise _make_error(loss, f"{reason} and labels of shape ({n},)") from error
    if not isinstance(values, torch.Tensor):
        raise _make_error(loss, f"it returns {values!r:.60} rather than a tensor")
    if tuple(values.shape) != (n,):
        raise ValueError(
            f"The 'loss' parameter must give one loss per sample, of shape ({n},) for {n}"
            f" samples, but {loss!r} gave {tuple(values.shape)}. For losses of torch, pass"
            " reduction='none', as in nn.CrossEntropyLoss(reduction='none')."
        )
    if not values.requires_grad:
        raise _make_error(loss, "its values cannot be differentiated by the outputs")


def _make_error(loss: Any, reason: str) -> ValueError:
    return ValueError(
        f"The 'loss' parameter is {loss!r}, but {reason}. Expected a module such as"
        " nn.CrossEntropyLoss(reduction='none'), a class or function that returns a module"
        " when called without arguments, or a function of outputs and labels that returns"
        " one value per sample."
    )
