"""A fitted estimator in a file, and back."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from safetensors import safe_open
from sklearn.utils.validation import check_is_fitted

from sklenet.saved import FORMAT, VERSION, Document, Fitted, checksum, replace
from sklenet.training.build import build_net
from sklenet.training.runtime import resolve_device


def save(estimator, path) -> None:
    """Write a fitted estimator to `path`, whole or not at all.

    Raises
    ------
    ValueError
        If a parameter is no plain value, such as a callable, or a label is an object.
    OSError
        If the file cannot be written; one that was there is as it was.
    """
    check_is_fitted(estimator)
    state = estimator.__getstate__()
    net, classes = state["_net_state"], state["classes_"]
    _, keys, position, has_gauss, gauss = state["_random_state"].get_state()
    tensors = {f"weights/{name}": array for name, array in net["module"].items()}
    for k, values in net["optimizer"]["state"].items():
        for name, value in values.items():
            if value is not None:
                tensors[f"optimizer/{k}/{name}"] = np.asarray(value)
    tensors["random_state"] = keys
    are_text = classes.dtype.kind in "UO"
    if not are_text:
        tensors["classes"] = classes
    elif not all(isinstance(label, str) for label in classes):
        raise ValueError("Labels that are objects cannot be saved: use text or numbers.")
    names = state.get("feature_names_in_")
    fitted = Fitted(
        classes=classes.tolist() if are_text else None,
        classes_are_objects=classes.dtype.kind == "O",
        image_shape=list(state["image_shape_"]),
        pixel_range=list(state["pixel_range_"]),
        n_features_in=state["n_features_in_"],
        feature_names_in=None if names is None else list(names),
        n_iter=state["n_iter_"],
        best_epoch=state["best_epoch_"],
        interrupted=state["interrupted_"],
        history=state["history_"],
        position=position,
        has_gauss=has_gauss,
        gauss=gauss,
    )
    params, fit_params = (
        {name: _plain(name, value) for name, value in group.items()}
        for group in (estimator.get_params(deep=False), state["_fit_params"])
    )
    document = json.dumps(
        {
            "sklenet": version("sklenet"),
            "params": params,
            "fit_params": fit_params,
            "fitted": fitted.model_dump(),
        }
    )
    metadata = {"format": FORMAT, "version": VERSION, "document": document}
    metadata["sha256"] = checksum(document, tensors)
    replace(Path(path), safetensors.numpy.save(tensors, metadata))


def _plain(name: str, value):
    """Return a parameter as JSON has it: tuples and arrays are lists."""
    if name == "random_state" and isinstance(value, np.random.RandomState):
        return None  # where it has come to is saved by itself
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(name, item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: _plain(name, item) for key, item in value.items()}
        # Such as class weights: JSON's keys are text.
        return {"pairs": [_plain(name, pair) for pair in value.items()]}
    raise ValueError(
        f"The {name!r} parameter is {value!r}, and only plain values can be saved: use"
        " skops or pickle, or keep the module, `to_torch()`."
    )


class _Refused(Exception):
    """What is wrong with a file, in words for who wants to load it."""


def load(path, kind: type):
    """Return the estimator of type `kind` that `save` wrote to `path`.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is something else, damaged, of a later version, or does not fit together.
    """
    path = Path(path)
    path.stat()  # complains as open() does
    if not path.is_file():
        raise ValueError(f"{path} is not a file.")
    path.open("rb").close()
    try:
        with safe_open(path, framework="numpy") as file:
            state = _read(file, kind)
            estimator = kind()
            estimator.__setstate__(state)
    except _Refused as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:  # whatever a damaged or a hostile file brings about
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(
            f"{path}: not a file of LeNet5Classifier.save, or a damaged one ({reason})."
        ) from error
    return estimator


def _read(file, kind: type) -> dict:
    """Return the state of the estimator; nothing large is read before it is expected."""
    metadata = file.metadata() or {}
    if metadata.get("format") != FORMAT:
        raise _Refused("not a file of LeNet5Classifier.save.")
    if metadata["version"] != VERSION:
        raise _Refused(
            f"the version of its format is {metadata['version']!r}; this sklenet reads"
            f" {VERSION!r}, a newer one may read this."
        )
    document = Document.model_validate_json(metadata["document"])
    fitted = document.fitted
    params, fit_params = (
        _check_params(kind, group) for group in (document.params, document.fit_params)
    )
    if fitted.classes is None:
        classes = file.get_tensor("classes")
    else:
        classes = np.array(fitted.classes, object if fitted.classes_are_objects else str)
    if classes.ndim != 1 or len(np.unique(classes)) < len(classes):
        raise _Refused("its labels are not different ones.")
    try:
        device = resolve_device(params["device"])
    except ValueError:  # that of another machine
        device = torch.device("cpu")

    keys, position, has_gauss, gauss = (
        file.get_tensor("random_state"),
        fitted.position,
        fitted.has_gauss,
        fitted.gauss,
    )
    random_state = np.random.RandomState()
    random_state.set_state(("MT19937", keys, position, has_gauss, gauss))
    state = params | {
        "classes_": classes,
        "image_shape_": tuple(fitted.image_shape),
        "pixel_range_": tuple(fitted.pixel_range),
        "n_features_in_": fitted.n_features_in,
        "n_iter_": fitted.n_iter,
        "best_epoch_": fitted.best_epoch,
        "interrupted_": fitted.interrupted,
        "history_": fitted.history,
        "loss_curve_": [row["train_loss"] for row in fitted.history],
        "device_": str(device),
        "_fit_params": fit_params,
        "_random_state": random_state,
    }
    if fitted.feature_names_in is not None:
        names = np.array(fitted.feature_names_in, dtype=object)
        state["feature_names_in_"] = names
        if len(names) != fitted.n_features_in:
            raise _Refused("it has more, or fewer, names of features than features.")
    state["_net_state"] = _read_net(file, kind, state)
    names = file.keys()
    tensors = {name: file.get_tensor(name) for name in names}
    if metadata["sha256"] != checksum(metadata["document"], tensors):
        raise _Refused("damaged: its checksum is of other content.")
    return state


def _check_params(kind: type, group: dict[str, Any]) -> dict[str, Any]:
    """Return a group of parameters, those that the file does not have by default."""
    defaults = kind().get_params(deep=False)
    if unknown := sorted(set(group) - set(defaults)):
        raise _Refused(f"LeNet5Classifier has no parameter {unknown[0]!r}.")
    params = {name: _restored(value, defaults[name]) for name, value in group.items()}
    kind(**params | {"device": "cpu"})._check_parameters()
    return defaults | params


def _restored(value, default):
    if isinstance(value, dict) and set(value) == {"pairs"}:
        return dict(map(tuple, value["pairs"]))
    return tuple(value) if isinstance(default, tuple) and value is not None else value


def _read_net(file, kind: type, state: dict) -> dict:
    """Return weights and the optimizer's state, if they are those of this network."""
    described = kind()
    vars(described).update(state)
    # Its own first weights are of no use, and would be drawn whatever their number.
    params = state["_fit_params"] | {"init": lambda layer, generator: None}
    canvas, classes = described._canvas(), state["classes_"]
    net = build_net(params, canvas, classes, torch.device("cpu"))
    parameters = [tuple(p.shape) for p in net.module_.parameters()]
    missing = {name: tuple(p.shape) for name, p in net.module_.state_dict().items()}
    weights: dict[str, np.ndarray] = {}
    optimizer: dict[int, dict[str, np.ndarray]] = {}
    paths = file.keys()
    for path in paths:
        shape = tuple(file.get_slice(path).get_shape())
        kind_of_tensor, _, name = path.partition("/")
        if kind_of_tensor == "weights" and missing.pop(name, None) == shape:
            weights[name] = file.get_tensor(path)
            if weights[name].dtype != np.float32:
                raise _Refused(f"{path} is of {weights[name].dtype}.")
        elif kind_of_tensor == "optimizer":
            k, _, key = name.partition("/")
            if shape not in ((), parameters[int(k)]):
                raise _Refused(f"{path} has shape {shape}.")
            optimizer.setdefault(int(k), {})[key] = file.get_tensor(path)
        elif path not in ("random_state", "classes"):
            raise _Refused(f"{path}, of shape {shape}, is not of this network.")
    if missing:
        raise _Refused(f"weights/{min(missing)} is not there.")
    groups = net.optimizer_.state_dict()["param_groups"]
    return {
        "module": weights,
        "optimizer": {"state": optimizer, "param_groups": groups},
    }
