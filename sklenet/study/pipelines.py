"""The scikit-learn pipelines that a study's settings describe."""

import importlib
import inspect

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from sklenet import preprocessing
from sklenet.estimator import LeNet5Classifier
from sklenet.study.spec import Setting, Study

CLASSIFIER = "classifier"

# Of the pipeline's parameters, as a search names them.
PREFIX = "pipeline__"


def make_steps(steps) -> list[tuple[str, BaseEstimator]]:
    """Return named transformers, as a Pipeline takes them.

    Parameters
    ----------
    steps : sequence of dict
        Each with a ``transformer`` and its parameters.

    Raises
    ------
    ValueError
        Naming what is unknown, and what is known.
    """
    made: list[tuple[str, BaseEstimator]] = []
    for step in steps:
        if "transformer" not in step:
            raise ValueError(
                f"the step {step!r} has no 'transformer': name one of"
                f" {', '.join(preprocessing.__all__)}."
            )
        found = _find(step["transformer"])
        known = sorted(inspect.signature(found).parameters)
        parameters = {key: value for key, value in step.items() if key != "transformer"}
        for key in parameters:
            if key == "random_state":
                raise ValueError(f"{key!r} is decided by the key 'seeds': remove it.")
            if key not in known:
                raise ValueError(
                    f"{found.__name__} has no parameter {key!r}. Known: {', '.join(known)}."
                )
        name = found.__name__.lower()
        if name in dict(made):
            raise ValueError(f"{found.__name__} is there twice; once is enough.")
        made.append((name, found(**parameters)))
    return made


def _find(name) -> type:
    if name in preprocessing.__all__:
        return getattr(preprocessing, name)
    module, _, last = str(name).rpartition(".")
    if module.split(".")[0] == "sklearn":
        try:
            found = getattr(importlib.import_module(module), last)
        except (ImportError, AttributeError):
            raise ValueError(f"scikit-learn has no {name!r}.") from None
        if hasattr(found, "transform"):
            return found
    raise ValueError(
        f"no transformer {name!r}. Known: {', '.join(preprocessing.__all__)}, and those of"
        " scikit-learn by their whole name, such as 'sklearn.decomposition.PCA'."
    )


def make_pipeline(study: Study, setting: Setting | None = None) -> Pipeline:
    """Return the unfitted pipeline of a setting, or of the study's own parameters."""
    steps, parameters = study.steps, study.estimator
    if setting is not None:
        steps = study.steps if setting.steps is None else setting.steps
        parameters = parameters | setting.estimator
    classifier = LeNet5Classifier(**parameters)
    return Pipeline([*make_steps(steps), (CLASSIFIER, classifier)])


def qualified(name: str) -> str:
    """Return a grid's key as the pipeline's parameter: the classifier's, or a step's."""
    return name if "__" in name and not _is_classifiers(name) else f"{CLASSIFIER}__{name}"


def short(name: str) -> str:
    """Return a search's name of a parameter, or of its column, in a study file's words."""
    return name.replace(PREFIX, "").replace(f"{CLASSIFIER}__", "")


def _is_classifiers(name: str) -> bool:
    return name.split("__")[0] in LeNet5Classifier().get_params()
