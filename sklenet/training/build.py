"""Build the skorch net, given the parameters of LeNet5Classifier."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from typing import Any

import numpy as np
import torch

from sklenet.images.canvas import Canvas
from sklenet.network import OPTIMIZERS, LeNet5
from sklenet.network.lecun1998.codes import make_codes
from sklenet.network.lecun1998.layers import check_connections
from sklenet.network.losses import make_loss
from sklenet.network.optim import make_schedule
from sklenet.training.augment import make_augmenter
from sklenet.training.net import TrainingNet
from sklenet.training.runtime import one_thread, seeded_generators
from sklenet.training.state import continue_net

# Parameters of LeNet5Classifier that are passed on to the module as they are.
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
    """Return an initialized net.

    Parameters
    ----------
    params : dict
        Parameters of LeNet5Classifier.
    canvas : Canvas
    classes : ndarray of shape (n_classes,)
    device : torch.device
    seeds : sequence of three int, default=(0, 0, 0)
        Seeds of the module, of the order of the samples, and of augmentation.

    Returns
    -------
    TrainingNet
    """
    optimizer = OPTIMIZERS.get(params["optimizer"], params["optimizer"])
    options = {f"optimizer__{k}": v for k, v in make_optimizer_options(params).items()}
    net = TrainingNet(
        LeNet5,
        module__input_shape=canvas.shape,
        module__n_outputs=len(classes),
        module__connections=check_connections(params["connections"], params["maps"]),
        module__codes=_make_class_codes(params, classes),
        **{f"module__{name}": params[name] for name in ARCHITECTURE},
        module__seed=seeds[0],
        criterion=make_loss(params["loss"], params["label_smoothing"], len(classes)),
        classes=np.arange(len(classes)),
        optimizer=optimizer,
        l1=params["l1"],
        average=float(params["average"]),
        curvature_seed=seeds[0],
        schedule=make_schedule(params["lr_schedule"]),
        max_epochs=int(params["max_epochs"]),
        # skorch and torch do not accept numpy integers.
        batch_size=int(params["batch_size"]),
        iterator_train__seed=seeds[1],
        iterator_train__augment=make_augmenter(params["augment"], canvas, seeds[2]),
        device=str(device),
        verbose=int(params["verbose"]),
        **(options | {"lr": params["lr"]} | (params["net_params"] or {})),
    )
    with one_thread():  # the decomposition of orthogonal weights depends on the number
        return net.initialize()


# Parameters that may change while the same net continues training: they concern the data,
# the length of training, or predictions.
_OF_A_SINGLE_FIT = {
    "class_weight",
    "early_stopping",
    "framing",
    "image_shape",
    "max_epochs",
    "n_iter_no_change",
    "random_state",
    "tol",
    "validation_fraction",
    "verbose",
    "views",
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
    """Return a net that continues training the module of an earlier net.

    Parameters
    ----------
    earlier : TrainingNet
        Returned itself unless a parameter that it was built from has changed.
    params : dict
        Parameters of LeNet5Classifier.
    before : dict
        Parameters with which `earlier` was trained.
    canvas, classes, device, seeds
        See `build_net`.

    Returns
    -------
    TrainingNet
    """
    changed = {name for name in params if not _is_unchanged(params[name], before[name])}
    if changed - _OF_A_SINGLE_FIT or earlier.device != str(device):
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


def isolate_custom_parts(
    params: dict, seed: int, device: torch.device
) -> AbstractContextManager[None]:
    """Return a context manager that protects torch's global generators from custom parts.

    Custom layers, losses, optimizers and schedules may draw random numbers from them.
    Inside the context they are seeded, and their states are restored afterwards. Named
    parts do not use them, so that nothing is done if all parts are given by name.

    Parameters
    ----------
    params : dict
        Parameters of LeNet5Classifier.
    seed : int
    device : torch.device
        The device on which the network is.
    """
    names = ("activation", "pooling", "loss", "optimizer", "lr_schedule")
    are_named = all(isinstance(params[name], str) for name in names)
    return nullcontext() if are_named else seeded_generators(seed, device)


def _is_unchanged(value, before) -> bool:
    """Return whether two values of a parameter are identical or equal."""
    if value is before:
        return True
    if isinstance(value, np.ndarray) and isinstance(before, np.ndarray):
        return value.dtype == before.dtype and np.array_equal(value, before)
    try:
        return type(value) is type(before) and bool(value == before)
    except ValueError:  # arrays in a list or dict: their comparison has no truth value
        return False


def _make_class_codes(params: dict, classes: np.ndarray) -> torch.Tensor | None:
    """Return the target codes of the classes for ``output="rbf"``, otherwise None."""
    if params["output"] == "linear":
        return None
    hidden = list(params["hidden"])
    if not hidden:
        raise ValueError(
            "The 'output' parameter is 'rbf', which compares the last hidden layer with"
            " target codes, but 'hidden' has no layer. The 1998 paper uses (120, 84)."
        )
    return torch.from_numpy(make_codes(classes, int(hidden[-1])))


def make_optimizer_options(params: dict) -> dict[str, Any]:
    """Return the arguments of the optimizer, except for the learning rate.

    Not all optimizers have a weight decay, momentum or fused steps.

    Parameters
    ----------
    params : dict
        Parameters of LeNet5Classifier.
    """
    name = params["optimizer"]
    options: dict[str, Any] = {}
    exclusive = {"optimizer__foreach", "optimizer__differentiable"}
    is_fused = name in ("adam", "adamw", "sgd", "nesterov")
    if is_fused and not exclusive & set(params["net_params"] or ()):
        options["fused"] = True  # a step is then one pass over all weights
    # Passed even if it is 0, because some optimizers, such as AdamW, have another default.
    if params["weight_decay"] or has_option(OPTIMIZERS.get(name, name), "weight_decay"):
        options["weight_decay"] = params["weight_decay"]
    if name in ("sgd", "nesterov"):
        options["momentum"] = params["momentum"]
    if name == "nesterov":
        options["nesterov"] = True
    return options


def has_option(optimizer: Any, name: str) -> bool:
    """Return whether an optimizer has an argument of this name."""
    try:
        return name in signature(optimizer).parameters
    except (TypeError, ValueError):  # a callable without a signature
        return False
