"""The callback that stops a fit early, and keeps the weights with which it ends."""

import math
from typing import Any

import torch
from skorch.callbacks import Callback

from sklenet.training.runtime import one_thread
from sklenet.training.state import map_leaves


class Monitor(Callback):
    """Keep the weights of the last finished epoch and of the best one.

    Parameters
    ----------
    max_epochs : int, optional
        Number of epochs of the fit.
    patience : int, optional
        Number of consecutive epochs without a lower validation loss after which training
        stops. If None, it never stops early.
    tol : float
        Minimum decrease of the validation loss that counts as an improvement.

    Attributes
    ----------
    n_epochs : int
        Number of finished epochs.
    best_epoch : int or None
        The epoch with the lowest validation loss, counted from 1 in this fit.
    """

    def __init__(
        self, max_epochs: int | None = None, patience: int | None = None, tol: float = 0.0
    ) -> None:
        self.max_epochs = max_epochs
        self.patience = patience
        self.tol = tol
        self.best_epoch: int | None = None
        self._lowest_loss = self._loss_to_improve = math.inf
        self._n_misses = 0
        # A single attribute, so that an interrupt cannot separate number and weights.
        self._last: tuple[int, dict] = (0, {})
        self._best: dict = {}

    @property
    def n_epochs(self) -> int:
        return self._last[0]

    def on_epoch_end(self, net, **kwargs: Any) -> None:
        """Keep the weights of the epoch; ask to stop once patience has run out."""
        # Of the last epoch no copy is needed, unless the weights of an earlier one may
        # replace it.
        is_last = self.n_epochs + 1 == self.max_epochs
        state = {} if is_last and self.patience is None else copy_state(net)
        self._last = (self.n_epochs + 1, state)
        loss = net.history[-1].get("valid_loss")
        if loss is None:
            return
        if loss < self._lowest_loss:
            self._lowest_loss, self.best_epoch, self._best = loss, self.n_epochs, state
        # The best weights have the lowest loss, by however little; patience requires a
        # decrease of `tol`.
        if loss < self._loss_to_improve - self.tol:
            self._loss_to_improve, self._n_misses = loss, 0
        else:
            self._n_misses += 1
        if self.patience is not None and self._n_misses >= self.patience:
            net.stop_training_ = True

    def on_train_end(self, net, **kwargs: Any) -> None:
        """Restore the weights of the best epoch, or after an interrupt of the last one."""
        if self.patience is not None and self._best:
            set_state(net, self._best)
        elif net.is_interrupted_ and self._last[1]:
            set_state(net, self._last[1])


def copy_state(net) -> dict:
    """Return a copy of the state of the net's module, criterion and optimizer."""
    states = {
        "module": net.module_.state_dict(),
        "criterion": net.criterion_.state_dict(),
        "optimizer": net.optimizer_.state_dict(),
    }
    with one_thread():  # waking up another thread takes longer than the copies
        return map_leaves(states, torch.Tensor, torch.clone)


def set_state(net, state: dict) -> None:
    """Set the state of the net's module, criterion and optimizer from `copy_state`."""
    with torch.no_grad(), one_thread():
        net.module_.load_state_dict(state["module"])
        net.criterion_.load_state_dict(state["criterion"])
        net.optimizer_.load_state_dict(state["optimizer"])
