"""The format of saved estimators: weights as safetensors, the rest as JSON.

The file is data and nothing else; reading it executes nothing. Format version 2 is a
`safetensors <https://huggingface.co/docs/safetensors>`_ file with the tensors

- ``weights/<name>``: the module's, float32, by their torch names;
- ``optimizer/<k>/<name>``: the optimizer's state of the k-th parameter, for warm starts;
- ``random_state``: the 624 numbers of a Mersenne twister, uint32;
- ``classes``: the labels, unless they are text;
- ``held_out``: the rows that early stopping holds out while training continues, int64, if
  there are any;

and these entries of its metadata, all text:

- ``format``: ``sklenet.LeNet5Classifier``; ``version``: ``2``;
- ``document``: JSON with the version of ``sklenet`` that wrote it, ``params`` (of the
  estimator), ``fit_params`` (those of the last fit), ``requests`` (of metadata, by method)
  and ``fitted`` (what was learnt besides weights: the fields of `Fitted`); a tuple is
  ``{"tuple": [...]}``, a dict with other keys than text ``{"pairs": [[key, value], ...]}``;
- ``sha256``: of the document, and of name, type, shape and bytes of each tensor, in the
  order of the names.

Version 1 lacks the parameter ``framing``, which is None then; it is still read.
"""

import hashlib
import json
import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

FORMAT, VERSION = "sklenet.LeNet5Classifier", "2"
READABLE_VERSIONS = ("1", "2")

TWISTER = 624  # numbers in the state of numpy's RandomState

# A file has four or five tensors per layer.
MAX_TENSORS = 10_000

# The types of numeric labels that the format has.
_LABEL_TYPES = {"bool", "float16", "float32", "float64"} | {
    f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)
}

_Count = Annotated[int, Field(ge=1)]
_Texts = Annotated[list[str], Field(fail_fast=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Epoch(_Strict):
    """An entry of ``history_``; without validation data it has no ``valid_`` keys."""

    epoch: _Count
    train_loss: float
    train_accuracy: float
    valid_loss: float = math.nan
    valid_accuracy: float = math.nan
    lr: float
    seconds: float


class Fitted(_Strict):
    """The fitted attributes other than weights."""

    classes: _Texts | None  # None: they are a tensor
    classes_are_objects: bool
    image_shape: Annotated[list[_Count], Field(min_length=3, max_length=3)]
    pixel_range: Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]
    n_features_in: _Count
    feature_names_in: _Texts | None
    n_iter: _Count
    best_epoch: _Count | None
    interrupted: bool
    history: Annotated[list[Epoch], Field(min_length=1, fail_fast=True)]
    # Where in the tensor random_state the random numbers are.
    position: Annotated[int, Field(ge=0, le=TWISTER)]
    has_gauss: Literal[0, 1]
    gauss: FiniteFloat
    # The names of the weights that training does not change.
    frozen: _Texts = []
    # Of the data whose rows the tensor held_out has; None: there is none.
    held_out_of: Annotated[int, Field(ge=0, lt=2**32)] | None = None


class Document(_Strict):
    """The entry ``document``."""

    sklenet: str
    params: dict[str, Any]
    fit_params: dict[str, Any]
    requests: dict[Literal["fit", "partial_fit", "score"], dict[str, bool | str | None]]
    fitted: Fitted


def read_document(text: str) -> Document:
    """Return the entry ``document`` of a file.

    Raises
    ------
    ValueError
        If it is not JSON, or anything in it is missing, unknown or of another type.
    """
    content = json.loads(text)
    # pydantic notes every unknown key, each at a multiple of its size: at most a few here.
    tables = [(content, Document.model_fields), (content["fitted"], Fitted.model_fields)]
    tables += [(epoch, Epoch.model_fields) for epoch in content["fitted"]["history"]]
    for table, keys in tables:
        if unknown := next((key for key in table if key not in keys), None):
            raise ValueError(f"unknown key {unknown[:40]!r}")
    requests = content["requests"]
    if len(requests) > 3 or any(len(asked) > 100 for asked in requests.values()):
        raise ValueError("too many metadata requests")
    return Document.model_validate(content)


# The keys of `net_params` that a file may hold: what else skorch takes may be code, or have
# some compiled.
SAVED_NET_PARAMS = "optimizer__"


def check_text(what: str, values) -> None:
    """Check that text can be saved, which is encoded as UTF-8.

    Raises
    ------
    ValueError
        If it cannot be encoded, as the name of a file that is not UTF-8; `what` and the
        text are named.
    """
    for value in values:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"The {what} {value!r} cannot be saved: it is not valid Unicode text, so"
                " that UTF-8 cannot encode it. Rename it."
            ) from None


def check_labels(classes: np.ndarray) -> None:
    """Check that class labels are sound and that a file can hold them exactly.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)

    Raises
    ------
    ValueError
        If the labels are not text or numbers of a standard type, not finite, not sorted or
        not distinct, or fewer than two; the first label at fault is named.
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
    """Return text labels as an array of Python objects or of numpy's fixed-width text.

    Raises
    ------
    ValueError
        If the array would be much larger than the text, because of a very long label.
    """
    if are_objects:
        return np.array(labels, dtype=object)
    lengths = [len(label) for label in labels]
    longest = max(lengths, default=0)
    if longest * len(labels) > 4 * sum(lengths) + 1_000_000:
        label = labels[lengths.index(longest)]
        raise ValueError(
            f"The label {label[:20]!r}... has {longest:,} characters, and all"
            f" {len(labels):,} labels would take as many. Use shorter labels, or an array"
            " of dtype=object."
        )
    return np.array(labels, dtype=str)


def to_json(name: str, value):
    """Return the value of a parameter as JSON has it.

    Raises
    ------
    ValueError
        If it is not made of plain values.
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
        f"The {name!r} parameter is {value!r}, and only plain values can be saved: use"
        " skops or pickle, or keep the module, `to_torch()`."
    )


def from_json(value):
    """Return what `to_json` was given."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"tuple"}:
        return tuple(from_json(value["tuple"]))
    if set(value) == {"pairs"}:
        return {from_json(key): from_json(item) for key, item in value["pairs"]}
    return {key: from_json(item) for key, item in value.items()}


def checksum(document: str, tensors: dict[str, np.ndarray]) -> str:
    """Return the entry ``sha256`` of a file."""
    digest = hashlib.sha256(document.encode())
    for name, array in sorted(tensors.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
