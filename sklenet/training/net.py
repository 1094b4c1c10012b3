"""The skorch net that the estimator trains."""

from contextlib import nullcontext

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochTimer

from sklenet.network.losses import log_probabilities
from sklenet.network.sdlm import SDLM
from sklenet.training.average import TailAverage
from sklenet.training.batches import Batches
from sklenet.training.callbacks import EpochLog, has_batch_hooks, is_stop_request
from sklenet.training.epoch import (
    estimate_curvature,
    make_gradient,
    train_by_kernels,
    validate_by_kernels,
)
from sklenet.training.monitor import Monitor
from sklenet.training.replay import MIN_REPLAYED, ReplayedSteps, can_be_replayed
from sklenet.training.runtime import one_thread

_CONVOLUTIONS_VARY = torch.backends.cpu.get_cpu_capability() == "DEFAULT"


class TrainingNet(NeuralNetClassifier):
    """A skorch net on batches of weighted samples.

    It differs from ``skorch.NeuralNetClassifier`` in that

    - its iterators index whole tensors;
    - the criterion gives one loss per sample, to be weighted;
    - labels are the numbers of classes, also for callbacks, which get batches without
      weights;
    - it reads losses back from the device once per epoch rather than once per step;
    - small matrix products are left to one thread, so that few threads or one give the
      same weights.

    Parameters
    ----------
    l1 : float
        The weight of the sum of absolute weights, biases apart, in what is minimised.
        Reported losses are without it.
    schedule : callable, optional
        Makes a torch learning-rate scheduler from an optimizer and a number of steps.
        None leaves the rate to the optimizer, and to skorch's callbacks.
    curvature_seed : int
        Of the patterns on which SDLM estimates second derivatives.
    average : float
        The part of the steps, at the end, over which weights are averaged.
    """

    def __init__(
        self,
        module,
        *,
        l1=0.0,
        schedule=None,
        curvature_seed=0,
        average=0.0,
        iterator_train=Batches,
        iterator_valid=Batches,
        train_split=None,
        **kwargs,
    ):
        self.l1 = l1
        self.schedule = schedule
        self.curvature_seed = curvature_seed
        self.average = average
        super().__init__(
            module,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            train_split=train_split,
            **kwargs,
        )

    @property
    def _default_callbacks(self):
        # `run_single_epoch` records the losses.
        return [("epoch_timer", EpochTimer()), ("print_log", EpochLog())]

    def initialize_optimizer(self, *args, **kwargs):
        """Make the optimizer, and keep the settings that each fit begins with."""
        super().initialize_optimizer(*args, **kwargs)
        self.optimizer_settings_ = [
            {key: value for key, value in group.items() if key != "params"}
            for group in self.optimizer_.param_groups
        ]
        return self

    def initialize_history(self):
        """Begin with an empty history."""
        super().initialize_history()
        self.best_values_ = {}
        return self

    def continue_history(self, rows):
        """Continue the history of an earlier net.

        Parameters
        ----------
        rows : sequence of dict
            What it recorded of each epoch.
        """
        self.initialize_history()
        # skorch's checkpoints read the last batch of an epoch.
        self.history.extend({"batches": [{}]} | row for row in rows)
        for row in rows:
            for name in ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy"):
                if name in row:
                    self._is_best(name, row[name])

    def reset_optimizer_settings(self):
        """Undo what schedules and callbacks have changed, such as the learning rate."""
        groups = self.optimizer_.param_groups
        for group, settings in zip(groups, self.optimizer_settings_, strict=True):
            params = group["params"]
            group.clear()
            group.update(settings | {"params": params})

    def notify(self, method_name, **kwargs):
        """Call a method of the net and its callbacks, batches as images and labels."""
        if "batch" in kwargs:
            images, (labels, _) = kwargs["batch"]
            kwargs["batch"] = images, labels
        super().notify(method_name, **kwargs)

    def fit_loop(self, X, y=None, epochs=None, *, valid=None, monitor=None, **fit_params):
        """Train on the dataset X until the monitor, or the number of epochs, ends it.

        Parameters
        ----------
        X, valid : ImageDataset
        epochs : int, default=None
            None: ``max_epochs``.
        monitor : Monitor
        """
        monitor = monitor or Monitor()
        epochs = self.max_epochs if epochs is None else epochs
        train_batches = self.get_iterator(X, training=True)
        valid_batches = valid and self.get_iterator(valid, training=False)
        self.begin_steps(epochs * len(train_batches))
        self.n_earlier_epochs_ = len(self.history)
        try:
            for epoch in range(1, epochs + 1):
                if self._run_epoch(
                    X, train_batches, valid, valid_batches, monitor, is_last=epoch == epochs
                ):
                    break
            monitor.finished = True
        finally:
            # Before callbacks are told that training ended, and may save the weights.
            if monitor.n_epochs:
                monitor.restore(self)
        return self

    def _run_epoch(self, data, batches, valid, valid_batches, monitor, *, is_last):
        """Train and validate for an epoch; return whether to stop."""
        datasets = {"dataset_train": data, "dataset_valid": valid}
        monitor.on_epoch_begin(self)
        self.notify("on_epoch_begin", **datasets)
        self.average_.take_back()
        if isinstance(self.optimizer_, SDLM):
            estimate_curvature(self, data)
        # Anew in every epoch: a callback may have changed the module.
        gradient = make_gradient(self)
        if gradient:
            train_by_kernels(self, gradient, batches)
        else:
            replayed = can_be_replayed(self) and len(batches) >= MIN_REPLAYED
            step = ReplayedSteps(self) if replayed else self.train_step
            self.run_single_epoch(batches, True, "train", step)
        self.average_.lend()
        if valid is not None and not validate_by_kernels(self, valid):
            self.run_single_epoch(valid_batches, False, "valid", self.validation_step)
        self.history.record("lr", self.optimizer_.param_groups[0]["lr"])
        stop = False
        try:
            self.notify("on_epoch_end", **datasets)
        except KeyboardInterrupt:
            stop = is_stop_request(self)
            if not stop:
                monitor.end_epoch(self, is_last=is_last)
                raise
        return monitor.end_epoch(self, is_last=is_last) or stop

    def begin_steps(self, n_steps):
        """Make the schedule and the average of a fit of so many steps."""
        self.average_ = TailAverage(self.module_, n_steps, self.average)
        self.scheduler_ = self.schedule and self.schedule(self.optimizer_, n_steps)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Go through `iterator` once and record the mean loss and the accuracy."""
        if iterator is None:
            return
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        # Reading a loss back from a GPU waits for it.
        is_read_by_batch = any(has_batch_hooks(callback) for _, callback in self.callbacks_)
        n_batches = 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            sums += self._summary(step, batch)
            if is_read_by_batch:
                self.history.record_batch(f"{prefix}_loss", step["loss"].item())
            self.history.record_batch(f"{prefix}_batch_size", len(batch[0]))
            self.notify("on_batch_end", batch=batch, training=training, **step)
            n_batches += 1
        self.record_epoch(prefix, sums.tolist(), n_batches)

    def record_epoch(self, prefix, sums, n_batches):
        """Record the mean loss and the accuracy, and whether they are the best so far.

        Parameters
        ----------
        prefix : {"train", "valid"}
        sums : sequence of three float
            Over the epoch: of weight times loss, of the weights of the correct
            predictions, and of all weights.
        n_batches : int
        """
        loss, correct, weight = sums
        means = {f"{prefix}_loss": loss / weight, f"{prefix}_accuracy": correct / weight}
        for name, value in means.items():
            self.history.record(name, value)
            self.history.record(f"{name}_best", self._is_best(name, value))
        self.history.record(f"{prefix}_batch_count", n_batches)

    def _is_best(self, name, value):
        """Keep the best value of a metric; return whether this one is it."""
        best = self.best_values_.get(name)
        sign = 1 if name.endswith("accuracy") else -1
        if best is None or sign * value > sign * best:
            self.best_values_[name] = value
        return self.best_values_[name] is value

    def predict_proba(self, X):
        """Return the probabilities of the classes for an ImageDataset or a batch."""
        outputs = torch.cat(list(self.forward_iter(X)))
        return log_probabilities(self.criterion_, outputs.double()).softmax(dim=1).numpy()

    def _summary(self, step, batch):
        """Return the batch's weighted sums: of loss, of correct ones, and of one."""
        labels, weights = batch[1]
        correct = step["y_pred"].argmax(dim=1) == labels
        # Nothing is read back, nor sent: a GPU would be waited for in every step.
        if weights is None:
            weights = torch.ones_like(labels)
        loss = step["loss"] * len(labels)
        return torch.stack([loss, (correct * weights).sum(), weights.sum()])

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Return the mean over the batch of weight times loss."""
        labels, weights = y_true
        losses = self.criterion_(y_pred, labels)
        if losses.shape != labels.shape:
            raise ValueError(
                "The 'loss' parameter must give one loss per sample, of shape"
                f" {tuple(labels.shape)}, but gave {tuple(losses.shape)}. Losses of torch"
                " do so with reduction='none'."
            )
        return losses.mean() if weights is None else (losses * weights).mean()

    def train_step_single(self, batch, **fit_params):
        """Compute the loss of a batch and the gradients of the weights.

        Matrix products as small as the head's are summed in an order that depends on how
        many threads share them. They are done by one thread, so that a fit on one, two or
        three threads gives the same weights; convolutions do so by themselves, except on
        processors without AVX2.
        """
        with one_thread() if _CONVOLUTIONS_VARY else nullcontext():
            return self._compute_gradients(batch)

    def _compute_gradients(self, batch):
        self._set_training(True)
        images, y = batch
        if any(hooks for name, hooks in vars(self.module_).items() if "_hooks" in name):
            with one_thread():
                y_pred = self.module_(images)
                loss = self.get_loss(y_pred, y, X=images, training=True)
                loss.backward()
            return self._finish_gradients(loss, y_pred)
        features = self.module_.features(images)
        with one_thread():
            cut = features.detach().requires_grad_()
            y_pred = self.module_.head(cut)
            loss = self.get_loss(y_pred, y, X=images, training=True)
            loss.backward()
        if features.requires_grad:  # a callback may have frozen them
            features.backward(cut.grad)
        return self._finish_gradients(loss, y_pred)

    def _finish_gradients(self, loss, y_pred):
        if self.l1:
            (self.l1 * sum(p.abs().sum() for p in self.penalised())).backward()
        return {"loss": loss.detach(), "y_pred": y_pred.detach()}

    def penalised(self):
        """Return the weights whose absolute values l1 adds up: all but biases."""
        return [p for name, p in self.module_.named_parameters() if "bias" not in name]

    def train_step(self, batch, **fit_params):
        """Make one step of the optimizer."""
        step = super().train_step(batch, **fit_params)
        self.after_step()
        return step

    def after_step(self):
        """Let the schedule and the average take note of a step."""
        if self.scheduler_:
            self.scheduler_.step()
        self.average_.step()
