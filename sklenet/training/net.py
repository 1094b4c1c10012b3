"""The skorch net that the estimator trains."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PrintLog

from sklenet.images import Canvas
from sklenet.network import LOSSES, OPTIMIZERS, SCHEDULES, LeNet5, Loss
from sklenet.network.codes import make_codes
from sklenet.network.lecun1998 import check_connections
from sklenet.network.sdlm import SDLM
from sklenet.training.augment import make_augmenter
from sklenet.training.batches import Batches
from sklenet.training.monitor import Monitor
from sklenet.training.patterns import by_hand, estimate_curvature, run_patterns
from sklenet.training.runtime import one_thread

# The parameters of LeNet5Classifier that are the module's.
ARCHITECTURE = (
    "activation",
    "pooling",
    "init",
    "maps",
    "dropout",
    "kernel_size",
    "hidden",
)


class TrainingNet(NeuralNet):
    """A skorch net on batches of weighted samples.

    It differs from ``skorch.NeuralNet`` in that

    - its iterators index whole tensors;
    - the criterion gives one loss per sample, to be weighted;
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
    """

    def __init__(
        self,
        module,
        *,
        l1=0.0,
        schedule=None,
        curvature_seed=0,
        iterator_train=Batches,
        iterator_valid=Batches,
        train_split=None,
        **kwargs,
    ):
        self.l1 = l1
        self.schedule = schedule
        self.curvature_seed = curvature_seed
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
        return [("epoch_timer", EpochTimer()), ("print_log", PrintLog())]

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
        n_steps = epochs * len(train_batches)
        self.scheduler_ = self.schedule and self.schedule(self.optimizer_, n_steps)
        gradient = by_hand(self)
        datasets = {"dataset_train": X, "dataset_valid": valid}
        for _ in range(epochs):
            monitor.on_epoch_begin(self)
            self.notify("on_epoch_begin", **datasets)
            if isinstance(self.optimizer_, SDLM):
                estimate_curvature(self, X)
            if gradient:
                run_patterns(self, gradient, train_batches)
            else:
                self.run_single_epoch(train_batches, True, "train", self.train_step)
            self.run_single_epoch(valid_batches, False, "valid", self.validation_step)
            self.history.record("lr", self.optimizer_.param_groups[0]["lr"])
            asked_to_stop = False
            try:
                self.notify("on_epoch_end", **datasets)
            except KeyboardInterrupt:  # so skorch's callbacks ask
                asked_to_stop = True
            if monitor.end_epoch(self) or asked_to_stop:
                break
        monitor.finished = True
        return self

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Go through `iterator` once and record the mean loss and the accuracy."""
        if iterator is None:
            return
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            sums += self._summary(step, batch)
            self.notify("on_batch_end", batch=batch, training=training, **step)
        loss, correct, weight = sums.tolist()
        self.history.record(f"{prefix}_loss", loss / weight)
        self.history.record(f"{prefix}_accuracy", correct / weight)

    def _summary(self, step, batch):
        """Return the batch's weighted sums: of loss, of correct ones, and of one."""
        labels, weights = batch[1]
        correct = step["y_pred"].argmax(dim=1) == labels
        total = len(labels) if weights is None else weights.sum()
        correct = correct.sum() if weights is None else (correct * weights).sum()
        loss = step["loss"] * len(labels)
        return torch.stack(
            [torch.as_tensor(v, device=loss.device) for v in (loss, correct, total)]
        )

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
        three threads gives the same weights; convolutions do so by themselves.
        """
        self._set_training(True)
        images, y = batch
        features = self.module_.features(images)
        with one_thread():
            cut = features.detach().requires_grad_()
            y_pred = self.module_.head(cut)
            loss = self.get_loss(y_pred, y, X=images, training=True)
            loss.backward()
        features.backward(cut.grad)
        if self.l1:
            weights = (
                p for name, p in self.module_.named_parameters() if "bias" not in name
            )
            (self.l1 * sum(p.abs().sum() for p in weights)).backward()
        return {"loss": loss.detach(), "y_pred": y_pred.detach()}

    def train_step(self, batch, **fit_params):
        """Make one step of the optimizer and of the schedule."""
        step = super().train_step(batch, **fit_params)
        if self.scheduler_:
            self.scheduler_.step()
        return step


def build_net(
    params: dict,
    canvas: Canvas,
    classes: np.ndarray,
    device: torch.device,
    seeds: Sequence[int] = (0, 0, 0),
) -> TrainingNet:
    """Return an initialized net from the parameters of a LeNet5Classifier.

    Parameters
    ----------
    params : dict
        What ``get_params`` gives.
    canvas : Canvas
    classes : ndarray of shape (n_classes,)
    device : torch.device
    seeds : sequence of int
        Of the module, of the order of the samples, and of augmentation.
    """
    optimizer = OPTIMIZERS.get(params["optimizer"], params["optimizer"])
    options = {
        f"optimizer__{k}": v for k, v in _optimizer_options(optimizer, params).items()
    }
    net = TrainingNet(
        LeNet5,
        module__input_shape=canvas.shape,
        module__n_outputs=len(classes),
        module__connections=check_connections(params["connections"], params["maps"]),
        module__codes=_codes(params, classes),
        **{f"module__{name}": params[name] for name in ARCHITECTURE},
        module__seed=seeds[0],
        criterion=make_loss(params),
        optimizer=optimizer,
        l1=params["l1"],
        curvature_seed=seeds[0],
        schedule=SCHEDULES.get(params["lr_schedule"], params["lr_schedule"]),
        max_epochs=int(params["max_epochs"]),
        # skorch and torch take no numpy integers.
        batch_size=int(params["batch_size"]),
        iterator_train__seed=seeds[1],
        iterator_train__augment=make_augmenter(params["augment"], canvas, seeds[2]),
        device=str(device),
        verbose=int(params["verbose"]),
        **(options | {"lr": params["lr"]} | (params["net_params"] or {})),
    )
    return net.initialize()


def _codes(params: dict, classes: np.ndarray) -> torch.Tensor | None:
    """Return the codes of the classes, where the output is one of distances."""
    if params["output"] == "linear":
        return None
    hidden = list(params["hidden"])
    if not hidden:
        raise ValueError(
            "The 'output' parameter is 'rbf', which compares the last hidden layer with"
            " codes, but 'hidden' has no layer. The paper has (120, 84)."
        )
    return torch.from_numpy(make_codes(classes, hidden[-1]))


_OWN = {
    "activation",
    "batch_size",
    "criterion",
    "curvature_seed",
    "dataset",
    "device",
    "iterator_train",
    "iterator_valid",
    "l1",
    "lr",
    "max_epochs",
    "module",
    "optimizer",
    "schedule",
    "train_split",
    "verbose",
    "warm_start",
}


def check_net_params(net_params: dict | None) -> None:
    """Raise a ValueError if `net_params` has what other parameters decide."""
    for name in net_params or {}:
        if name in _OWN or name.startswith(("module__", "iterator_", "criterion__")):
            raise ValueError(
                f"The 'net_params' parameter has {name!r}, which other parameters of"
                " LeNet5Classifier decide. It is for the rest of skorch's, such as"
                " 'callbacks' or 'optimizer__betas'."
            )


def make_loss(params: dict) -> torch.nn.Module:
    """Return the criterion that the parameters name."""
    loss = params["loss"]
    return loss() if callable(loss) else LOSSES[loss](params["label_smoothing"])


def log_probabilities(criterion: torch.nn.Module, outputs: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities, but for a constant per row, as the criterion has them."""
    return getattr(criterion, "log_probabilities", Loss.log_probabilities)(outputs)


def _optimizer_options(optimizer, params):
    """Return what only some optimizers have: weight decay, SGD's momentum, fused steps."""
    options: dict[str, Any] = {}
    if params["optimizer"] in ("adam", "adamw", "sgd"):
        options["fused"] = True  # all of a step in one pass over the weights
    if params["weight_decay"]:
        options["weight_decay"] = params["weight_decay"]
    if params["optimizer"] == "sgd":
        options["momentum"] = params["momentum"]
    return options
