"""The scikit-learn pipelines that a study's settings describe."""

from functools import cache

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from sklenet.estimator import LeNet5Classifier
from sklenet.study.config.allowed import TRANSFORMERS, check_step_value, find_transformer
from sklenet.study.config.spec import Setting, Study
from sklenet.study.config.values import short_repr

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
        If a transformer or a parameter is not one that a study file may name.
    """
    made: list[tuple[str, BaseEstimator]] = []
    for step in steps:
        if "transformer" not in step:
            raise ValueError(
                f"the step {short_repr(step)} has no 'transformer': name one of"
                f" {', '.join(TRANSFORMERS)}."
            )
        found = find_transformer(step["transformer"])
        parameters = {key: value for key, value in step.items() if key != "transformer"}
        for key, value in parameters.items():
            check_step_value(found, key, value)
        name = found.__name__.lower()
        if name in dict(made):
            raise ValueError(f"{found.__name__} is there twice; once is enough.")
        made.append((name, found(**parameters)))
    return made


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


@cache
def classifier_parameters() -> tuple[str, ...]:
    """Return the names of the parameters of LeNet5Classifier, sorted."""
    return tuple(sorted(LeNet5Classifier().get_params()))


def _is_classifiers(name: str) -> bool:
    return name.split("__")[0] in classifier_parameters()
