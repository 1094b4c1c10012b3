"""What watches the epochs of a fit: when to stop, and which weights to keep."""

import copy
import math
from collections.abc import Callable

import torch


def _never(*_) -> bool:
    return False


class Monitor:
    """Keep the weights of the last finished epoch and of the best one.

    Parameters
    ----------
    patience : int, optional
        Stop after that many epochs in a row without a lower validation loss. None: never.
    tol : float
        By how much the validation loss must fall to count as lower.
    on_epoch_begin, on_epoch_end : callable
        Called with the net; training stops where the latter returns true.

    Attributes
    ----------
    finished : bool
        Whether training ended by itself, rather than by an interrupt.
    best_epoch : int or None
        The epoch, counted from 1 in this training, with the lowest validation loss.
    """

    def __init__(
        self,
        patience: int | None = None,
        tol: float = 0.0,
        on_epoch_begin: Callable = _never,
        on_epoch_end: Callable = _never,
    ) -> None:
        self.patience = patience
        self.tol = tol
        self.on_epoch_begin = on_epoch_begin
        self.on_epoch_end = on_epoch_end
        self.finished = False
        self.best_epoch: int | None = None
        self._best_loss = self._level = math.inf
        self._misses = 0
        # One attribute, so that an interrupt finds both of the same epoch.
        self._last: tuple[int, dict] = (0, {})
        self._best: dict = {}

    @property
    def n_epochs(self) -> int:
        """The number of epochs finished."""
        return self._last[0]

    def end_epoch(self, net) -> bool:
        """Take note of the epoch that ended; return whether to stop."""
        state = _state(net)
        self._last = (self.n_epochs + 1, state)
        loss = net.history[-1].get("valid_loss")
        if loss is not None:
            if loss < self._best_loss:
                self._best_loss, self.best_epoch, self._best = loss, self.n_epochs, state
            # Patience asks for falls of `tol`; the best weights are the very best.
            if loss < self._level - self.tol:
                self._level, self._misses = loss, 0
            else:
                self._misses += 1
        stop = bool(self.on_epoch_end(net))
        return stop or (self.patience is not None and self._misses >= self.patience)

    def release(self) -> None:
        """Drop the two functions, which usually refer to the monitor and the estimator.

        Such a reference cycle would keep a discarded estimator, with its network, in
        memory until Python's next full garbage collection, hundreds of fits later.
        """
        self.on_epoch_begin = self.on_epoch_end = _never

    def restore(self, net) -> None:
        """Give the net the weights that the fit is to end with.

        With early stopping they are the best epoch's, after an interrupt the last
        finished epoch's.
        """
        if self.patience is not None and self._best:
            _set_state(net, self._best)
        elif not self.finished:
            _set_state(net, self._last[1])


def _state(net) -> dict:
    return {
        "module": {k: v.clone() for k, v in net.module_.state_dict().items()},
        "optimizer": copy.deepcopy(net.optimizer_.state_dict()),
    }


def _set_state(net, state: dict) -> None:
    with torch.no_grad():
        net.module_.load_state_dict(state["module"])
        net.optimizer_.load_state_dict(state["optimizer"])
