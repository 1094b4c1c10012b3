"""Checks of the parameters of LeNet5Classifier beyond the types of single parameters."""

import math
from collections.abc import Mapping, Set
from inspect import signature
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import clone

from sklenet.images.canvas import Canvas
from sklenet.images.shapes import ImageShape, check_image_shape
from sklenet.images.views import read_views
from sklenet.network import LOSSES
from sklenet.network.lecun1998.layers import check_connections
from sklenet.network.lenet5 import compute_s4_side
from sklenet.training.augment import read_augment
from sklenet.training.callbacks import check_callbacks
from sklenet.training.net_params import check_net_params, check_optimizer
from sklenet.training.runtime import resolve_device


def check_parameters(params: dict[str, Any]) -> None:
    """Check the parameters that need more than a check of their type, and combinations.

    Parameters
    ----------
    params : dict
        All parameters of LeNet5Classifier, by name. Their types have been checked.

    Raises
    ------
    ValueError
        If a parameter is invalid, or does not go with another one.
    TypeError
        If ``net_params`` has options that the optimizer does not accept.
    """
    if callable(params["loss"]) and params["label_smoothing"]:
        raise ValueError(
            f"The 'label_smoothing' parameter is {params['label_smoothing']!r}, but 'loss'"
            " is a callable, which has to smooth labels itself. Set 'label_smoothing' to"
            f" 0, or 'loss' to one of {sorted(LOSSES)}."
        )
    check_image_shape(params["image_shape"])
    check_hidden(params["hidden"])
    check_maps(params["maps"])
    check_connections(params["connections"], params["maps"])
    if params["loss"] == "distance" and params["output"] != "rbf":
        raise ValueError(
            "The 'loss' parameter is 'distance', which requires outputs that are"
            " distances. Set output='rbf', or choose another loss."
        )
    if params["optimizer"] == "nesterov" and not params["momentum"]:
        raise ValueError(
            f"The 'momentum' parameter is {params['momentum']!r}, but 'optimizer' is"
            " 'nesterov', which requires a momentum above 0, such as 0.9. Without momentum"
            " it would equal 'sgd'."
        )
    check_feature_range(params["feature_range"])
    read_augment(params["augment"])
    read_views(params["views"])
    check_net_params(params["net_params"], params["optimizer"])
    check_optimizer(params)
    check_callbacks(params["net_params"])
    resolve_device(params["device"])


def check_feature_range(feature_range) -> tuple[float, float] | None:
    """Return the parameter `feature_range` as two floats, or None.

    Raises
    ------
    ValueError
        If it is neither None nor two finite numbers in increasing order.
    """
    if feature_range is None:
        return None
    ends = tuple(feature_range)
    if (
        len(ends) != 2
        or not all(isinstance(end, Real) and math.isfinite(end) for end in ends)
        or not ends[0] < ends[1]
    ):
        raise ValueError(
            "The 'feature_range' parameter of LeNet5Classifier must be None or two numbers,"
            f" the lower one first. Got {feature_range!r} instead."
        )
    return (float(ends[0]), float(ends[1]))


def _are_positive_integers(values) -> bool:
    """Return whether `values` is an ordered sequence of positive integers."""
    return (
        not isinstance(values, Mapping | Set)
        and np.ndim(values) == 1
        and all(isinstance(n, Integral) and not isinstance(n, bool) for n in values)
        and all(int(n) > 0 for n in values)
    )


def check_hidden(hidden) -> None:
    """Raise a ValueError if the parameter `hidden` is not a sequence of layer widths."""
    if not _are_positive_integers(hidden):
        raise ValueError(
            "The 'hidden' parameter of LeNet5Classifier must be a sequence of positive"
            " integers, the number of units of each layer, such as (120, 84). Got"
            f" {hidden!r} instead."
        )


def check_maps(maps) -> None:
    """Raise a ValueError if the parameter `maps` is not a pair of positive integers."""
    if not _are_positive_integers(maps) or len(maps) != 2:
        raise ValueError(
            "The 'maps' parameter of LeNet5Classifier must be two positive integers, the"
            " number of feature maps of C1 and of C3, such as (6, 16). Got"
            f" {maps!r} instead."
        )


def get_padding_width(padding) -> int | None:
    """Return the width in pixels that the parameter `padding` sets; None for "canvas"."""
    return None if padding == "canvas" else int(padding)


def make_canvas(
    params: dict[str, Any], image_shape: ImageShape, pixel_range: tuple[float, float]
) -> Canvas:
    """Return the canvas on which the network sees images.

    Parameters
    ----------
    params : dict
        Parameters of LeNet5Classifier: ``feature_range`` and ``padding`` are used.
    image_shape : tuple of int (c, h, w)
    pixel_range : tuple of float (low, high)
        Minimum and maximum of the training data.
    """
    feature_range = check_feature_range(params["feature_range"])
    padding = get_padding_width(params["padding"])
    return Canvas(image_shape, *pixel_range, feature_range, padding)


def check_kernel_size(estimator, image_shape: ImageShape) -> None:
    """Raise a ValueError if the kernels are too large for images of this shape.

    Parameters
    ----------
    estimator : LeNet5Classifier
        Unfitted, with valid parameters.
    image_shape : tuple of int (c, h, w)
    """
    shape = Canvas(image_shape, padding=get_padding_width(estimator.padding)).shape
    kernel = estimator.kernel_size
    if min(compute_s4_side(side, kernel) for side in shape[1:]) < 1:
        smallest = 3 * kernel + 1
        raise ValueError(
            f"The 'kernel_size' parameter is {kernel!r}: two convolutions and two poolings"
            f" leave nothing of {shape[1]}x{shape[2]} pixels, the size of images of"
            f" {image_shape[1]}x{image_shape[2]} with padding={estimator.padding!r}; they"
            f" need {smallest}x{smallest}. Lower it, or raise the 'padding' parameter."
        )


# Maximum number of weights of a network: 4 GB in float32, and several times as much
# during training.
MAX_WEIGHTS = 1_000_000_000


def count_weights(estimator, image_shape: ImageShape, n_outputs: int) -> int:
    """Return the number of weights and biases of a network, without building it.

    The weights of ``pooling="subsample"`` and the codes of ``output="rbf"`` are not
    counted.

    Parameters
    ----------
    estimator : LeNet5Classifier
        Unfitted, with valid parameters.
    image_shape : tuple of int (c, h, w)
    n_outputs : int
    """
    width = get_padding_width(estimator.padding)
    channels, *sides = Canvas(image_shape, padding=width).shape
    kernel = int(estimator.kernel_size)
    n_first, n_second = map(int, estimator.maps)
    n_weights = n_first * (channels * kernel**2 + 1) + n_second * (n_first * kernel**2 + 1)
    # A kernel larger than the image would give negative sides.
    n_inputs = n_second * math.prod(max(0, compute_s4_side(side, kernel)) for side in sides)
    for n_units in (*map(int, estimator.hidden), n_outputs):
        n_weights += n_units * (n_inputs + 1)
        n_inputs = n_units
    return n_weights


def check_size(
    estimator, image_shape: ImageShape, n_outputs: int, limit: int = MAX_WEIGHTS
) -> None:
    """Raise a ValueError if the network would have more than `limit` weights.

    The message names the parameter that contributes most. No memory is allocated.

    Parameters
    ----------
    estimator : LeNet5Classifier
        Unfitted, with valid parameters.
    image_shape : tuple of int (c, h, w)
    n_outputs : int
    limit : int
    """
    n_weights = count_weights(estimator, image_shape, n_outputs)
    if n_weights <= limit:
        return
    defaults = {
        name: p.default for name, p in signature(type(estimator)).parameters.items()
    }
    name = min(
        ("hidden", "maps", "padding", "kernel_size"),
        key=lambda name: count_weights(
            clone(estimator).set_params(**{name: defaults[name]}), image_shape, n_outputs
        ),
    )
    count = f"{n_weights:,}" if n_weights < 10**15 else "more than 10^15"
    raise ValueError(
        f"The {name!r} parameter of LeNet5Classifier is {getattr(estimator, name)!r}, with"
        f" which the network for images of {'x'.join(map(str, image_shape))} has {count}"
        f" weights, more than the limit of {limit:,}. Lower it."
    )
