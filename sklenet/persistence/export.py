"""The network of a fitted estimator by itself: as a torch module, and as ONNX."""

import copy
from importlib.util import find_spec

import torch
from torch import nn

from sklenet._utils.writing import check_writable, write_file
from sklenet.images.canvas import Canvas
from sklenet.network.losses import compute_log_probabilities

_PIXELS = ("uint8", "float32", "float64")


class FromPixels(nn.Module):
    """The network with what comes before and after it: from pixels to probabilities.

    Parameters
    ----------
    canvas : Canvas
    network : LeNet5
    criterion : Module
        The loss, which says what probabilities are.
    """

    def __init__(self, canvas: Canvas, network: nn.Module, criterion: nn.Module) -> None:
        super().__init__()
        self.canvas, self.network, self.criterion = canvas, network, criterion

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return class probabilities (n, n_classes) of rows of pixels (n, n_features)."""
        outputs = self.network(self.canvas(pixels))
        return compute_log_probabilities(self.criterion, outputs).softmax(dim=1)


def to_torch(estimator) -> FromPixels:
    """Return a copy of the fitted network on the CPU, with scaling and softmax."""
    net = estimator.net_
    parts = copy.deepcopy((net.module_, net.criterion_))
    module, criterion = (part.cpu() for part in parts)
    return FromPixels(estimator._canvas(), module, criterion).eval()


def to_onnx(estimator, path, dtype: str) -> None:
    """Write the network of a fitted estimator as ONNX, for pixels of `dtype`.

    The file is written as a whole or not at all.

    Raises
    ------
    OSError
        If `path` is not a regular file or cannot be written.
    """
    if dtype not in _PIXELS:
        raise ValueError(f"The 'dtype' is {dtype!r}, but must be one of {_PIXELS}.")
    for package in ("onnx", "onnxscript"):
        if find_spec(package) is None:
            raise ImportError(f"to_onnx needs {package}: pip install sklenet[onnx]")
    check_writable(path)
    # Two rows, because one would be taken for the only number of rows there is.
    example = torch.zeros((2, estimator.n_features_in_), dtype=getattr(torch, dtype))
    program = torch.onnx.export(
        to_torch(estimator),
        (example,),
        input_names=["pixels"],
        output_names=["probabilities"],
        dynamic_shapes=({0: torch.export.Dim("n")},),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    write_file(path, program.model_proto.SerializeToString())
