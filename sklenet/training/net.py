"""The skorch net that the estimator trains."""

from contextlib import nullcontext

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochTimer

from sklenet.network.lecun1998.sdlm import SDLM
from sklenet.network.losses import compute_log_probabilities
from sklenet.training.average import TailAverage
from sklenet.training.batches import Batches
from sklenet.training.callbacks import EpochLog, has_batch_hooks, is_stop_request
from sklenet.training.epoch import (
    estimate_curvature,
    make_gradient,
    record_as_one_batch,
    train_by_kernels,
    validate_by_kernels,
)
from sklenet.training.replay import ReplayedSteps, can_be_replayed
from sklenet.training.runtime import one_thread
from sklenet.training.step_bar import StepBar

_CONVOLUTIONS_VARY = torch.backends.cpu.get_cpu_capability() == "DEFAULT"


class TrainingNet(NeuralNetClassifier):
    """A skorch net that is trained on batches of weighted samples.

    It differs from ``skorch.NeuralNetClassifier`` in that

    - its iterators index whole tensors;
    - the criterion returns one loss per sample, which is multiplied by the sample weight;
    - labels are indices of classes, and callbacks get batches without weights;
    - losses are read back from the device once per epoch rather than once per step;
    - small matrix products use a single thread, so that the weights do not depend on the
      number of threads if there are only a few.

    Parameters
    ----------
    l1 : float, default=0.0
        Strength of the L1 penalty, which excludes biases. Reported losses do not include
        the penalty.
    schedule : callable, optional
        Returns a torch learning-rate scheduler, given an optimizer and the number of steps.
        If None, only skorch's callbacks can change the learning rate.
    curvature_seed : int, default=0
        Seed of the samples on which SDLM estimates second derivatives.
    average : float, default=0.0
        Fraction of the steps, at the end, over which the weights are averaged.

    Attributes
    ----------
    stop_training_ : bool
        Set to True by callbacks to end training after the current epoch.
    is_interrupted_ : bool
        True during training, and afterwards if an exception has ended it.
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
        # skorch's callbacks that record losses are not needed: `record_epoch` does so.
        return [("epoch_timer", EpochTimer()), ("print_log", EpochLog())]

    def initialize_optimizer(self, *args, **kwargs):
        """Make the optimizer, and keep the settings with which each fit starts."""
        super().initialize_optimizer(*args, **kwargs)
        self.optimizer_settings_ = [
            {key: value for key, value in group.items() if key != "params"}
            for group in self.optimizer_.param_groups
        ]
        return self

    def initialize_history(self):
        """Start with an empty history."""
        super().initialize_history()
        self.best_values_ = {}
        return self

    def continue_history(self, rows):
        """Start with the history of an earlier net.

        Parameters
        ----------
        rows : sequence of dict
            Entries of the earlier history, one per epoch.
        """
        self.initialize_history()
        # skorch's checkpoints read the last batch of an epoch.
        self.history.extend({"batches": [{}]} | row for row in rows)
        for row in rows:
            for name in ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy"):
                if name in row:
                    self._is_best(name, row[name])

    def reset_optimizer_settings(self):
        """Undo changes by schedules and callbacks, such as those of the learning rate."""
        groups = self.optimizer_.param_groups
        for group, settings in zip(groups, self.optimizer_settings_, strict=True):
            params = group["params"]
            group.clear()
            group.update(settings | {"params": params})

    def notify(self, method_name, **kwargs):
        """Notify the net and its callbacks; batches are passed as (images, labels)."""
        if "batch" in kwargs:
            images, (labels, _) = kwargs["batch"]
            kwargs["batch"] = images, labels
        super().notify(method_name, **kwargs)

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Prepare the flags by which callbacks, and this net, end training."""
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self.stop_training_ = False
        self.is_interrupted_ = True

    def fit_loop(self, X, y=None, epochs=None, *, valid=None, callbacks=(), **fit_params):
        """Train for a number of epochs, or until a callback sets ``stop_training_``.

        Parameters
        ----------
        X : ImageDataset
            Training data.
        epochs : int, default=None
            Number of epochs; None is ``max_epochs``.
        valid : ImageDataset, default=None
            Validation data.
        callbacks : sequence of skorch callbacks, default=()
            Callbacks of this call only, of which the net keeps no reference. They are
            notified before the net's own callbacks when an epoch begins and when training
            ends, and after them when an epoch ends.
        """
        epochs = self.max_epochs if epochs is None else epochs
        train_batches = self.get_iterator(X, training=True)
        valid_batches = valid and self.get_iterator(valid, training=False)
        replayed_steps = ReplayedSteps(self, train_batches)
        self.begin_steps(epochs * len(train_batches))
        self.step_bar_ = StepBar(epochs, len(train_batches), self.verbose)
        self.n_earlier_epochs_ = len(self.history)
        try:
            for _ in range(epochs):
                self._run_epoch(X, replayed_steps, valid, valid_batches, callbacks)
                if self.stop_training_:
                    break
            self.is_interrupted_ = False
        finally:
            replayed_steps.close()
            self.step_bar_.close()
            # The net's own callbacks, which may save the weights, come after this.
            for callback in callbacks:
                callback.on_train_end(self)
        return self

    def _run_epoch(self, data, replayed_steps, valid, valid_batches, callbacks):
        """Train and validate for an epoch."""
        datasets = {"dataset_train": data, "dataset_valid": valid}
        for callback in callbacks:
            callback.on_epoch_begin(self, **datasets)
        self.step_bar_.begin_epoch()
        with self.step_bar_.hide():
            self.notify("on_epoch_begin", **datasets)
        self._train_epoch(data, replayed_steps)
        if valid is not None and not validate_by_kernels(self, valid):
            self.run_single_epoch(valid_batches, False, "valid", self.validation_step)
        self.history.record("lr", self.optimizer_.param_groups[0]["lr"])
        is_interrupted = False
        try:
            with self.step_bar_.hide():
                self.notify("on_epoch_end", **datasets)
        except KeyboardInterrupt:
            is_interrupted = True
        # The epoch counts even then, because it has been trained and validated.
        for callback in callbacks:
            callback.on_epoch_end(self, **datasets)
        if is_interrupted:
            if not is_stop_request(self):
                raise KeyboardInterrupt
            self.stop_training_ = True

    def _train_epoch(self, data, replayed_steps):
        """Make a step after every batch, by the fastest method that applies."""
        batches = replayed_steps.batches
        self.average_.take_back()
        if isinstance(self.optimizer_, SDLM):
            estimate_curvature(self, data)
        # Determined in every epoch, because a callback may have changed the module.
        gradient = make_gradient(self)
        if gradient:
            train_by_kernels(self, gradient, batches)
        elif can_be_replayed(self, batches):
            sums = replayed_steps.run()
            record_as_one_batch(self, "train", sums, len(batches.dataset))
        else:
            self.run_single_epoch(batches, True, "train", self.train_step)
        self.average_.lend()

    def begin_steps(self, n_steps):
        """Prepare the learning-rate schedule and weight averaging for `n_steps` steps."""
        self.average_ = TailAverage(self.module_, n_steps, self.average)
        self.step_bar_ = StepBar(1, n_steps, verbose=0)  # shown by `fit_loop` only
        self.scheduler_ = self.schedule and self.schedule(self.optimizer_, n_steps)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Iterate over the batches once, and record the mean loss and the accuracy."""
        if iterator is None:
            return
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        # Only if needed, because reading a loss back from a GPU waits for the step.
        records_batches = any(has_batch_hooks(callback) for _, callback in self.callbacks_)
        n_batches = 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            sums += self.compute_sums(step, batch)
            if records_batches:
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
            Sums over the epoch: of weight times loss, of the weights of correctly
            classified samples, and of the weights of all samples.
        n_batches : int
            Number of batches of the epoch.
        """
        loss, correct, weight = sums
        means = {f"{prefix}_loss": loss / weight, f"{prefix}_accuracy": correct / weight}
        for name, value in means.items():
            self.history.record(name, value)
            self.history.record(f"{name}_best", self._is_best(name, value))
        self.history.record(f"{prefix}_batch_count", n_batches)

    def _is_best(self, name, value):
        """Update the best value of a metric; return whether `value` is the best so far."""
        best = self.best_values_.get(name)
        sign = 1 if name.endswith("accuracy") else -1
        if best is None or sign * value > sign * best:
            self.best_values_[name] = value
        return self.best_values_[name] is value

    def predict_proba(self, X):
        """Return class probabilities for an ImageDataset or a batch."""
        outputs = torch.cat(list(self.forward_iter(X)))
        return (
            compute_log_probabilities(self.criterion_, outputs.double())
            .softmax(dim=1)
            .numpy()
        )

    def compute_sums(self, step, batch):
        """Return the sums of a batch that `record_epoch` adds up, as a tensor."""
        labels, weights = batch[1]
        correct = step["y_pred"].argmax(dim=1) == labels
        # Nothing is copied between host and device, which would wait for every step.
        if weights is None:
            weights = torch.ones_like(labels)
        loss = step["loss"] * len(labels)
        return torch.stack([loss, (correct * weights).sum(), weights.sum()])

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Return the mean of weight times loss over the batch."""
        labels, weights = y_true
        losses = self.criterion_(y_pred, labels)
        if losses.shape != labels.shape:
            raise ValueError(
                "The 'loss' parameter must give one loss per sample, of shape"
                f" {tuple(labels.shape)}. Got shape {tuple(losses.shape)}. Use"
                " reduction='none' for losses of torch."
            )
        return losses.mean() if weights is None else (losses * weights).mean()

    def train_step_single(self, batch, **fit_params):
        """Compute the loss of a batch and the gradients of the weights.

        The order of summation in small matrix products, such as those of the head, depends
        on the number of threads. A single thread computes them, so that one, two or three
        threads give the same weights. Convolutions do not depend on the number of threads,
        except on processors without AVX2.
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
        if features.requires_grad:  # unless a callback has frozen the layers
            features.backward(cut.grad)
        return self._finish_gradients(loss, y_pred)

    def _finish_gradients(self, loss, y_pred):
        if self.l1:
            (self.l1 * sum(p.abs().sum() for p in self.get_penalized_weights())).backward()
        return {"loss": loss.detach(), "y_pred": y_pred.detach()}

    def get_penalized_weights(self):
        """Return the weights to which the L1 penalty applies: all except biases."""
        return [p for name, p in self.module_.named_parameters() if "bias" not in name]

    def train_step(self, batch, **fit_params):
        """Make a step of the optimizer."""
        step = super().train_step(batch, **fit_params)
        self.after_step()
        return step

    def after_step(self):
        """Update the learning-rate schedule and the average of the weights."""
        if self.scheduler_:
            self.scheduler_.step()
        self.average_.step()
        self.step_bar_.step()
