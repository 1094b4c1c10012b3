"""The scikit-learn pipelines of the settings of a study."""

import math

from sklearn.pipeline import Pipeline

from sklenet.datasets.registry import ImageDataset
from sklenet.estimator import LeNet5Classifier
from sklenet.images.shapes import infer_image_shape
from sklenet.study.config.parameters import list_classifier_parameters
from sklenet.study.config.spec import Study
from sklenet.study.config.steps import make_steps
from sklenet.study.config.tables import Setting

CLASSIFIER = "classifier"  # name of the last step

# Prefix of the parameters of the pipeline in a search.
PREFIX = "pipeline__"

# Transformers that keep the shape of the images.
_PIXELWISE = ("DarkBackground", "Inverter", "PixelScaler")


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
    if dataset is not None and "image_shape" not in parameters:
        shape = dataset.image_shape
        is_kept = all(step.get("transformer") in _PIXELWISE for step in steps)
        if is_kept and infer_image_shape(math.prod(shape)) != shape:
            parameters = parameters | {"image_shape": list(shape)}
    classifier = LeNet5Classifier(**parameters)
    return Pipeline([*make_steps(steps), (CLASSIFIER, classifier)])


def to_pipeline_name(name: str) -> str:
    """Return the name in the pipeline of a parameter in the grid of a study."""
    step, separator, _ = name.partition("__")
    is_step = separator and step not in list_classifier_parameters()
    return name if is_step else f"{CLASSIFIER}__{name}"


def to_search_name(name: str) -> str:
    """Return the name in a search over pipelines of a parameter in the grid of a study."""
    return PREFIX + to_pipeline_name(name)


def to_study_name(name: str) -> str:
    """Return the name in a study of a parameter, or of its column, in a search."""
    return name.replace(PREFIX, "").replace(f"{CLASSIFIER}__", "")
