"""Checks of the parameters of LeNet5Classifier in a study, and of its networks."""

import functools
import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import AfterValidator, StrictStr

from sklenet._utils.names import suggest_similar
from sklenet.datasets.registry import ImageDataset
from sklenet.estimator import LeNet5Classifier
from sklenet.images.canvas import Canvas
from sklenet.images.shapes import check_image_shape
from sklenet.images.views import VIEWS, read_views
from sklenet.study.config.allowed import (
    MAX_WEIGHTS,
    check_constraints,
    check_estimator_value,
)
from sklenet.study.config.errors import (
    BadKey,
    ErrorCollector,
    report_errors,
    suggest,
)
from sklenet.training.augment import AUGMENTATIONS, read_augment
from sklenet.training.build import build_net
from sklenet.training.parameters import check_kernel_size, check_size

_SET_ELSEWHERE = {
    "random_state": "by the key 'seeds'",
    "verbose": "by the command, which shows the progress of every fit",
}


@functools.cache
def list_classifier_parameters() -> tuple[str, ...]:
    """Return the names of the parameters of LeNet5Classifier, sorted."""
    return tuple(sorted(LeNet5Classifier().get_params()))


def check_parameter(name: str, value) -> None:
    """Raise a BadKey if a study may not set this parameter, or not to this value.

    Combinations of parameters are checked by `check_classifier`.
    """
    known = list_classifier_parameters()
    if name not in known:
        raise BadKey(
            (), f"LeNet5Classifier has no parameter {name!r}.{suggest(name, known)}"
        )
    if name in _SET_ELSEWHERE:
        raise BadKey((), f"{name!r} is set {_SET_ELSEWHERE[name]}. Remove it.")
    with report_errors():
        check_estimator_value(name, value)
        check_constraints(LeNet5Classifier, name, value)
        if name in _OF_NAMES:
            _check_names(value, *_OF_NAMES[name])


# Parameters that are made of names and tables, how to read them, and the names.
_OF_NAMES = {"augment": (read_augment, AUGMENTATIONS), "views": (read_views, VIEWS)}


def _check_names(value, read: Callable, known: Collection[str]) -> None:
    try:
        read(value)
    except ValueError as error:
        entries = value if isinstance(value, list | tuple) else [value]
        names = [n for one in entries for n in (one if isinstance(one, dict) else [one])]
        unknown = [n for n in names if isinstance(n, str) and n not in known]
        similar = suggest_similar(unknown[0], known) if unknown else ""
        raise ValueError(f"{error}{similar}") from None


def _check_parameters(parameters: dict) -> dict:
    errors = ErrorCollector()
    for name, value in parameters.items():
        with errors.collect(name):
            check_parameter(name, value)
    errors.raise_errors()
    return parameters


Parameters = Annotated[dict[StrictStr, Any], AfterValidator(_check_parameters)]


def check_classifier(
    common: Mapping, own: Mapping, data: Iterable[ImageDataset], *, has_steps: bool
) -> None:
    """Raise a BadKey if a classifier cannot be trained on the images of the datasets.

    Parameters
    ----------
    common : mapping
        Parameters of the classifier that it shares with others.
    own : mapping
        Parameters of this classifier, which take precedence. If one of them is not valid
        by itself, the error names it.
    data : iterable of ImageDataset
        Datasets whose images are known.
    has_steps : bool
        Whether transformers precede the classifier. They may change the shape of the
        images, which is then not checked.
    """
    classifier = LeNet5Classifier(**{**common, **own})
    try:
        _check_combination(classifier)
    except BadKey:
        for name, value in own.items():
            with report_errors(name):
                _check_combination(LeNet5Classifier(**{name: value}))
        raise
    with report_errors():
        for dataset in data:
            if has_steps:
                check_size(classifier, (1, 28, 28), dataset.n_classes, MAX_WEIGHTS)
            else:
                _check_images(classifier, dataset)


def _check_combination(classifier: LeNet5Classifier) -> None:
    with report_errors():
        classifier.check_parameters()
        if classifier.net_params:
            names = ("optimizer", "momentum", "weight_decay", "net_params")
            _check_net(json.dumps({name: getattr(classifier, name) for name in names}))


@functools.lru_cache(1024)
def _check_net(parameters: str) -> None:
    """Build a net with these parameters, given as JSON.

    skorch and torch check the arguments of an optimizer only when a net is built.
    """
    params = LeNet5Classifier(**json.loads(parameters)).get_params()
    try:
        build_net(params, Canvas((1, 28, 28)), np.arange(2), torch.device("cpu"))
    except Exception as error:
        raise ValueError(
            "The 'net_params' parameter of LeNet5Classifier is not valid:"
            f" {error or type(error).__name__}"
        ) from error


def _check_images(classifier: LeNet5Classifier, dataset: ImageDataset) -> None:
    """Check that the network fits the images of a dataset, and is not too large."""
    shape = check_image_shape(classifier.image_shape) or dataset.image_shape
    if math.prod(shape) != math.prod(dataset.image_shape):
        raise ValueError(
            "The 'image_shape' parameter must be a shape of the images of"
            f" {dataset.name}, which are {'x'.join(map(str, dataset.image_shape))}. Got"
            f" {classifier.image_shape!r}."
        )
    check_kernel_size(classifier, shape)
    check_size(classifier, shape, dataset.n_classes, MAX_WEIGHTS)
