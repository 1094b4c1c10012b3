"""Watch the epochs of a fit: when to stop, and which weights to keep."""

import math
from collections.abc import Callable

import torch

from sklenet.training.runtime import one_thread
from sklenet.training.state import map_leaves


def _never(*_) -> bool:
    return False


class Monitor:
    """Keep the weights of the last finished epoch and of the best one.

    Parameters
    ----------
    patience : int, optional
        Number of consecutive epochs without a lower validation loss after which training
        stops. If None, it never stops early.
    tol : float
        Minimum decrease of the validation loss that counts as an improvement.
    on_epoch_begin, on_epoch_end : callable
        Called with the net; training stops if the latter returns True.

    Attributes
    ----------
    finished : bool
        Whether training ended by itself, rather than by an interrupt.
    rows : list of dict
        What the net's history recorded for each finished epoch.
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
        self._last: tuple[list[dict], dict] = ([], {})
        self._best: dict = {}

    @property
    def rows(self) -> list[dict]:
        return self._last[0]

    @property
    def n_epochs(self) -> int:
        """The number of finished epochs."""
        return len(self.rows)

    def end_epoch(self, net, *, is_last: bool = False) -> bool:
        """Keep the epoch that ended; return whether to stop.

        Parameters
        ----------
        net : TrainingNet
        is_last : bool, default=False
            Whether no epoch follows. Its weights need no copy then, unless an earlier
            epoch's may replace them.
        """
        state = {} if is_last and self.patience is None else copy_state(net)
        row = {key: v for key, v in net.history[-1].items() if key != "batches"}
        self._last = ([*self.rows, row], state)
        loss = row.get("valid_loss")
        if loss is not None:
            if loss < self._best_loss:
                self._best_loss, self.best_epoch, self._best = loss, self.n_epochs, state
            # Patience asks for decreases of `tol`; the best weights are the very best.
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
        """Set the weights that the fit ends with.

        With early stopping they are the best epoch's, after an interrupt the last
        finished epoch's.
        """
        if self.patience is not None and self._best:
            set_state(net, self._best)
        elif not self.finished and self._last[1]:
            set_state(net, self._last[1])


def copy_state(net) -> dict:
    """Return a copy of the state of the net's module, criterion and optimizer."""
    states = {
        "module": net.module_.state_dict(),
        "criterion": net.criterion_.state_dict(),
        "optimizer": net.optimizer_.state_dict(),
    }
    with one_thread():  # a second one takes longer to wake up than these copies last
        return map_leaves(states, torch.Tensor, torch.clone)


def set_state(net, state: dict) -> None:
    """Set the state of the net's module, criterion and optimizer to a `copy_state`."""
    with torch.no_grad(), one_thread():
        net.module_.load_state_dict(state["module"])
        net.criterion_.load_state_dict(state["criterion"])
        net.optimizer_.load_state_dict(state["optimizer"])
