"""A fitted estimator as plain values: what the page needs to compute its predictions."""

import base64

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklenet._utils.printable import make_printable
from sklenet.framing import assume_framing
from sklenet.network.layers import (
    ACTIVATIONS,
    POOLINGS,
    Dropout,
    get_activation_name,
    get_pooling_name,
)
from sklenet.network.lecun1998.layers import PartialConv2d, RadialBasis, Subsample
from sklenet.network.losses import LOSSES


def describe_model(estimator, name: str) -> dict:
    """Describe a fitted estimator in values that JSON can hold.

    Parameters
    ----------
    estimator : LeNet5Classifier
        Fitted estimator.
    name : str
        Heading of the model on the page, or name of a state of its training.

    Returns
    -------
    dict
        The classes, the shape and the framing of images, the canvas, the views of an image,
        and a list of layers from C1 to the output. Weights are little-endian float32
        numbers in base64.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If a layer is not given by name, so that the page cannot compute it.
    """
    check_is_fitted(estimator)
    network = estimator.to_torch()
    canvas, *views = network.views
    rows, columns = canvas.interior
    shape = canvas.image_shape
    return {
        "name": make_printable(name),
        "classes": [make_printable(label) for label in estimator.classes_.tolist()],
        "image_shape": list(shape),
        "n_features": int(estimator.n_features_in_),
        "takes_bytes": canvas.takes_bytes,
        "framing": estimator.framing or assume_framing(shape, estimator.classes_),
        "canvas": {
            "shape": list(canvas.shape),
            "top": rows.start,
            "left": columns.start,
            "factor": canvas.factor,
            "low": canvas.low,
            "high": canvas.high,
            "scaled": canvas.feature_range is not None,
            "limits": list(canvas.limits),
            "background": canvas.background,
        },
        # Besides the image itself.
        "views": [
            {"is_flipped": view.is_flipped, "down": view.down, "right": view.right}
            for view in views
        ],
        "layers": _describe_layers(network.network),
        "loss": _name_loss(network.criterion),
    }


def _describe_layers(network) -> list[dict]:
    layers: list[dict] = []
    for name, layer in network.layers().items():
        if isinstance(layer, nn.Flatten | Dropout):
            continue
        if name.endswith("_activation"):
            layers[-1]["activation"] = _name_activation(layer)
        else:
            layers.append({"name": name, **_describe_layer(name, layer)})
    return layers


def _describe_layer(name: str, layer: nn.Module) -> dict:
    if isinstance(layer, PartialConv2d):
        return _describe_weights("convolution", layer.to_dense(), layer.bias) | {
            "kernel_size": layer.shape[-1],
            "connections": layer.connections,
        }
    if isinstance(layer, nn.Conv2d):
        side = layer.kernel_size[0]
        described = _describe_weights("convolution", layer.weight, layer.bias)
        return described | {"kernel_size": side, "connections": None}
    if isinstance(layer, nn.Linear):
        return _describe_weights("dense", layer.weight, layer.bias)
    if isinstance(layer, RadialBasis):
        return _describe_weights("rbf", layer.codes, None)
    if isinstance(layer, nn.Sequential) and isinstance(layer[0], Subsample):
        return _describe_weights("pooling", layer[0].weight, layer[0].bias) | {
            "pooling": "subsample",
            "activation": _name_activation(layer[1]),
        }
    pooling = get_pooling_name(layer)
    if pooling is None:
        raise ValueError(
            f"The 'pooling' parameter must be one of {sorted(POOLINGS)} for a page; layer"
            f" {name} is {layer!r:.60}, which a browser cannot compute."
        )
    return {"kind": "pooling", "pooling": pooling}


def _describe_weights(kind: str, weight, bias) -> dict:
    described = {"kind": kind, "weight": _encode(weight)}
    return described if bias is None else described | {"bias": _encode(bias)}


def _name_activation(layer: nn.Module) -> str:
    name = get_activation_name(layer)
    if name is None:
        raise ValueError(
            f"The 'activation' parameter must be one of {sorted(ACTIVATIONS)} for a page;"
            f" it is {layer!r:.60}, which a browser cannot compute."
        )
    return name


def _name_loss(criterion: nn.Module) -> str:
    """Return the name of a loss; custom losses are functions of the softmax."""
    for name, loss in LOSSES.items():
        if type(criterion) is loss:
            return name
    return "custom"


def _encode(values: torch.Tensor) -> str:
    array = values.detach().cpu().numpy().astype("<f4")
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
