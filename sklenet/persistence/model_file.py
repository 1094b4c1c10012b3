"""Save a fitted estimator to a file, and load it."""

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from pydantic import ValidationError
from sklearn import config_context
from sklearn.utils.validation import check_is_fitted

from sklenet._utils.writing import check_writable, replace_file
from sklenet.persistence.format import (
    FORMAT,
    SAVED_NET_PARAMS,
    VERSION,
    Fitted,
    InvalidFileError,
    Requests,
    check_labels,
    check_text,
    compute_checksum,
    find_unsaved_net_params,
    to_json,
)
from sklenet.persistence.reader import read_model

_REQUESTS = ("fit", "partial_fit", "score")
_MAX_REASON = 300  # characters


def save(estimator, path: str | os.PathLike) -> None:
    """Write a fitted estimator to a file, which is replaced atomically.

    The new file is read once before it replaces an existing one, so that whatever is saved
    can be loaded.

    Raises
    ------
    ValueError
        If the estimator cannot be saved exactly: a parameter is not a plain value, such as
        a callable, or labels are neither text nor numbers.
    OSError
        If `path` is not a regular file or cannot be written. An existing file is then
        unchanged.
    """
    check_is_fitted(estimator)
    check_writable(path)
    state = estimator.__getstate__()
    random_state = _get_random_state(state)
    tensors = _collect_tensors(state, random_state)
    document = json.dumps(_make_document(estimator, state, random_state))
    metadata = {"format": FORMAT, "version": VERSION, "document": document}
    metadata["sha256"] = compute_checksum(document, tensors)
    with replace_file(path) as file:
        file.write(safetensors.numpy.save(tensors, metadata))
        file.flush()
        try:
            read_model(Path(file.name), type(estimator))
        except Exception as error:
            raise ValueError(
                f"This estimator cannot be saved, because the file could not be loaded:"
                f" {_summarize(error)}"
            ) from error


def _get_random_state(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of the random number generator, which must be a Mersenne twister."""
    random_state = state["random_state_"].get_state(legacy=False)
    if random_state["bit_generator"] != "MT19937":
        raise ValueError(
            f"The 'random_state' parameter is a {random_state['bit_generator']}, but only"
            " an 'MT19937' generator can be saved."
        )
    return random_state


def _collect_tensors(
    state: dict[str, Any], random_state: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Return the tensors of a file by name."""
    net, classes, held_out = state["net_state"], state["classes_"], state["held_out_"]
    tensors = {f"weights/{name}": array for name, array in net["module"].items()}
    for k, values in net["optimizer"]["state"].items():
        for name, value in values.items():
            if value is not None:
                tensors[f"optimizer/{k}/{name}"] = np.asarray(value)
    tensors["random_state"] = random_state["state"]["key"]
    check_labels(classes)
    if classes.dtype.kind not in "UO":
        tensors["classes"] = classes.astype(classes.dtype.newbyteorder("<"))
    if held_out is not None:
        tensors["held_out"] = held_out["rows"].astype("<i8")
    return tensors


def _make_document(
    estimator, state: dict[str, Any], random_state: dict[str, Any]
) -> dict[str, Any]:
    """Return the entry ``document`` of a file."""
    requests = estimator.get_metadata_routing()
    fitted = _describe_fitted(state, random_state)
    return {
        "sklenet": version("sklenet"),
        "params": _params_to_json(estimator.get_params(deep=False)),
        "fit_params": _params_to_json(state["fit_params_"]),
        "requests": {name: getattr(requests, name).requests for name in _REQUESTS},
        "fitted": fitted.model_dump(exclude_unset=True),
    }


def _describe_fitted(state: dict[str, Any], random_state: dict[str, Any]) -> Fitted:
    """Return the fitted attributes that are not tensors."""
    classes, held_out = state["classes_"], state["held_out_"]
    names = state.get("feature_names_in_")
    check_text("feature name", () if names is None else names)
    return Fitted(
        classes=classes.tolist() if classes.dtype.kind in "UO" else None,
        classes_are_objects=classes.dtype.kind == "O",
        image_shape=list(state["image_shape_"]),
        pixel_range=list(state["pixel_range_"]),
        n_features_in=state["n_features_in_"],
        feature_names_in=None if names is None else list(names),
        n_iter=state["n_iter_"],
        best_epoch=state["best_epoch_"],
        interrupted=state["interrupted_"],
        history=state["history_"],
        position=random_state["state"]["pos"],
        has_gauss=random_state["has_gauss"],
        gauss=random_state["gauss"],
        frozen=state["net_state"]["frozen"],
        held_out_of=None if held_out is None else held_out["fingerprint"],
    )


def _params_to_json(params: dict[str, Any]) -> dict[str, Any]:
    if isinstance(params["random_state"], np.random.RandomState):
        params = params | {"random_state": None}  # its present state is a tensor
    if isinstance(params["device"], torch.device):
        params = params | {"device": str(params["device"])}
    if unsaved := find_unsaved_net_params(params["net_params"]):
        raise ValueError(
            f"The 'net_params' parameter has {unsaved[0]!r}, but only keys that begin with"
            f" {SAVED_NET_PARAMS!r} can be saved. Use skops or pickle instead."
        )
    return {name: to_json(name, value) for name, value in params.items()}


def load(path: str | os.PathLike, kind: type):
    """Return the estimator of type `kind` that `save` wrote to `path`.

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    ValueError
        If the file was not written by `save`, is damaged or inconsistent, or has a format
        of a later version.
    """
    path = Path(path)
    path.stat()  # raises the OSError of a missing file
    if not path.is_file():
        raise ValueError(f"{path} is not a file.")
    path.open("rb").close()
    try:
        state, requests = read_model(path, kind)
        estimator = kind()
        estimator.__setstate__(state)
        _set_requests(estimator, requests)
    except InvalidFileError as error:
        raise ValueError(f"{path}: {_summarize(error)}") from None
    except Exception as error:  # whatever a damaged or hostile file causes
        raise ValueError(
            f"{path}: not a file of LeNet5Classifier.save, or a damaged one"
            f" ({_summarize(error)})."
        ) from error
    return estimator


def _summarize(error: Exception) -> str:
    """Return the first line of an error, shortened; it may quote parts of a file."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        text = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    elif isinstance(error, InvalidFileError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    line = (text.splitlines() or [""])[0]
    return line if len(line) <= _MAX_REASON else f"{line[:_MAX_REASON]}..."


def _set_requests(estimator, requests: Requests) -> None:
    """Set the metadata requests that the estimator does not have by default.

    An estimator with requests is part of a reference cycle, so that it remains in memory
    until Python's next full garbage collection.
    """
    default = estimator.get_metadata_routing()
    with config_context(enable_metadata_routing=True):
        for method, requested in requests.items():
            if requested != getattr(default, method).requests:
                getattr(estimator, f"set_{method}_request")(**requested)
