"""Saving a fitted estimator to a file, and loading it.

What a file says is not trusted: the sizes in it are checked before memory is taken for
them, and values before they become attributes of an estimator.
"""

import json
import math
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from pydantic import ValidationError
from safetensors import safe_open
from sklearn import config_context
from sklearn.utils.validation import check_is_fitted

from sklenet._utils.writing import check_writable, replace_file
from sklenet.images.canvas import Canvas
from sklenet.images.shapes import infer_image_shape
from sklenet.network import LeNet5
from sklenet.network.init import leave_uninitialized
from sklenet.network.lecun1998.layers import check_connections
from sklenet.network.lenet5 import get_hidden_layer_name
from sklenet.persistence.format import (
    FORMAT,
    MAX_TENSORS,
    READABLE_VERSIONS,
    SAVED_NET_PARAMS,
    TWISTER,
    VERSION,
    Document,
    Fitted,
    check_labels,
    check_text,
    checksum,
    from_json,
    labels_from_text,
    read_document,
    to_json,
)
from sklenet.training.build import ARCHITECTURE, build_net
from sklenet.training.runtime import resolve_device

_REQUESTS = ("fit", "partial_fit", "score")

# The largest header that the safetensors format allows.
_MAX_HEADER = 100_000_000

# How much memory a header may take when it is parsed: a constant and a multiple of its
# size. A list of JSON takes two bytes in a file, and up to some hundred in memory; so do
# a key and a number.
_PARSED_CONSTANT, _PARSED_FACTOR = 64_000_000, 12
_PARSED_BYTES = {b"[": 100, b"{": 250, b":": 120, b",": 40}

# State of optimizers that a square root is taken of, or that counts.
_NOT_NEGATIVE = {"step", "exp_avg_sq", "max_exp_avg_sq", "square_avg"}


def save(estimator, path: str | os.PathLike) -> None:
    """Write a fitted estimator to `path`, as a whole or not at all.

    The file is loaded once before it replaces `path`, so that whatever is saved can be
    loaded.

    Raises
    ------
    ValueError
        If a parameter is not a plain value, such as a callable, or a label is neither text
        nor a number, or anything else cannot be saved exactly.
    OSError
        If `path` is not a regular file or cannot be written. An existing file is unchanged
        then.
    """
    check_is_fitted(estimator)
    check_writable(path)
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
    check_labels(classes)
    are_text = classes.dtype.kind in "UO"
    if not are_text:
        tensors["classes"] = classes.astype(classes.dtype.newbyteorder("<"))
    held_out = state.get("_held_out")
    if held_out is not None:
        tensors["held_out"] = held_out["rows"].astype("<i8")
    names = state.get("feature_names_in_")
    check_text("feature name", () if names is None else names)
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
        frozen=net["frozen"],
        held_out_of=None if held_out is None else held_out["fingerprint"],
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
            "fitted": fitted.model_dump(exclude_unset=True),
        }
    )
    metadata = {"format": FORMAT, "version": VERSION, "document": document}
    metadata["sha256"] = checksum(document, tensors)
    with replace_file(path) as file:
        file.write(safetensors.numpy.save(tensors, metadata))
        file.flush()
        try:
            _read(Path(file.name), type(estimator))
        except Exception as error:
            raise ValueError(
                f"This estimator cannot be saved, because the file could not be loaded:"
                f" {_explain(error)}"
            ) from error


def _params_to_json(params: dict[str, Any]) -> dict[str, Any]:
    if isinstance(params["random_state"], np.random.RandomState):
        params = params | {"random_state": None}  # where it has come to is saved by itself
    if isinstance(params["device"], torch.device):
        params = params | {"device": str(params["device"])}
    if others := _unsaved_net_params(params["net_params"]):
        raise ValueError(
            f"The 'net_params' parameter has {others[0]!r}: only what begins with"
            f" {SAVED_NET_PARAMS!r} can be saved. Use skops or pickle."
        )
    return {name: to_json(name, value) for name, value in params.items()}


def _unsaved_net_params(net_params: dict | None) -> list[str]:
    return [key for key in net_params or {} if not key.startswith(SAVED_NET_PARAMS)]


class _Refused(Exception):
    """What is wrong with a file, in words for the user who loads it."""


def _explain(error: Exception) -> str:
    """Return the first line of an error, shortened: it may quote the whole file."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        text = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    elif isinstance(error, _Refused):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    line = (text.splitlines() or [""])[0]
    return line if len(line) <= 300 else f"{line[:300]}..."


def load(path: str | os.PathLike, kind: type):
    """Return the estimator of type `kind` that `save` wrote to `path`.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is something else, damaged, of a later version, or inconsistent.
    """
    path = Path(path)
    path.stat()  # raises an OSError as open() does
    if not path.is_file():
        raise ValueError(f"{path} is not a file.")
    path.open("rb").close()
    try:
        state, requests = _read(path, kind)
        estimator = kind()
        estimator.__setstate__(state)
        _set_requests(estimator, requests)
    except _Refused as error:
        raise ValueError(f"{path}: {_explain(error)}") from None
    except Exception as error:  # whatever a damaged or a hostile file brings about
        raise ValueError(
            f"{path}: not a file of LeNet5Classifier.save, or a damaged one"
            f" ({_explain(error)})."
        ) from error
    return estimator


def _read(path: Path, kind: type) -> tuple[dict, dict]:
    """Return the state of the estimator in a file, and its metadata requests."""
    _check_header(path)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise _Refused("not a file of LeNet5Classifier.save.")
        if metadata["version"] not in READABLE_VERSIONS:
            raise _Refused(
                f"the version of its format is {metadata['version']!r}; this sklenet reads"
                f" {' and '.join(map(repr, READABLE_VERSIONS))}, a newer one may read"
                " this."
            )
        document = read_document(metadata["document"])
        state = _read_state(file, document, kind)
        net_state, tensors = _read_net(file, kind, state, set(document.fitted.frozen))
        state["_net_state"] = net_state
    if metadata["sha256"] != checksum(metadata["document"], tensors):
        raise _Refused("damaged: its checksum is of other content.")
    return state, document.requests


def _set_requests(estimator, requests: dict[str, dict]) -> None:
    """Set the metadata requests that the estimator does not have by default.

    Once a request is set, the estimator is part of a reference cycle, which keeps it in
    memory until Python's next full garbage collection.
    """
    default = estimator.get_metadata_routing()
    with config_context(enable_metadata_routing=True):
        for method, asked in requests.items():
            if asked != getattr(default, method).requests:
                getattr(estimator, f"set_{method}_request")(**asked)


def _check_header(path: Path) -> None:
    """Raise if parsing the header would take much more memory than the file has bytes.

    The header is all that is parsed: JSON with the shapes of the tensors and, as text, the
    document.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        n_bytes = int.from_bytes(file.read(8), "little")
        if size < 8 or n_bytes > min(size - 8, _MAX_HEADER):
            raise _Refused("not a file of LeNet5Classifier.save, or a damaged one.")
        header = file.read(n_bytes)
    needed = sum(header.count(mark) * size for mark, size in _PARSED_BYTES.items())
    if needed > _PARSED_CONSTANT + _PARSED_FACTOR * n_bytes:
        raise _Refused(
            f"its header of {n_bytes:,} bytes has more lists, tables and values than any"
            " that LeNet5Classifier.save writes."
        )


def _read_state(file, document: Document, kind: type) -> dict:
    """Return the state of the estimator but for its network."""
    fitted = document.fitted
    params, fit_params = (
        _check_params(kind, group) for group in (document.params, document.fit_params)
    )
    history = [epoch.model_dump(exclude_unset=True) for epoch in fitted.history]
    epochs = [row["epoch"] for row in history]
    if len(epochs) != fitted.n_iter or epochs != list(range(1, len(epochs) + 1)):
        raise _Refused(f"its history is not that of {fitted.n_iter} epochs.")
    best = fitted.best_epoch
    validated = [row["epoch"] for row in history if "valid_loss" in row]
    if best is not None and best not in validated:
        raise _Refused(f"its best epoch, {best}, is none with a validation loss.")
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
    state = params | {
        "classes_": _read_labels(file, fitted),
        "image_shape_": shape,
        "pixel_range_": (low, high),
        "n_features_in_": fitted.n_features_in,
        "n_iter_": fitted.n_iter,
        "best_epoch_": fitted.best_epoch,
        "interrupted_": fitted.interrupted,
        "history_": history,
        "loss_curve_": [row["train_loss"] for row in history],
        "device_": str(device),
        "_fit_params": fit_params,
        "_random_state": _read_random_state(file, fitted),
        "_held_out": _read_held_out(file, fitted),
    }
    if fitted.feature_names_in is not None:
        names = np.array(fitted.feature_names_in, dtype=object)
        state["feature_names_in_"] = names
        if len(names) != fitted.n_features_in:
            raise _Refused(
                f"it has {len(names)} names of features for {fitted.n_features_in}"
                " features."
            )
    return state


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


def _read_labels(file, fitted: Fitted) -> np.ndarray:
    """Return the class labels."""
    if fitted.classes is None:
        classes = file.get_tensor("classes")
    else:
        classes = labels_from_text(fitted.classes, fitted.classes_are_objects)
    check_labels(classes)
    return classes


def _read_held_out(file, fitted: Fitted) -> dict | None:
    """Return the rows that early stopping holds out while training continues."""
    if fitted.held_out_of is None:
        return None
    rows = file.get_slice("held_out")
    if rows.get_dtype() != "I64" or len(rows.get_shape()) != 1:
        raise _Refused(
            f"held_out is {rows.get_dtype()} of shape {rows.get_shape()}, not a list of"
            " rows."
        )
    rows = file.get_tensor("held_out")
    if not len(rows) or rows.min() < 0 or len(np.unique(rows)) != len(rows):
        raise _Refused("held_out has negative or repeated rows, or none.")
    return {"rows": rows, "fingerprint": fitted.held_out_of}


def _read_random_state(file, fitted: Fitted) -> np.random.RandomState:
    """Return the generator from which the fit was to go on."""
    keys = file.get_slice("random_state")
    if keys.get_dtype() != "U32" or keys.get_shape() != [TWISTER]:
        raise _Refused(
            f"random_state is {keys.get_dtype()} of shape {keys.get_shape()}, not the"
            f" {TWISTER} numbers of a Mersenne twister."
        )
    random_state = np.random.RandomState()
    random_state.set_state(
        (
            "MT19937",
            file.get_tensor("random_state"),
            fitted.position,
            fitted.has_gauss,
            fitted.gauss,
        )
    )
    return random_state


def _check_sizes(shapes: dict[str, tuple[int, ...]], params: dict, n_classes: int) -> None:
    """Raise if the parameters ask for layers of other sizes than the file has."""
    maps, hidden = list(params["maps"]), list(params["hidden"])
    output = "codes" if params["output"] == "rbf" else "bias"
    expected = {"features.C1.bias": maps[0], "features.C3.bias": maps[1]}
    expected |= {f"head.{get_hidden_layer_name(k)}.bias": n for k, n in enumerate(hidden)}
    expected[f"head.output.{output}"] = n_classes
    for name, size in expected.items():
        found = shapes.get(f"weights/{name}", ())
        if found[:1] != (size,):
            raise _Refused(f"weights/{name} has shape {found}, but {size} units.")


def _network_shapes(
    params: dict, canvas: Canvas, n_classes: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights of a network, without memory for any of them."""
    with torch.device("meta"):
        hidden = list(params["hidden"])
        rbf = params["output"] == "rbf" and hidden
        module = LeNet5(
            canvas.shape,
            n_classes,
            **{name: params[name] for name in ARCHITECTURE if name != "init"},
            init=leave_uninitialized,
            connections=check_connections(params["connections"], params["maps"]),
            codes=torch.empty(n_classes, hidden[-1]) if rbf else None,
        )
    return {f"weights/{k}": tuple(t.shape) for k, t in module.state_dict().items()}


def _read_net(
    file, kind: type, state: dict, frozen: set[str]
) -> tuple[dict, dict[str, np.ndarray]]:
    """Return weights and the optimizer's state, and all tensors of the file.

    Raises
    ------
    _Refused
        If they are not those of the network that `state` describes.
    """
    names = file.keys()
    if len(names) > MAX_TENSORS:
        raise _Refused(f"it has {len(names):,} tensors; {MAX_TENSORS:,} are allowed.")
    shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
    described = kind()
    vars(described).update(state)
    params, canvas, classes = state["_fit_params"], described._canvas(), state["classes_"]
    _check_sizes(shapes, params, len(classes))
    expected = _network_shapes(params, canvas, len(classes))
    for name in sorted(expected.keys() | {n for n in names if n.startswith("weights/")}):
        if shapes.get(name) != expected.get(name):
            raise _Refused(
                f"{name} has shape {shapes.get(name)}, but the network's is"
                f" {expected.get(name)}."
            )
    # From here on the network is known to be as large as the file.
    net = build_net(
        params | {"init": leave_uninitialized}, canvas, classes, torch.device("cpu")
    )
    state_shapes = _optimizer_shapes(net.optimizer_)
    own = {"random_state"}
    if classes.dtype.kind not in "UO":
        own.add("classes")
    if state["_held_out"] is not None:
        own.add("held_out")
    of_frozen = _find_state(net, state_shapes, frozen)
    if not (of_frozen & set(names)):  # they have been frozen from the first step on
        state_shapes = {k: v for k, v in state_shapes.items() if k not in of_frozen}
    others = set(names) - {*expected, *state_shapes} - own
    for name in sorted(others | state_shapes.keys()):
        if name in others or shapes.get(name) != state_shapes[name]:
            raise _Refused(
                f"{name} has shape {shapes.get(name)}; the network's optimizer has"
                f" {state_shapes.get(name)}."
            )
    tensors = {name: file.get_tensor(name) for name in names}
    for name in (*expected, *state_shapes):
        _check_values(name, tensors[name])
    weights = {name.removeprefix("weights/"): tensors[name] for name in expected}
    of_parameters: dict[int, dict[str, np.ndarray]] = {}
    for name in state_shapes:
        _, k, key = name.split("/")
        of_parameters.setdefault(int(k), {})[key] = tensors[name]
    groups = net.optimizer_.state_dict()["param_groups"]
    optimizer = {"state": of_parameters, "param_groups": groups}
    net_state = {"module": weights, "optimizer": optimizer, "frozen": sorted(frozen)}
    return net_state, tensors


def _find_state(net, state_shapes: dict, frozen: set[str]) -> set[str]:
    """Return the names of the optimizer's state of the weights that are frozen."""
    parameters = dict(net.module_.named_parameters())
    if unknown := sorted(frozen - parameters.keys()):
        raise _Refused(f"the network has no weights {unknown[0][:100]!r} to be frozen.")
    ids = {id(parameters[name]) for name in frozen}
    groups = net.optimizer_.param_groups
    in_order = [p for group in groups for p in group["params"]]
    places = {str(k) for k, p in enumerate(in_order) if id(p) in ids}
    return {name for name in state_shapes if name.split("/")[1] in places}


def _optimizer_shapes(optimizer: torch.optim.Optimizer) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the state that the optimizer keeps of each parameter.

    They are learnt from a step of the same optimizer on parameters of two weights.
    """
    small = [
        group | {"params": [torch.zeros(2, requires_grad=True) for _ in group["params"]]}
        for group in optimizer.param_groups
    ]
    make: Any = type(optimizer)
    probe = make(small)
    pairs = [
        pair
        for group, own in zip(optimizer.param_groups, small, strict=True)
        for pair in zip(group["params"], own["params"], strict=True)
    ]
    for _, p in pairs:
        p.grad = torch.zeros_like(p)
    probe.step()
    return {
        f"optimizer/{k}/{key}": tuple(parameter.shape) if np.ndim(value) else ()
        for k, (parameter, p) in enumerate(pairs)
        for key, value in probe.state[p].items()
        if value is not None
    }


def _check_values(name: str, array: np.ndarray) -> None:
    """Raise if weights, or an optimizer's state, are not numbers to compute with."""
    if array.dtype != np.float32:
        raise _Refused(f"{name} is of {array.dtype}, not of float32.")
    is_weight = name.startswith("weights/")
    # Mean squares of large gradients overflow, which stops the weights and nothing else.
    if not np.isfinite(array).all() if is_weight else np.isnan(array).any():
        raise _Refused(f"{name} has values that are not finite numbers.")
    if name.rpartition("/")[2] in _NOT_NEGATIVE and (array < 0).any():
        raise _Refused(f"{name} has negative values.")
