"""The format of saved estimators: weights as safetensors, the rest as JSON.

The file is data and nothing else; reading it executes nothing. Format version 1 is a
`safetensors <https://huggingface.co/docs/safetensors>`_ file with the tensors

- ``weights/<name>``: the module's, float32, by their torch names;
- ``optimizer/<k>/<name>``: the optimizer's state of the k-th parameter, for warm starts;
- ``random_state``: the 624 numbers of a Mersenne twister, uint32;
- ``classes``: the labels, unless they are text;

and these entries of its metadata, all text:

- ``format``: ``sklenet.LeNet5Classifier``; ``version``: ``1``;
- ``document``: JSON with the version of ``sklenet`` that wrote it, ``params`` (of the
  estimator), ``fit_params`` (those of the last fit) and ``fitted`` (what was learnt besides
  weights: the fields of `Fitted`);
- ``sha256``: of the document, and of name, type, shape and bytes of each tensor, in the
  order of the names.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

FORMAT, VERSION = "sklenet.LeNet5Classifier", "1"

TWISTER = 624  # numbers in the state of numpy's RandomState

_Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Fitted(_Strict):
    """What was learnt besides weights."""

    classes: list[str] | None  # None: they are a tensor
    classes_are_objects: bool
    image_shape: Annotated[list[_Count], Field(min_length=3, max_length=3)]
    pixel_range: Annotated[list[float], Field(min_length=2, max_length=2)]
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
    fitted: Fitted


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
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as part:
        try:
            part.write(content)
            part.flush()
            os.fsync(part.fileno())
            # As open() would have made it; temporary files are for their owner only.
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(part.name, 0o666 & ~umask)
            os.replace(part.name, path)
        except BaseException:
            os.unlink(part.name)
            raise
