"""From the parameters of LeNet5Classifier to the net that is trained."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet, NeuralNetClassifier

from sklenet.images.canvas import Canvas
from sklenet.network import OPTIMIZERS, LeNet5
from sklenet.network.lecun1998.codes import make_codes
from sklenet.network.lecun1998.layers import check_connections
from sklenet.network.losses import make_loss
from sklenet.network.optim import check_optimization, make_schedule
from sklenet.training.augment import make_augmenter
from sklenet.training.net import TrainingNet
from sklenet.training.runtime import seeded_generator
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
    options = {f"optimizer__{k}": v for k, v in _optimizer_options(params).items()}
    net = TrainingNet(
        LeNet5,
        module__input_shape=canvas.shape,
        module__n_outputs=len(classes),
        module__connections=check_connections(params["connections"], params["maps"]),
        module__codes=_codes(params, classes),
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
        # skorch and torch take no numpy integers.
        batch_size=int(params["batch_size"]),
        iterator_train__seed=seeds[1],
        iterator_train__augment=make_augmenter(params["augment"], canvas, seeds[2]),
        device=str(device),
        verbose=int(params["verbose"]),
        **(options | {"lr": params["lr"]} | (params["net_params"] or {})),
    )
    return net.initialize()


# Parameters that may change between two fits of the same net: they concern the data, or
# how long training lasts.
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


def isolate_custom_parts(params: dict, seed: int) -> AbstractContextManager[None]:
    """Return a context in which custom layers and losses draw from a seeded generator.

    Custom parts may draw from torch's global generator, whose state belongs to the caller.
    Named layers and losses do not.
    """
    names = ("activation", "pooling", "loss", "optimizer", "lr_schedule")
    are_named = all(isinstance(params[name], str) for name in names)
    return nullcontext() if are_named else seeded_generator(seed)


def _is_same(value, before) -> bool:
    """Return whether two values of a parameter are the same object, or plain and equal."""
    if value is before:
        return True
    if isinstance(value, np.ndarray) and isinstance(before, np.ndarray):
        return value.dtype == before.dtype and np.array_equal(value, before)
    try:
        return type(value) is type(before) and bool(value == before)
    except ValueError:  # arrays in containers, whose comparison has no truth value
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


_NET_PARAMETERS = {
    name
    for kind in (NeuralNet, NeuralNetClassifier, TrainingNet)
    for name in signature(kind).parameters
}

# What of skorch's net parameters of the estimator do not decide, apart from most options of
# the optimizer.
_FREE = ("callbacks", "compile", "torch_load_kwargs", "use_caching")
_EXAMPLES = "'callbacks' or 'optimizer__betas'"

# The parameters to use instead, unless they have the same name.
_INSTEAD = {
    "classes": "y",
    "criterion": "loss",
    "criterion__label_smoothing": "label_smoothing",
    "curvature_seed": "random_state",
    "dataset": "X",
    "iterator_train": "batch_size",
    "iterator_train__augment": "augment",
    "iterator_train__seed": "random_state",
    "iterator_train__shuffle": "random_state",
    "iterator_valid": "batch_size",
    "module": "maps",
    "module__codes": "output",
    "module__connections": "connections",
    "module__input_shape": "image_shape",
    "module__n_outputs": "y",
    "module__seed": "random_state",
    "optimizer__lr": "lr",
    "optimizer__momentum": "momentum",
    "optimizer__params": "maps",
    "optimizer__weight_decay": "weight_decay",
    "predict_nonlinearity": "loss",
    "schedule": "lr_schedule",
    "train_split": "validation_fraction",
} | {f"module__{name}": name for name in ARCHITECTURE}


def check_net_params(net_params: dict | None, optimizer: Any = "adam") -> None:
    """Raise a ValueError if `net_params` has what other parameters decide.

    Parameters
    ----------
    net_params : dict or None
    optimizer : str or callable
        The parameter of that name: `momentum` is an option of "sgd" alone.
    """
    for name in net_params or {}:
        if not isinstance(name, str):
            raise ValueError(
                f"The 'net_params' parameter has the key {name!r}. Its keys must be names"
                f" of parameters of skorch's NeuralNet: {_EXAMPLES}."
            )
        prefix, _, option = name.partition("__")
        is_decided = name in _INSTEAD
        if name == "optimizer__momentum" and optimizer != "sgd":
            is_decided = not _has_option(OPTIMIZERS.get(optimizer, optimizer), "momentum")
        if prefix in _FREE or (prefix == "optimizer" and option and not is_decided):
            continue
        if prefix not in _NET_PARAMETERS:
            raise ValueError(
                f"The 'net_params' parameter has {name!r}, which is no parameter of"
                f" skorch's NeuralNet. It may have, for example, {_EXAMPLES}."
            )
        instead = _INSTEAD.get(name) or _INSTEAD.get(prefix) or name
        raise ValueError(
            f"The 'net_params' parameter has {name!r}, which other parameters of"
            f" LeNet5Classifier decide: use {instead!r} instead. It is for the rest of"
            f" skorch's, such as {_EXAMPLES}."
        )


def check_callables(params: dict) -> None:
    """Raise a ValueError if an optimizer or a schedule without a name does not work.

    Layers, losses and initial weights are tried when the net is built.
    """
    choices = params["optimizer"], params["lr_schedule"]
    if all(isinstance(choice, str) for choice in choices) and not params["net_params"]:
        return
    options = _optimizer_options(params) | {"lr": params["lr"]}
    additional = {
        name.removeprefix("optimizer__"): value
        for name, value in (params["net_params"] or {}).items()
        if name.startswith("optimizer__") and name != "optimizer__param_groups"
    }
    check_optimization(*choices, options, additional)


def _optimizer_options(params: dict) -> dict[str, Any]:
    """Return what only some optimizers have: weight decay, SGD's momentum, fused steps."""
    name = params["optimizer"]
    options: dict[str, Any] = {}
    exclusive = {"optimizer__foreach", "optimizer__differentiable"}
    if name in ("adam", "adamw", "sgd") and not exclusive & set(params["net_params"] or ()):
        options["fused"] = True  # all of a step in one pass over the weights
    # Also 0: by default, AdamW and others of torch decay the weights.
    if params["weight_decay"] or _has_option(OPTIMIZERS.get(name, name), "weight_decay"):
        options["weight_decay"] = params["weight_decay"]
    if name == "sgd":
        options["momentum"] = params["momentum"]
    return options


def _has_option(optimizer: Any, name: str) -> bool:
    try:
        return name in signature(optimizer).parameters
    except (TypeError, ValueError):  # a callable without a signature
        return False
