"""A fitted estimator in a file, and back."""

import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from safetensors import safe_open
from sklearn import config_context
from sklearn.utils.validation import check_is_fitted

from sklenet.images import infer_image_shape
from sklenet.network.lenet5 import layer_name
from sklenet.saved import (
    FORMAT,
    READABLE_VERSIONS,
    SAVED_NET_PARAMS,
    VERSION,
    Document,
    Fitted,
    checksum,
    from_json,
    replace,
    to_json,
)
from sklenet.training.build import build_net
from sklenet.training.runtime import resolve_device

_REQUESTS = ("fit", "partial_fit", "score")


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
    random = state["_random_state"].get_state(legacy=False)
    if random["bit_generator"] != "MT19937":
        raise ValueError(
            f"The 'random_state' parameter is a {random['bit_generator']}, of which only"
            " 'MT19937' can be saved."
        )
    tensors = {f"weights/{name}": array for name, array in net["module"].items()}
    for k, values in net["optimizer"]["state"].items():
        for name, value in values.items():
            if value is not None:
                tensors[f"optimizer/{k}/{name}"] = np.asarray(value)
    tensors["random_state"] = random["state"]["key"]
    are_text = classes.dtype.kind in "UO"
    if not are_text:
        tensors["classes"] = classes.astype(classes.dtype.newbyteorder("<"))
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
        position=random["state"]["pos"],
        has_gauss=random["has_gauss"],
        gauss=random["gauss"],
    )
    params, fit_params = (
        _params_to_json(group)
        for group in (estimator.get_params(deep=False), state["_fit_params"])
    )
    requests = estimator.get_metadata_routing()
    document = json.dumps(
        {
            "sklenet": version("sklenet"),
            "params": params,
            "fit_params": fit_params,
            "requests": {name: getattr(requests, name).requests for name in _REQUESTS},
            "fitted": fitted.model_dump(),
        }
    )
    metadata = {"format": FORMAT, "version": VERSION, "document": document}
    metadata["sha256"] = checksum(document, tensors)
    replace(Path(path), safetensors.numpy.save(tensors, metadata))


def _params_to_json(params: dict[str, Any]) -> dict[str, Any]:
    if isinstance(params["random_state"], np.random.RandomState):
        params = params | {"random_state": None}  # where it has come to is saved by itself
    if others := _unsaved_net_params(params["net_params"]):
        raise ValueError(
            f"The 'net_params' parameter has {others[0]!r}: only what begins with"
            f" {SAVED_NET_PARAMS!r} can be saved. Use skops or pickle."
        )
    return {name: to_json(name, value) for name, value in params.items()}


def _unsaved_net_params(net_params: dict | None) -> list[str]:
    return [key for key in net_params or {} if not key.startswith(SAVED_NET_PARAMS)]


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
            state, requests = _read(file, kind)
        estimator = kind()
        estimator.__setstate__(state)
        with config_context(enable_metadata_routing=True):
            for method, asked in requests.items():
                getattr(estimator, f"set_{method}_request")(**asked)
    except _Refused as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:  # whatever a damaged or a hostile file brings about
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(
            f"{path}: not a file of LeNet5Classifier.save, or a damaged one ({reason})."
        ) from error
    return estimator


def _read(file, kind: type) -> tuple[dict, dict]:
    """Return the estimator's state, and what it requests; nothing large is made first."""
    metadata = file.metadata() or {}
    if metadata.get("format") != FORMAT:
        raise _Refused("not a file of LeNet5Classifier.save.")
    if metadata["version"] not in READABLE_VERSIONS:
        raise _Refused(
            f"the version of its format is {metadata['version']!r}; this sklenet reads"
            f" {' and '.join(map(repr, READABLE_VERSIONS))}, a newer one may read this."
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
    if classes.ndim != 1 or not np.array_equal(np.unique(classes), classes):
        raise _Refused("its labels are not different ones in order.")
    shape = tuple(fitted.image_shape)
    if fitted.n_features_in != math.prod(shape) and (
        params["image_shape"] is not None
        or infer_image_shape(fitted.n_features_in) != shape
    ):
        raise _Refused(f"images of {shape} do not have {fitted.n_features_in} pixels.")
    low, high = fitted.pixel_range
    if low > high:
        raise _Refused(f"its pixels go from {low} to {high}.")
    try:
        device = resolve_device(params["device"])
    except ValueError:  # that of another machine
        device = torch.device("cpu")

    random_state = np.random.RandomState()
    keys = file.get_tensor("random_state")
    random_state.set_state(
        ("MT19937", keys, fitted.position, fitted.has_gauss, fitted.gauss)
    )
    state = params | {
        "classes_": classes,
        "image_shape_": shape,
        "pixel_range_": (low, high),
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
    state["_net_state"], tensors = _read_net(file, kind, state)
    if metadata["sha256"] != checksum(metadata["document"], tensors):
        raise _Refused("damaged: its checksum is of other content.")
    return state, document.requests


def _check_params(kind: type, group: dict[str, Any]) -> dict[str, Any]:
    """Return a group of parameters, those that the file does not have by default."""
    defaults = kind().get_params(deep=False)
    if unknown := sorted(set(group) - set(defaults)):
        raise _Refused(f"LeNet5Classifier has no parameter {unknown[0]!r}.")
    params = {name: from_json(value) for name, value in group.items()}
    if others := _unsaved_net_params(params.get("net_params")):
        raise _Refused(f"'net_params' has {others[0]!r}, which no file may have.")
    kind(**params | {"device": "cpu"})._check_parameters()
    return defaults | params


def _check_sizes(file, state: dict) -> None:
    """Raise if the parameters ask for layers of other sizes than the file has."""
    maps, hidden = (list(state["_fit_params"][name]) for name in ("maps", "hidden"))
    sizes = {"features.C1": maps[0], "features.C3": maps[1]}
    sizes |= {f"head.{layer_name(k)}": n for k, n in enumerate(hidden)}
    for name, size in sizes.items():
        bias = f"weights/{name}.bias"
        (found,) = file.get_slice(bias).get_shape()
        if found != size:
            raise _Refused(f"{bias} has {found} values for {size} units.")


def _check_optimizer(optimizer, parameters: list, found: dict[int, dict]) -> None:
    """Raise if the state is not what the optimizer keeps of each of its parameters."""
    for p in parameters:
        p.grad = torch.zeros_like(p)
    optimizer.step()
    kept = [{k for k, v in optimizer.state[p].items() if v is not None} for p in parameters]
    for k, keys in enumerate(kept):
        if set(found.get(k, {})) != keys:
            raise _Refused(f"optimizer/{k} has {sorted(found.get(k, {}))}.")


def _read_net(file, kind: type, state: dict) -> tuple[dict, dict[str, np.ndarray]]:
    """Return weights and the optimizer's state, if they are this network's; all tensors."""
    _check_sizes(file, state)
    described = kind()
    vars(described).update(state)
    # Its own first weights are of no use, and would be drawn whatever their number.
    params = state["_fit_params"] | {"init": lambda layer, generator: None}
    canvas, classes = described._canvas(), state["classes_"]
    net = build_net(params, canvas, classes, torch.device("cpu"))
    parameters = [p for group in net.optimizer_.param_groups for p in group["params"]]
    missing = {name: tuple(p.shape) for name, p in net.module_.state_dict().items()}
    weights: dict[str, np.ndarray] = {}
    optimizer: dict[int, dict[str, np.ndarray]] = {}
    tensors: dict[str, np.ndarray] = {}
    paths = file.keys()
    for path in paths:
        shape = tuple(file.get_slice(path).get_shape())
        kind_of_tensor, _, name = path.partition("/")
        if kind_of_tensor == "weights" and missing.pop(name, None) == shape:
            weights[name] = tensors[path] = file.get_tensor(path)
            if weights[name].dtype != np.float32:
                raise _Refused(f"{path} is of {weights[name].dtype}.")
        elif kind_of_tensor == "optimizer":
            k, _, key = name.partition("/")
            if shape not in ((), tuple(parameters[int(k)].shape)):
                raise _Refused(f"{path} has shape {shape}.")
            tensors[path] = file.get_tensor(path)
            optimizer.setdefault(int(k), {})[key] = tensors[path]
        elif path in ("random_state", "classes"):
            tensors[path] = file.get_tensor(path)
        else:
            raise _Refused(f"{path}, of shape {shape}, is not of this network.")
    if missing:
        raise _Refused(f"weights/{min(missing)} is not there.")
    _check_optimizer(net.optimizer_, parameters, optimizer)
    groups = net.optimizer_.state_dict()["param_groups"]
    own = {"state": optimizer, "param_groups": groups}
    return {"module": weights, "optimizer": own}, tensors
