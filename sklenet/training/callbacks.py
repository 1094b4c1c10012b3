"""scikit-learn's callback protocol, called at the epochs of a fit."""

from collections.abc import Callable


class EpochContexts:
    """Call scikit-learn's hooks at the beginning and the end of each epoch.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        Of the fit.
    attributes : callable
        Gives, from the net, the fitted attributes as if training ended here.
    **task
        What the hooks are told: ``estimator``, ``X``, ``y``, ``metadata``.
    """

    def __init__(self, context, attributes: Callable[..., dict], **task) -> None:
        self.context = context
        self.attributes = attributes
        self.task = task

    def begin(self, net) -> None:
        """Begin the next epoch's task."""
        self._epoch = self.context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._task(net))

    def end(self, net) -> bool:
        """End the epoch's task; return whether a callback asks to stop."""
        return self._epoch.call_on_fit_task_end(**self._task(net))

    def _task(self, net) -> dict:
        # A callable is evaluated only if a hook wants the fitted estimator.
        return self.task | {"reconstruction_attributes": lambda: self.attributes(net)}
