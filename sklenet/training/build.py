"""From the parameters of LeNet5Classifier to the net that is trained."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sklenet.images import Canvas
from sklenet.network import LOSSES, OPTIMIZERS, SCHEDULES, LeNet5
from sklenet.network.codes import make_codes
from sklenet.network.lecun1998 import check_connections
from sklenet.training.augment import make_augmenter
from sklenet.training.net import TrainingNet
from sklenet.training.state import continue_net

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
        classes=np.arange(len(classes)),
        optimizer=optimizer,
        l1=params["l1"],
        average=float(params["average"]),
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


# What may differ between two fits of the same net: the data, and the length of training.
_OF_A_FIT = {
    "class_weight",
    "early_stopping",
    "image_shape",
    "max_epochs",
    "n_iter_no_change",
    "random_state",
    "tol",
    "validation_fraction",
    "verbose",
    "warm_start",
}


def continue_training(
    earlier: TrainingNet,
    params: dict,
    before: dict,
    canvas: Canvas,
    classes: np.ndarray,
    device: torch.device,
    seeds: Sequence[int],
) -> TrainingNet:
    """Return a net that continues the training of an earlier one, in the same module.

    Parameters
    ----------
    earlier : TrainingNet
        It is returned itself unless a parameter that it was built from has changed.
    params, before : dict
        The parameters of LeNet5Classifier now, and those of `earlier`.
    canvas, classes, device, seeds
        As in `build_net`.
    """
    changed = {name for name in params if not _is_same(params[name], before[name])}
    if changed - _OF_A_FIT or earlier.device != str(device):
        net = build_net(params, canvas, classes, device, seeds)
        continue_net(net, earlier)
        net.module_.reseed_dropout(seeds[0])
        return net
    earlier.module_.reseed_dropout(seeds[0])
    earlier.max_epochs = int(params["max_epochs"])
    earlier.verbose = int(params["verbose"])
    earlier.curvature_seed, earlier.iterator_train__seed = seeds[:2]
    augmenter = make_augmenter(params["augment"], canvas, seeds[2])
    earlier.iterator_train__augment = augmenter
    earlier.reset_optimizer_settings()
    return earlier


def _is_same(value, before) -> bool:
    """Return whether two values of a parameter are the same object, or plain and equal."""
    if value is before:
        return True
    try:
        return type(value) is type(before) and bool(value == before)
    except ValueError:  # arrays, whose comparison has no truth value
        return False


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
    return torch.from_numpy(make_codes(classes, int(hidden[-1])))


_OWN = {
    "activation",
    "average",
    "batch_size",
    "classes",
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


def _optimizer_options(optimizer, params):
    """Return what only some optimizers have: weight decay, SGD's momentum, fused steps."""
    options: dict[str, Any] = {}
    exclusive = {"optimizer__foreach", "optimizer__differentiable"}
    if params["optimizer"] in ("adam", "adamw", "sgd") and not (
        exclusive & set(params["net_params"] or ())
    ):
        options["fused"] = True  # all of a step in one pass over the weights
    if params["weight_decay"]:
        options["weight_decay"] = params["weight_decay"]
    if params["optimizer"] == "sgd":
        options["momentum"] = params["momentum"]
    return options
