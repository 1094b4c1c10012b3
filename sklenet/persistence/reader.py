"""Read the file of an estimator, and check that all of it is consistent.

The content of a file is not trusted: sizes are checked before memory is allocated for
them, and values before they become attributes of an estimator.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from sklenet.images.shapes import infer_image_shape
from sklenet.persistence.format import (
    FORMAT,
    READABLE_VERSIONS,
    TWISTER,
    Document,
    Fitted,
    InvalidFileError,
    Requests,
    check_labels,
    compute_checksum,
    find_unsaved_net_params,
    from_json,
    labels_from_text,
    read_document,
)
from sklenet.persistence.network_reader import read_network
from sklenet.training.runtime import find_device

# Maximum size of a header in the safetensors format.
_MAX_HEADER = 100_000_000

# Memory that a header may take when it is parsed: a constant and a multiple of its size. In
# JSON, a list takes two bytes in the file, but more than a hundred bytes in memory; the
# same applies to keys and numbers.
_PARSED_CONSTANT, _PARSED_FACTOR = 64_000_000, 12
_PARSED_BYTES = {b"[": 100, b"{": 250, b":": 120, b",": 40}


def read_model(path: Path, kind: type) -> tuple[dict[str, Any], Requests]:
    """Return the state of the estimator in a file, and its metadata requests.

    Parameters
    ----------
    path : Path
    kind : type
        Class of the estimator.

    Returns
    -------
    state : dict
        Argument for ``__setstate__``.
    requests : dict
        Metadata requests by method.

    Raises
    ------
    InvalidFileError
        If the file is invalid. A damaged file may also lead to other exceptions.
    """
    _check_header(path)
    with safe_open(path, framework="numpy") as file:
        metadata = _read_metadata(file)
        document = read_document(metadata["document"])
        state = _read_state(file, document, kind)
        state["net_state"], tensors = read_network(file, state, document.fitted.frozen)
    if metadata["sha256"] != compute_checksum(metadata["document"], tensors):
        raise InvalidFileError("the file is damaged: its checksum does not match.")
    return state, document.requests


def _check_header(path: Path) -> None:
    """Raise an error if parsing the header would take much more memory than the file.

    The header, the only part that is parsed, is JSON with the shapes of the tensors and
    the document.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        n_bytes = int.from_bytes(file.read(8), "little")
        if size < 8 or n_bytes > min(size - 8, _MAX_HEADER):
            raise InvalidFileError("not a file of LeNet5Classifier.save, or a damaged one.")
        header = file.read(n_bytes)
    needed = sum(header.count(mark) * size for mark, size in _PARSED_BYTES.items())
    if needed > _PARSED_CONSTANT + _PARSED_FACTOR * n_bytes:
        raise InvalidFileError(
            f"the header of {n_bytes:,} bytes has more lists, tables and values than any"
            " header that LeNet5Classifier.save writes."
        )


def _read_metadata(file) -> dict[str, str]:
    """Return the metadata of a file whose format can be read."""
    metadata = file.metadata() or {}
    if metadata.get("format") != FORMAT:
        raise InvalidFileError("not a file of LeNet5Classifier.save.")
    if metadata["version"] not in READABLE_VERSIONS:
        raise InvalidFileError(
            f"the version of its format is {metadata['version']!r}; this sklenet reads"
            f" {', '.join(map(repr, READABLE_VERSIONS))}. Use a later version of"
            " sklenet."
        )
    return metadata


def _read_state(file, document: Document, kind: type) -> dict[str, Any]:
    """Return the state of the estimator except for its network."""
    fitted = document.fitted
    params = _read_params(kind, document.params)
    fit_params = _read_params(kind, document.fit_params)
    history = _read_history(fitted)
    _check_images(fitted, is_shape_given=params["image_shape"] is not None)
    state = params | {
        "classes_": _read_classes(file, fitted),
        "image_shape_": tuple(fitted.image_shape),
        "pixel_range_": tuple(fitted.pixel_range),
        "n_features_in_": fitted.n_features_in,
        "n_iter_": fitted.n_iter,
        "best_epoch_": fitted.best_epoch,
        "interrupted_": fitted.interrupted,
        "history_": history,
        "loss_curve_": [row["train_loss"] for row in history],
        "device_": find_device(params["device"]),
        "fit_params_": fit_params,
        "random_state_": _read_random_state(file, fitted),
        "held_out_": _read_held_out(file, fitted),
    }
    if fitted.feature_names_in is not None:
        state["feature_names_in_"] = _read_feature_names(fitted)
    return state


def _read_params(kind: type, group: dict[str, Any]) -> dict[str, Any]:
    """Return all parameters, with defaults for those that the file does not have."""
    defaults = kind().get_params(deep=False)
    if unknown := sorted(set(group) - set(defaults)):
        raise InvalidFileError(f"LeNet5Classifier has no parameter {unknown[0]!r}.")
    params = {name: from_json(value) for name, value in group.items()}
    if unsaved := find_unsaved_net_params(params.get("net_params")):
        raise InvalidFileError(
            f"'net_params' has {unsaved[0]!r}, which is not allowed in a file."
        )
    kind(**params | {"device": "cpu"}).check_parameters()
    return defaults | params


def _read_history(fitted: Fitted) -> list[dict[str, Any]]:
    """Return the attribute ``history_``, after a check of the numbers of its epochs."""
    history = [epoch.model_dump(exclude_unset=True) for epoch in fitted.history]
    if [row["epoch"] for row in history] != list(range(1, len(history) + 1)) or (
        len(history) != fitted.n_iter
    ):
        raise InvalidFileError(f"its history is not that of {fitted.n_iter} epochs.")
    best = fitted.best_epoch
    validated = [row["epoch"] for row in history if "valid_loss" in row]
    if best is not None and best not in validated:
        raise InvalidFileError(f"its best epoch, {best}, has no validation loss.")
    return history


def _check_images(fitted: Fitted, *, is_shape_given: bool) -> None:
    """Raise an error if image shape, number of features and pixel range do not match."""
    shape = tuple(fitted.image_shape)
    if fitted.n_features_in != math.prod(shape) and (
        is_shape_given or infer_image_shape(fitted.n_features_in) != shape
    ):
        raise InvalidFileError(
            f"images of shape {shape} do not have {fitted.n_features_in} pixels."
        )
    low, high = fitted.pixel_range
    if low > high:
        raise InvalidFileError(f"its pixel values range from {low} to {high}.")


def _read_classes(file, fitted: Fitted) -> np.ndarray:
    if fitted.classes is None:
        classes = file.get_tensor("classes")
    else:
        classes = labels_from_text(fitted.classes, fitted.classes_are_objects)
    check_labels(classes)
    return classes


def _read_random_state(file, fitted: Fitted) -> np.random.RandomState:
    """Return the random number generator for continued training."""
    keys = file.get_slice("random_state")
    if keys.get_dtype() != "U32" or keys.get_shape() != [TWISTER]:
        raise InvalidFileError(
            f"random_state is {keys.get_dtype()} of shape {keys.get_shape()}, not the"
            f" {TWISTER} numbers of a Mersenne twister."
        )
    numbers = file.get_tensor("random_state")
    random_state = np.random.RandomState()
    random_state.set_state(
        ("MT19937", numbers, fitted.position, fitted.has_gauss, fitted.gauss)
    )
    return random_state


def _read_held_out(file, fitted: Fitted) -> dict[str, Any] | None:
    """Return the samples that early stopping holds out if training continues."""
    if fitted.held_out_of is None:
        return None
    rows = file.get_slice("held_out")
    if rows.get_dtype() != "I64" or len(rows.get_shape()) != 1:
        raise InvalidFileError(
            f"held_out is {rows.get_dtype()} of shape {rows.get_shape()}, not a list of"
            " row numbers."
        )
    rows = file.get_tensor("held_out")
    if not len(rows) or rows.min() < 0 or len(np.unique(rows)) != len(rows):
        raise InvalidFileError("held_out is empty, or has negative or repeated rows.")
    return {"rows": rows, "fingerprint": fitted.held_out_of}


def _read_feature_names(fitted: Fitted) -> np.ndarray:
    names = np.array(fitted.feature_names_in, dtype=object)
    if len(names) != fitted.n_features_in:
        raise InvalidFileError(
            f"it has {len(names)} names of features for {fitted.n_features_in} features."
        )
    return names
