"""Callbacks: those of scikit-learn in a skorch net, and requirements on those of skorch."""

import copy
from collections.abc import Callable, Iterable, Mapping

from skorch.callbacks import (
    BatchScoring,
    Callback,
    EarlyStopping,
    EpochScoring,
    InputShapeSetter,
    PassthroughScoring,
    PrintLog,
    WandbLogger,
)

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")
_SCORING = (BatchScoring, EpochScoring, PassthroughScoring)


class EpochContexts(Callback):
    """Call the hooks of scikit-learn's callbacks when an epoch begins and ends.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        Context of the call of `fit`.
    get_attributes : callable
        Returns the fitted attributes, as if training ended here.
    **task
        Arguments of the hooks: ``estimator``, ``X``, ``y``, ``metadata``.
    """

    def __init__(self, context, get_attributes: Callable[[], dict], **task) -> None:
        self.context = context
        self.get_attributes = get_attributes
        self.task = task

    def on_epoch_begin(self, net, **kwargs) -> None:
        """Begin the task of the next epoch."""
        self._epoch = self.context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._make_task(net))

    def on_epoch_end(self, net, **kwargs) -> None:
        """End the task of the epoch; stop training if a callback asks to."""
        if self._epoch.call_on_fit_task_end(**self._make_task(net)):
            net.stop_training_ = True

    def _make_task(self, net) -> dict:
        # Evaluated only if a hook requests the fitted estimator, which must not change as
        # training goes on.
        def attributes() -> dict:
            return self.get_attributes() | {"module_": copy.deepcopy(net.module_)}

        return self.task | {"reconstruction_attributes": attributes}


class EpochLog(PrintLog):
    """Print a line per epoch, without colours, which log files cannot show."""

    def format_row(self, row, key, color):
        """Return the value of `key` as text."""
        return super().format_row({key: row[key]}, key, color)

    def on_epoch_end(self, net, **kwargs):
        """Print the last epoch, unless the output would be discarded."""
        if net.verbose or self.sink is not print:
            super().on_epoch_end(net, **kwargs)


def has_batch_hooks(callback: Callback) -> bool:
    """Return whether a skorch callback is called for single batches."""
    return any(
        getattr(type(callback), name) is not getattr(Callback, name)
        for name in _BATCH_HOOKS
    )


def is_stop_request(net) -> bool:
    """Return whether a KeyboardInterrupt is that of a skorch EarlyStopping callback.

    To end training, EarlyStopping raises the exception that Ctrl-C raises.
    """
    return any(
        isinstance(callback, EarlyStopping) and callback.misses_ >= callback.patience
        for _, callback in net.callbacks_
    )


def check_callbacks(net_params: Mapping | None) -> None:
    """Check the callbacks in the parameter `net_params`.

    Raises
    ------
    ValueError
        If one of them is not a skorch callback, or does not apply to this network.
    """
    callbacks = (net_params or {}).get("callbacks")
    if callbacks is None or callbacks == "disable":
        return
    if not isinstance(callbacks, Iterable) or isinstance(callbacks, str | Mapping):
        raise ValueError(
            "The 'callbacks' entry of the 'net_params' parameter must be a list of"
            f" skorch callbacks or 'disable'. Got {callbacks!r} instead."
        )
    for item in callbacks:
        callback = item[1] if isinstance(item, tuple) and len(item) == 2 else item
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise ValueError(
                "The 'callbacks' entry of the 'net_params' parameter must contain skorch"
                " callbacks: classes, instances or (name, callback) pairs. Got"
                f" {item!r}. Callbacks of scikit-learn are passed to set_callbacks."
            )
        if issubclass(kind, InputShapeSetter):
            raise ValueError(
                "The InputShapeSetter callback in the 'net_params' parameter does not"
                " apply: the network takes its input shape from X, or from the"
                " 'image_shape' parameter."
            )


def check_monitors(net, *, has_validation: bool) -> None:
    """Check that the history will have the entries that the net's callbacks read.

    Raises
    ------
    ValueError
        If a callback needs validation data and there is none, or if it needs predictions
        that are not cached.
    """
    callbacks = [callback for _, callback in net.callbacks_]
    scoring = [callback for callback in callbacks if isinstance(callback, _SCORING)]
    for callback in scoring:
        if not getattr(callback, "use_caching", True) or net.use_caching is False:
            raise ValueError(
                f"The {type(callback).__name__} callback in the 'net_params' parameter has"
                " use_caching=False, but labels are only available with cached"
                " predictions. Set it to True."
            )
    if has_validation:
        return
    names = ["valid_loss", "valid_accuracy"]
    names += [getattr(c, "name_", c.name) for c in scoring if not c.on_train]
    missing = {key for name in names for key in (name, f"{name}_best")}
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if isinstance(callback, WandbLogger) and callback.save_model:
            monitor = "valid_loss_best"
        if isinstance(monitor, str) and monitor in missing:
            raise ValueError(
                f"The {type(callback).__name__} callback in the 'net_params' parameter"
                f" monitors {monitor!r}, but there is no validation data. Pass X_val and"
                " y_val to fit, set early_stopping=True, or monitor 'train_loss'."
            )
