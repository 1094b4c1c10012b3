"""Average of the weights over the last steps of a fit."""

from collections.abc import Iterable

import torch
from torch.optim.swa_utils import AveragedModel


class TailAverage:
    """Average the weights over the last steps, and lend the mean to the module.

    Training continues from the weights themselves. The mean is used for validation at the
    end of an epoch, and is the result of the fit (Polyak and Juditsky, 1992).

    Parameters
    ----------
    module : Module
    n_steps : int
        Number of steps of the whole fit.
    fraction : float
        Fraction of the steps, at the end, over which to average. With 0 there is no
        average.
    """

    def __init__(self, module: torch.nn.Module, n_steps: int, fraction: float) -> None:
        self.module = module
        self.n_before = round((1 - fraction) * n_steps)
        self.averaged = AveragedModel(module) if fraction else None
        self._aside: list[torch.Tensor] | None = None

    def step(self) -> None:
        """Update the average after a step."""
        if self.averaged is None:
            return
        if self.n_before > 0:
            self.n_before -= 1
        else:
            self.averaged.update_parameters(self.module)

    def lend(self) -> None:
        """Set the module's weights to the mean, if there is one yet."""
        if self.averaged is not None and self.averaged.n_averaged > 0:
            self._aside = [p.detach().clone() for p in self.module.parameters()]
            _copy(self.averaged.module.parameters(), self.module.parameters())

    def take_back(self) -> None:
        """Restore the module's own weights."""
        if self._aside is not None:
            _copy(self._aside, self.module.parameters())
            self._aside = None


@torch.no_grad()
def _copy(values: Iterable[torch.Tensor], parameters: Iterable[torch.Tensor]) -> None:
    for value, p in zip(values, parameters, strict=True):
        p.copy_(value)
