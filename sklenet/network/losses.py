"""Losses by name: each gives one value per sample, so that samples can be weighted.

Every loss also says how the network's outputs become probabilities. The mean squared and
the mean absolute error compare the softmax of the outputs with the label's unit vector
(the first is the Brier score divided by the number of classes); binary cross-entropy
takes each output for the logit of its own class against all others.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

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
    def log_probabilities(outputs: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of each class' probability, but for a constant per row."""
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
    def log_probabilities(outputs: torch.Tensor) -> torch.Tensor:
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


def log_probabilities(criterion: torch.nn.Module, outputs: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities, up to an additive constant per sample.

    Parameters
    ----------
    criterion : Module
        A custom loss is taken to be a function of the softmax.
    outputs : tensor of shape (n, n_classes)
    """
    return getattr(criterion, "log_probabilities", Loss.log_probabilities)(outputs)
