"""The scikit-learn pipelines of the settings of a study."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.pipeline import Pipeline

from sklenet.datasets.registry import ImageDataset
from sklenet.estimator import LeNet5Classifier
from sklenet.images.shapes import infer_image_shape
from sklenet.study.config.factors import is_of_step, split_factors
from sklenet.study.config.spec import Study
from sklenet.study.config.steps import change_steps, make_steps
from sklenet.study.config.tables import Setting

CLASSIFIER = "classifier"  # name of the last step

# Prefix of the parameters of the pipeline in a search.
PREFIX = "pipeline__"

# Transformers that keep the shape of the images.
_PIXELWISE = ("DarkBackground", "Disturber", "Inverter", "PixelScaler")


def make_pipeline(
    study: Study, setting: Setting | None = None, dataset: ImageDataset | None = None
) -> Pipeline:
    """Return the unfitted pipeline of a setting.

    Parameters
    ----------
    study : Study
    setting : Setting, optional
        If None, the pipeline has the parameters of the study itself.
    dataset : ImageDataset, optional
        The dataset. If its images have a shape that cannot be inferred from the number of
        their pixels, the classifier is told the shape.
    """
    steps, parameters = study.steps, study.estimator
    if setting is not None:
        steps = study.steps if setting.steps is None else setting.steps
        parameters = parameters | setting.estimator
    return _make_pipeline(steps, parameters, dataset)


def make_candidate(
    study: Study, params: Mapping[str, Any], dataset: ImageDataset | None = None
) -> Pipeline:
    """Return the unfitted pipeline of a candidate of a search.

    Parameters
    ----------
    study : Study
    params : mapping of str to object
        Values of the factors of the grid, by their names in the study.
    dataset : ImageDataset, optional
        The dataset; see `make_pipeline`.
    """
    own, of_steps = split_factors(params)
    steps = change_steps(study.steps, of_steps)
    return _make_pipeline(steps, study.estimator | own, dataset)


def _make_pipeline(
    steps: Sequence[dict], parameters: dict, dataset: ImageDataset | None
) -> Pipeline:
    if dataset is not None and "image_shape" not in parameters:
        shape = dataset.image_shape
        is_kept = all(step.get("transformer") in _PIXELWISE for step in steps)
        if is_kept and infer_image_shape(math.prod(shape)) != shape:
            parameters = parameters | {"image_shape": list(shape)}
    return Pipeline([*make_steps(steps), (CLASSIFIER, LeNet5Classifier(**parameters))])


def to_search_name(name: str) -> str:
    """Return the name in a search over pipelines of a parameter in the grid of a study."""
    return f"{PREFIX}{name}" if is_of_step(name) else f"{PREFIX}{CLASSIFIER}__{name}"


def to_study_name(name: str) -> str:
    """Return the name in a study of a parameter, or of its column, in a search."""
    return name.replace(PREFIX, "").replace(f"{CLASSIFIER}__", "")
