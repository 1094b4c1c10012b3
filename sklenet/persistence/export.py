"""Export the network of a fitted estimator, as a torch module or as ONNX."""

import copy
from importlib.util import find_spec

import torch
from torch import nn

from sklenet._utils.writing import check_writable, write_file
from sklenet.images.canvas import Canvas
from sklenet.images.views import make_views
from sklenet.network.losses import compute_log_probabilities

_PIXEL_TYPES = ("uint8", "float32", "float64")


class FromPixels(nn.Module):
    """The network with its preprocessing and postprocessing, from pixels to probabilities.

    Parameters
    ----------
    views : list of Canvas
        Canvases whose probabilities are averaged, first that of the image itself, which is
        the attribute ``canvas``.
    network : LeNet5
    criterion : Module
        Loss function, which determines how outputs become probabilities.
    """

    def __init__(
        self, views: list[Canvas], network: nn.Module, criterion: nn.Module
    ) -> None:
        super().__init__()
        self.views, self.canvas = views, views[0]
        self.network, self.criterion = network, criterion

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return class probabilities (n, n_classes), given pixels (n, n_features)."""
        outputs = [self.network(view(pixels)) for view in self.views]
        scores = [compute_log_probabilities(self.criterion, one) for one in outputs]
        return torch.stack([one.softmax(dim=1) for one in scores]).mean(dim=0)


def to_torch(estimator) -> FromPixels:
    """Return a copy of the fitted network on the CPU, including scaling and softmax."""
    net = estimator.net_
    parts = copy.deepcopy((net.module_, net.criterion_))
    module, criterion = (part.cpu() for part in parts)
    views = make_views(estimator.canvas_, estimator.views)
    return FromPixels(views, module, criterion).eval()


def to_onnx(estimator, path, dtype: str) -> None:
    """Write the network of a fitted estimator to an ONNX file, which is atomic.

    Parameters
    ----------
    estimator : LeNet5Classifier
    path : str or path-like
    dtype : {"uint8", "float32", "float64"}
        Data type of the pixels.

    Raises
    ------
    ImportError
        If onnx or onnxscript is not installed.
    ValueError
        If `dtype` is invalid.
    OSError
        If `path` is not a regular file or cannot be written.
    """
    if dtype not in _PIXEL_TYPES:
        raise ValueError(f"The 'dtype' is {dtype!r}, but must be one of {_PIXEL_TYPES}.")
    for package in ("onnx", "onnxscript"):
        if find_spec(package) is None:
            raise ImportError(f"to_onnx needs {package}: pip install sklenet[onnx]")
    check_writable(path)
    # Two rows, because with one row torch would assume that there is always one.
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
