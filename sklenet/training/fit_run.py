"""A run of training, from checked samples to the attributes of a fitted estimator."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from skorch.callbacks import Callback
from torch.nn.utils import parameters_to_vector

from sklenet._utils.user_warning import warn_user
from sklenet.training.batches import ImageDataset
from sklenet.training.build import build_net, continue_training, isolate_custom_parts
from sklenet.training.callbacks import check_monitors
from sklenet.training.monitor import Monitor, copy_state, set_state
from sklenet.training.net import TrainingNet
from sklenet.training.runtime import (
    check_process,
    keep_freed_memory,
    one_thread,
    release_freed_memory,
    resolve_device,
)
from sklenet.training.samples.samples import Samples


class FitRun:
    """A run of training, of a new network or of one whose training continues.

    The estimator is only read: it takes over the fitted attributes after `train`.

    Parameters
    ----------
    params : dict
        Parameters of LeNet5Classifier, which have been checked.
    samples : Samples
        Training samples.
    n_epochs : int
        Number of epochs, unless training stops early.
    validation : Samples, optional
        Validation samples.
    stops_early : bool, default=False
        Whether to stop early and restore the weights of the best epoch. Without
        `validation`, some of the training samples are then held out.
    earlier : LeNet5Classifier, optional
        Fitted estimator whose training continues. If None, training starts from new
        weights.

    Attributes
    ----------
    net : TrainingNet
        The net, once `train` has been called.
    """

    net: TrainingNet

    def __init__(
        self,
        params: dict[str, Any],
        samples: Samples,
        *,
        n_epochs: int,
        validation: Samples | None = None,
        stops_early: bool = False,
        earlier=None,
    ) -> None:
        self.params = _copy_containers(params)
        self.samples, self.validation = samples, validation
        self.n_epochs = n_epochs
        self.earlier = earlier
        check_process()
        self.device = resolve_device(params["device"])
        self.random_state = (
            _make_random_state(params["random_state"])
            if earlier is None
            else _copy_random_state(earlier.random_state_)
        )
        self.train_rows: np.ndarray | None = None
        self.held_out: dict[str, Any] | None = None
        if stops_early and validation is None:
            self._hold_out()
        self.seeds = self.random_state.randint(np.iinfo(np.int32).max, size=3).tolist()
        self.monitor = Monitor(
            n_epochs, params["n_iter_no_change"] if stops_early else None, params["tol"]
        )
        self.interrupted = False
        self._pending: BaseException | None = None

    def _hold_out(self) -> None:
        """Hold out samples for validation.

        If training continues on the same data, the same samples are held out again, so
        that none of them has been trained on.
        """
        fraction = self.params["validation_fraction"]
        fingerprint = self.samples.compute_fingerprint(fraction)
        if self.earlier is not None:
            before = self.earlier.held_out_
            if before is not None and before["fingerprint"] == fingerprint:
                self.train_rows = self.samples.get_other_rows(before["rows"])
                self.held_out = before
                return
            warn_user(
                "The samples that early stopping holds out may have been trained on before,"
                " which makes the validation loss too low: the previous fit held out"
                " none, or X, y, sample_weight or the 'validation_fraction' parameter"
                " have changed since. Pass X_val and y_val, or fit a clone."
            )
        self.train_rows, rows = self.samples.split(fraction, self.random_state)
        self.held_out = {"rows": rows, "fingerprint": fingerprint}

    def train(self, callbacks: Sequence[Callback] = ()) -> None:
        """Train the network. If this fails, the earlier network is restored.

        An interrupt after at least one epoch, and the error of a callback after the last
        epoch, do not count as failures; `raise_pending` raises them.

        Parameters
        ----------
        callbacks : sequence of skorch callbacks
            Callbacks in addition to those of the net.

        Raises
        ------
        KeyboardInterrupt
            If no epoch was finished.
        ValueError
            If training diverged, or a callback needs validation data and there is none.
        """
        keep_freed_memory()
        before = None
        if self.earlier is not None:
            before = copy_state(self.earlier.net_), list(self.earlier.net_.history)
        try:
            with isolate_custom_parts(self.params, self.seeds[1], self.device):
                self.net = self._make_net()
            check_monitors(self.net, has_validation=self._has_validation())
            with isolate_custom_parts(self.params, self.seeds[1], self.device):
                self._run_epochs(callbacks)
            self._check_weights()
        except BaseException:
            if before is not None:  # both nets share the module
                state, rows = before
                set_state(self.earlier.net_, state)
                self.earlier.net_.continue_history(rows)
            raise
        finally:
            release_freed_memory()

    def raise_pending(self) -> None:
        """Raise the exception, if any, that ended training without failure."""
        pending, self._pending = self._pending, None
        try:
            if pending is not None:
                raise pending
        finally:
            # Otherwise this frame, which the traceback refers to, would refer back to it,
            # which would keep the training data in memory.
            del pending

    def _make_net(self) -> TrainingNet:
        """Return a new net, or one that continues the training of the earlier one."""
        samples = self.samples
        described = (samples.canvas, samples.classes, self.device, self.seeds)
        if self.earlier is None:
            return build_net(self.params, *described)
        earlier = self.earlier
        return continue_training(earlier.net_, self.params, earlier.fit_params_, *described)

    def _run_epochs(self, callbacks: Sequence[Callback]) -> None:
        net, monitor = self.net, self.monitor
        train = self.samples.to_dataset(self.device, self.train_rows)
        valid = self._make_validation_dataset(train)
        try:
            net.partial_fit(
                train, valid=valid, epochs=self.n_epochs, callbacks=[monitor, *callbacks]
            )
        except KeyboardInterrupt as interrupt:  # in on_train_begin or on_train_end
            self._pending = interrupt
        except Exception as error:
            if net.is_interrupted_:
                raise
            self._pending = error  # in on_train_end: the weights must not be lost
        self.interrupted = net.is_interrupted_
        if self.interrupted:
            self._pending = self._pending or KeyboardInterrupt()
            if monitor.n_epochs == 0:
                self.raise_pending()
            del net.history[net.n_earlier_epochs_ + monitor.n_epochs :]

    def _has_validation(self) -> bool:
        return self.validation is not None or self.held_out is not None

    def _make_validation_dataset(self, train: ImageDataset) -> ImageDataset | None:
        """Return the validation samples, or the training samples that were held out."""
        if self.validation is not None:
            return self.validation.to_dataset(self.device)
        if self.held_out is not None:
            return train.select(self.held_out["rows"])
        return None

    def _check_weights(self) -> None:
        """Raise a ValueError if the weights are not finite."""
        with one_thread():
            norm = parameters_to_vector(self.net.module_.parameters()).detach().norm()
        if not norm.isfinite():
            raise ValueError(
                f"Training diverged: weights are not finite after {self.monitor.n_epochs}"
                f" epoch(s) with lr={self.params['lr']!r}. Lower the 'lr' parameter."
            )

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return the fitted attributes of the estimator after the last finished epoch."""
        net, canvas, best = self.net, self.samples.canvas, self.monitor.best_epoch
        earlier = [] if self.earlier is None else self.earlier.history_
        start = net.n_earlier_epochs_
        rows = list(net.history)[start : start + self.monitor.n_epochs]
        history = earlier + [
            _summarize_epoch(len(earlier) + k, row) for k, row in enumerate(rows, start=1)
        ]
        return self.samples.features | {
            "classes_": self.samples.classes,
            "image_shape_": canvas.image_shape,
            "pixel_range_": (canvas.low, canvas.high),
            "n_iter_": len(history),
            "best_epoch_": None if best is None else len(earlier) + best,
            "interrupted_": self.interrupted,
            "history_": history,
            "loss_curve_": [row["train_loss"] for row in history],
            "device_": self.device,
            "net_": net,
            "module_": net.module_,
            "fit_params_": self.params,
            "random_state_": self.random_state,
            "held_out_": self.held_out,
        }


def _summarize_epoch(number: int, row: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of ``history_`` from one of the net's history."""
    keys = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "lr")
    seconds = row.get("dur", math.nan)  # NaN without skorch's timer
    metrics = {key: row[key] for key in keys if key in row}
    return {"epoch": number} | metrics | {"seconds": seconds}


def _make_random_state(random_state) -> np.random.RandomState:
    """Return a RandomState; for None a new one, rather than numpy's global one."""
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def _copy_random_state(random_state: np.random.RandomState) -> np.random.RandomState:
    """Return a copy. For the usual kind this is ten times as fast as deepcopy."""
    state = random_state.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        return copy.deepcopy(random_state)
    copied = np.random.RandomState(0)
    copied.set_state(state)
    return copied


def _copy_containers(value):
    """Return `value` with copies of the dicts, lists and arrays in it.

    If the caller modifies a container in place, the parameter has then changed.
    """
    if type(value) is dict:
        return {key: _copy_containers(item) for key, item in value.items()}
    if type(value) is list:
        return [_copy_containers(item) for item in value]
    return value.copy() if isinstance(value, np.ndarray) else value
