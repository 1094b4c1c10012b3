"""Checks of the parameters `net_params`, `optimizer` and `lr_schedule`."""

from inspect import signature
from typing import Any

from skorch import NeuralNet, NeuralNetClassifier

from sklenet.network import OPTIMIZERS
from sklenet.network.optim import check_optimization
from sklenet.training.build import ARCHITECTURE, has_option, make_optimizer_options
from sklenet.training.net import TrainingNet

_NET_PARAMETERS = {
    name
    for kind in (NeuralNet, NeuralNetClassifier, TrainingNet)
    for name in signature(kind).parameters
}

# Parameters of skorch's net that `net_params` may set, besides options of the optimizer.
_ALLOWED = ("callbacks", "compile", "torch_load_kwargs", "use_caching")
_EXAMPLES = "'callbacks' or 'optimizer__betas'"

# The parameter of LeNet5Classifier, or the argument of `fit`, that sets a parameter of the
# net, unless it has the same name.
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
    "optimizer__nesterov": "optimizer",
    "optimizer__params": "maps",
    "optimizer__weight_decay": "weight_decay",
    "predict_nonlinearity": "loss",
    "schedule": "lr_schedule",
    "train_split": "validation_fraction",
} | {f"module__{name}": name for name in ARCHITECTURE}


def check_net_params(net_params: dict | None, optimizer: Any = "adam") -> None:
    """Raise a ValueError if `net_params` has a key that it must not have.

    Parameters
    ----------
    net_params : dict or None
    optimizer : str or callable, default="adam"
        The `optimizer` parameter. The `momentum` parameter applies to "sgd" and "nesterov"
        only, so that ``net_params`` may set the momentum of other optimizers.
    """
    for name in net_params or {}:
        if not isinstance(name, str):
            raise ValueError(
                f"The 'net_params' parameter has the key {name!r}. Its keys must be names"
                f" of parameters of skorch's NeuralNet: {_EXAMPLES}."
            )
        prefix, _, option = name.partition("__")
        is_decided = name in _INSTEAD and name != "optimizer__nesterov"
        if name == "optimizer__momentum" and optimizer not in ("sgd", "nesterov"):
            is_decided = not has_option(OPTIMIZERS.get(optimizer, optimizer), "momentum")
        if name == "optimizer__nesterov" and optimizer == "nesterov":
            is_decided = True
        if prefix in _ALLOWED or (prefix == "optimizer" and option and not is_decided):
            continue
        if prefix not in _NET_PARAMETERS:
            raise ValueError(
                f"The 'net_params' parameter has {name!r}, which is not a parameter of"
                f" skorch's NeuralNet. Valid keys are, for example, {_EXAMPLES}."
            )
        instead = _INSTEAD.get(name) or _INSTEAD.get(prefix) or name
        raise ValueError(
            f"The 'net_params' parameter has {name!r}, which other parameters of"
            f" LeNet5Classifier decide: use {instead!r} instead. It accepts parameters of"
            f" skorch's net that have no other name, such as {_EXAMPLES}."
        )


def check_optimizer(params: dict) -> None:
    """Check the optimizer and the learning-rate schedule by trying them out.

    Only custom ones, and options in `net_params`, need this. Custom layers, losses and
    initializations are tried out when the net is built.

    Parameters
    ----------
    params : dict
        Parameters of LeNet5Classifier.

    Raises
    ------
    ValueError
        If the optimizer or the schedule does not work.
    TypeError
        If ``net_params`` has options that the optimizer does not accept.
    """
    choices = params["optimizer"], params["lr_schedule"]
    if all(isinstance(choice, str) for choice in choices) and not params["net_params"]:
        return
    options = make_optimizer_options(params) | {"lr": params["lr"]}
    additional = {
        name.removeprefix("optimizer__"): value
        for name, value in (params["net_params"] or {}).items()
        if name.startswith("optimizer__") and name != "optimizer__param_groups"
    }
    check_optimization(*choices, options, additional)
