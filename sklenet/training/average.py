"""The mean of the weights over the last steps of a fit."""

from collections.abc import Iterable

import torch
from torch.optim.swa_utils import AveragedModel


class TailAverage:
    """Average the weights after each of the last steps, and lend the mean to the module.

    The steps go on from the weights themselves; the mean is what is validated at the end of
    an epoch, and what remains at the end of the fit (Polyak and Juditsky, 1992).

    Parameters
    ----------
    module : Module
    n_steps : int
        Of the whole fit.
    part : float
        The part of them, at the end, over which to average; 0: none.
    """

    def __init__(self, module: torch.nn.Module, n_steps: int, part: float) -> None:
        self.module = module
        self.n_before = round((1 - part) * n_steps)
        self.averaged = AveragedModel(module) if part else None
        self._aside: list[torch.Tensor] | None = None

    def step(self) -> None:
        """Take note of the weights after a step."""
        if self.averaged is None:
            return
        if self.n_before > 0:
            self.n_before -= 1
        else:
            self.averaged.update_parameters(self.module)

    def lend(self) -> None:
        """Give the module the mean, if there is one yet."""
        if self.averaged is not None and self.averaged.n_averaged > 0:
            self._aside = [p.detach().clone() for p in self.module.parameters()]
            _copy(self.averaged.module.parameters(), self.module.parameters())

    def take_back(self) -> None:
        """Give the module its own weights again."""
        if self._aside is not None:
            _copy(self._aside, self.module.parameters())
            self._aside = None


@torch.no_grad()
def _copy(values: Iterable[torch.Tensor], parameters: Iterable[torch.Tensor]) -> None:
    for value, p in zip(values, parameters, strict=True):
        p.copy_(value)
