"""The format of saved estimators: weights as safetensors, the rest as JSON.

The file is data and nothing else; reading it executes nothing. Format version 2 is a
`safetensors <https://huggingface.co/docs/safetensors>`_ file with the tensors

- ``weights/<name>``: the module's, float32, by their torch names;
- ``optimizer/<k>/<name>``: the optimizer's state of the k-th parameter, for warm starts;
- ``random_state``: the 624 numbers of a Mersenne twister, uint32;
- ``classes``: the labels, unless they are text;

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
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

FORMAT, VERSION = "sklenet.LeNet5Classifier", "2"
READABLE_VERSIONS = ("1", "2")

TWISTER = 624  # numbers in the state of numpy's RandomState

_Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Fitted(_Strict):
    """What was learnt besides weights."""

    classes: list[str] | None  # None: they are a tensor
    classes_are_objects: bool
    image_shape: Annotated[list[_Count], Field(min_length=3, max_length=3)]
    pixel_range: Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]
    n_features_in: _Count
    feature_names_in: list[str] | None
    n_iter: int
    best_epoch: int | None
    interrupted: bool
    history: list[dict[str, int | float]]
    # Where in the tensor random_state the random numbers are.
    position: Annotated[int, Field(ge=0, le=TWISTER)]
    has_gauss: Literal[0, 1]
    gauss: float


class Document(_Strict):
    sklenet: str
    params: dict[str, Any]
    fit_params: dict[str, Any]
    requests: dict[Literal["fit", "partial_fit", "score"], dict[str, bool | str | None]]
    fitted: Fitted


# The keys of `net_params` that a file may hold: what else skorch takes may be code, or have
# some compiled.
SAVED_NET_PARAMS = "optimizer__"


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


def replace(path: Path, content: bytes) -> None:
    """Write a file that has its old or its new content at any moment."""
    path = path.resolve()  # a link stays one
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name[:40]}.", delete=False
    ) as part:
        try:
            part.write(content)
            part.flush()
            os.fsync(part.fileno())
            # As open() would have it; temporary files are for their owner only.
            umask = os.umask(0)
            os.umask(umask)
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~umask
            os.chmod(part.name, mode)
            os.replace(part.name, path)
        except BaseException:
            os.unlink(part.name)
            raise
