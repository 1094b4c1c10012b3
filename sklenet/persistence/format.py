"""The format of saved estimators: weights as safetensors, the rest as JSON.

A file contains data only; reading it executes nothing. Version 3 of the format is a
`safetensors <https://huggingface.co/docs/safetensors>`_ file with the tensors

- ``weights/<name>``: weights of the module by their names in torch, float32;
- ``optimizer/<k>/<name>``: state of the optimizer for the k-th parameter; none before its
  first step;
- ``random_state``: the 624 numbers of a Mersenne twister, uint32;
- ``classes``: the class labels, unless they are text;
- ``held_out``: row numbers of the samples that early stopping holds out if training
  continues, int64, if there are any;

and the following metadata entries, all of which are text:

- ``format``: ``sklenet.LeNet5Classifier``;
- ``version``: ``3``;
- ``document``: JSON with the keys ``sklenet`` (the version that wrote the file),
  ``params`` (parameters of the estimator), ``fit_params`` (parameters of the last fit),
  ``requests`` (metadata requests by method) and ``fitted`` (fitted attributes, see
  `Fitted`). A tuple is written as ``{"tuple": [...]}``, a dict whose keys are not all text
  as ``{"pairs": [[key, value], ...]}``;
- ``sha256``: checksum of the document, followed by the name, type, shape and bytes of each
  tensor in the order of their names.

Versions 1 and 2, which can still be read, lack the parameter ``views``, and version 1 the
parameter ``framing``.
"""

import hashlib
import json
import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

FORMAT, VERSION = "sklenet.LeNet5Classifier", "3"
READABLE_VERSIONS = ("1", "2", "3")

TWISTER = 624  # numbers in the state of a Mersenne twister

# Files that `save` writes have four or five tensors per layer.
MAX_TENSORS = 10_000

# Prefix of the keys of `net_params` that a file may contain. Other arguments of skorch's
# net can contain code, or have code compiled.
SAVED_NET_PARAMS = "optimizer__"

# Types of numeric labels that can be saved.
_LABEL_TYPES = {"bool", "float16", "float32", "float64"} | {
    f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)
}

# Metadata requests by method.
Requests = dict[Literal["fit", "partial_fit", "score"], dict[str, bool | str | None]]

_Count = Annotated[int, Field(ge=1)]
_Texts = Annotated[list[str], Field(fail_fast=True)]


class InvalidFileError(Exception):
    """A reason, for the user, why a file cannot be loaded."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Epoch(_Strict):
    """An entry of ``history_``. Without validation data it has no ``valid_`` keys."""

    epoch: _Count
    train_loss: float
    train_accuracy: float
    valid_loss: float = math.nan
    valid_accuracy: float = math.nan
    lr: float
    seconds: float


class Fitted(_Strict):
    """Fitted attributes that are not tensors."""

    classes: _Texts | None  # None if they are a tensor
    classes_are_objects: bool
    image_shape: Annotated[list[_Count], Field(min_length=3, max_length=3)]
    pixel_range: Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]
    n_features_in: _Count
    feature_names_in: _Texts | None
    n_iter: _Count
    best_epoch: _Count | None
    interrupted: bool
    history: Annotated[list[Epoch], Field(min_length=1, fail_fast=True)]
    # Position in the numbers of the tensor random_state.
    position: Annotated[int, Field(ge=0, le=TWISTER)]
    has_gauss: Literal[0, 1]
    gauss: FiniteFloat
    # Names of the weights that training does not change.
    frozen: _Texts = []
    # Checksum of the data to which the tensor held_out refers; None if it is missing.
    held_out_of: Annotated[int, Field(ge=0, lt=2**32)] | None = None


class Document(_Strict):
    """The entry ``document``."""

    sklenet: str
    params: dict[str, Any]
    fit_params: dict[str, Any]
    requests: Requests
    fitted: Fitted


def read_document(text: str) -> Document:
    """Parse the entry ``document`` of a file.

    Raises
    ------
    ValueError
        If it is not JSON, or if something is missing, unknown or of the wrong type.
    """
    content = json.loads(text)
    # pydantic would describe every unknown key, which takes a multiple of its size.
    tables = [(content, Document.model_fields), (content["fitted"], Fitted.model_fields)]
    tables += [(epoch, Epoch.model_fields) for epoch in content["fitted"]["history"]]
    for table, keys in tables:
        if unknown := next((key for key in table if key not in keys), None):
            raise ValueError(f"unknown key {unknown[:40]!r}")
    requests = content["requests"]
    if len(requests) > 3 or any(len(values) > 100 for values in requests.values()):
        raise ValueError("too many metadata requests")
    return Document.model_validate(content)


def find_unsaved_net_params(net_params: dict[str, Any] | None) -> list[str]:
    """Return the keys of `net_params` that a file may not contain."""
    return [key for key in net_params or {} if not key.startswith(SAVED_NET_PARAMS)]


def check_text(what: str, values) -> None:
    """Raise a ValueError for text that cannot be encoded as UTF-8, and thus not be saved.

    Parameters
    ----------
    what : str
        Description of the values, for the message.
    values : iterable of str
    """
    for value in values:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"The {what} {value!r} cannot be saved, because it is not valid Unicode"
                " text and cannot be encoded as UTF-8. Rename it."
            ) from None


def check_labels(classes: np.ndarray) -> None:
    """Check that class labels are valid and can be saved exactly.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)

    Raises
    ------
    ValueError
        If the labels are neither text nor numbers of a standard type; if they are not
        finite, not sorted or not distinct; or if there are fewer than two.
    """
    if classes.ndim != 1 or len(classes) < 2:
        raise ValueError(f"There must be at least two classes. Got {classes.tolist()!r}.")
    if classes.dtype.kind in "UO":
        others = [label for label in classes.tolist() if not isinstance(label, str)]
        if others:
            raise ValueError(
                f"The label {others[0]!r}, of type {type(others[0]).__name__}, cannot be"
                " saved: labels must be text or numbers."
            )
        check_text("label", classes.tolist())
    elif (kind := classes.dtype.newbyteorder("=").name) not in _LABEL_TYPES:
        raise ValueError(
            f"The label {classes[0]!s}, of type {kind}, cannot be saved: labels must be"
            " text, or numbers of at most 64 bits."
        )
    elif classes.dtype.kind == "f" and not np.isfinite(classes).all():
        raise ValueError(f"The label {classes[~np.isfinite(classes)][0]} is not finite.")
    if not np.array_equal(np.unique(classes), classes):
        raise ValueError("The labels are not distinct and sorted.")


def labels_from_text(labels: list[str], are_objects: bool) -> np.ndarray:
    """Return text labels as an array, of Python objects or of numpy's fixed-width text.

    Raises
    ------
    ValueError
        If a very long label would make the array much larger than the text.
    """
    if are_objects:
        return np.array(labels, dtype=object)
    lengths = [len(label) for label in labels]
    longest = max(lengths, default=0)
    if longest * len(labels) > 4 * sum(lengths) + 1_000_000:
        label = labels[lengths.index(longest)]
        raise ValueError(
            f"The label {label[:20]!r}... has {longest:,} characters, so that each of the"
            f" {len(labels):,} labels would take as much memory. Use shorter labels, or an"
            " array of dtype=object."
        )
    return np.array(labels, dtype=str)


def to_json(name: str, value):
    """Convert the value of a parameter to values that JSON can represent.

    Raises
    ------
    ValueError
        If it does not consist of plain values; `name` is the parameter, for the message.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return {"tuple": [to_json(name, item) for item in value]}
    if isinstance(value, list):
        return [to_json(name, item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and not {"tuple", "pairs"} & set(
            value
        ):
            return {key: to_json(name, item) for key, item in value.items()}
        pairs = [[to_json(name, part) for part in pair] for pair in value.items()]
        return {"pairs": pairs}
    raise ValueError(
        f"The {name!r} parameter is {value!r}, but only plain values can be saved. Use"
        " skops or pickle instead, or save the module that `to_torch` returns."
    )


def from_json(value):
    """Convert values that `to_json` returned back."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"tuple"}:
        return tuple(from_json(value["tuple"]))
    if set(value) == {"pairs"}:
        return {from_json(key): from_json(item) for key, item in value["pairs"]}
    return {key: from_json(item) for key, item in value.items()}


def compute_checksum(document: str, tensors: dict[str, np.ndarray]) -> str:
    """Return the entry ``sha256`` of a file."""
    digest = hashlib.sha256(document.encode())
    for name, array in sorted(tensors.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
