"""What a study must satisfy beyond the types of its keys."""

import difflib
import math
from collections.abc import Iterable

import numpy as np
import torch
from sklearn.metrics import get_scorer_names
from sklearn.pipeline import Pipeline

from sklenet.checks import check_padding
from sklenet.estimator import LeNet5Classifier
from sklenet.images import Canvas, check_image_shape
from sklenet.study.pipelines import CLASSIFIER, make_pipeline, make_steps
from sklenet.study.spec import Setting, Study, figure_names
from sklenet.training.build import build_net

_TAKEN = {
    "random_state": "the key 'seeds'",
    "verbose": "the command, which shows every fit",
}

# (channels, height, width) of the images of each data set.
SHAPES = {
    "digits": (1, 8, 8),
    "mnist": (1, 28, 28),
    "fashion_mnist": (1, 28, 28),
    "cifar10": (3, 32, 32),
}

Key = tuple[str, ...]


class BadKey(ValueError):
    """A study's key with a wrong value; `key` is its path in the file."""

    def __init__(self, key: Key, message: str) -> None:
        super().__init__(message)
        self.key = key


def suggest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...? Known: ...", the end of a message."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return f"{guess} Known: {', '.join(known)}."


def check_study(study: Study) -> None:
    """Raise a BadKey if the study cannot be run as it is."""
    _check_names(study)
    _check_figures(study)
    _check_pipeline(study, ("estimator",), None)
    key: Key
    for k, setting in enumerate(study.setting):
        key = ("setting", str(k))
        for name in setting.grid:
            check_parameter((*key, "grid", name), name)
            if name in setting.estimator:
                raise BadKey(
                    (*key, "grid", name),
                    f"{name!r} is both in the setting's 'estimator' and in its 'grid':"
                    " remove one.",
                )
        for one in setting.expand():
            _check_pipeline(study, key, one)
    for k, test in enumerate(study.test):
        key = ("test", str(k), "steps")
        for _, step in checked(key, make_steps, test.steps):
            checked(key, step._validate_params)


def _check_names(study: Study) -> None:
    for name, values in (
        ("seeds", study.seeds),
        ("data", study.data),
        ("metrics", study.metrics),
        *(("setting", [s.name for s in study.settings_for(data)]) for data in study.data),
        ("test", study.tests),
    ):
        twice = [value for value in values if list(values).count(value) > 1]
        if twice:
            raise BadKey(
                (name,), f"{name}: {list(values)} names one of them twice: {twice[0]!r}."
            )
    for k, setting in enumerate(study.setting):
        for data in setting.data or ():
            if data not in study.data:
                raise BadKey(
                    ("setting", str(k), "data"),
                    f"setting: {setting.name!r} is for {data!r}, which is not in 'data':"
                    f" {', '.join(study.data)}.",
                )
        seeds = list(setting.seeds or ())
        if len(set(seeds)) < len(seeds):
            raise BadKey(
                ("setting", str(k), "seeds"),
                f"setting: the seeds of {setting.name!r}, {seeds}, name one of them twice.",
            )
        if seeds and study.search:
            raise BadKey(
                ("setting", str(k), "seeds"),
                f"setting: {setting.name!r} has seeds of its own, but a search compares"
                " settings with the same: remove them.",
            )
    scorers = get_scorer_names()
    for name in study.metrics:
        if name not in scorers:
            raise BadKey(
                ("metrics",), f"metrics: no scorer {name!r}.{suggest(name, scorers)}"
            )


def _check_figures(study: Study) -> None:
    known = figure_names(study)
    for k, published in enumerate(study.published):
        key = ("published", str(k))
        if published.data not in study.data:
            raise BadKey(
                (*key, "data"),
                f"published: a figure on {published.data!r}, which is not in 'data':"
                f" {', '.join(study.data)}.",
            )
        # A search trains its winner only, whichever that is.
        own = study.settings_for(published.data) if study.setting else []
        names: list[str | None] = [setting.name for setting in own]
        allowed = names if study.setting and not study.search else [*names, None]
        if published.setting not in allowed:
            known_names = suggest(str(published.setting), map(str, names))
            raise BadKey(
                (*key, "setting"),
                f"published: the figures of {published.source!r} are for the setting"
                f" {published.setting!r}.{known_names}",
            )
        for name, value in published.figures.items():
            if name not in known:
                raise BadKey(
                    (*key, "figures", name),
                    f"published: no figure {name!r}.{suggest(name, known)}",
                )
            if not math.isfinite(value):
                raise BadKey(
                    (*key, "figures", name), f"published: {name} is {value!r}, no number."
                )
            if "accuracy" in name and not 0 <= value <= 1:
                raise BadKey(
                    (*key, "figures", name),
                    f"published: {name} is {value!r}; an accuracy is between 0 and 1.",
                )

        for name, values in published.curves.items():
            if name.startswith("valid") and study.validation is None:
                raise BadKey(
                    (*key, "curves", name),
                    f"published: the curve {name!r} needs ours: set 'validation'.",
                )
            if not all(map(math.isfinite, values)):
                raise BadKey(
                    (*key, "curves", name),
                    f"published: {name} has values that are no numbers.",
                )


def _check_pipeline(study: Study, key: Key, setting: Setting | None) -> None:
    section = key if setting is None else (*key, "estimator")
    own = (study if setting is None else setting).estimator
    for name, value in own.items():
        check_parameter((*section, name), name)
        try:
            _check_values((*section, name), {name: value})
        except BadKey:
            # Alone it may be wrong, such as loss = "distance" without output = "rbf".
            _check_values((*section, name), study.estimator | own)
    steps = ("steps",) if setting is None or setting.steps is None else (*key, "steps")
    pipeline = checked(steps, make_pipeline, study, setting)
    for _, step in pipeline.steps[:-1]:
        checked(steps, step._validate_params)
    check_classifier(section, pipeline)
    data = study.data if setting is None or setting.data is None else setting.data
    check_shapes(section, pipeline, data)
    if study.validation == "test" and pipeline[-1].early_stopping:
        raise BadKey(
            section,
            "early_stopping with validation = 'test' would report the best test epoch:"
            " hold out a part of the training set, validation = 0.1.",
        )


def check_shapes(key: Key, pipeline: Pipeline, data: Iterable[str]) -> None:
    """Check what the classifier makes of the data sets' shapes, without other steps."""
    if len(pipeline.steps) > 1:
        return
    classifier = pipeline[-1]
    for name in data:
        shape = check_image_shape(classifier.image_shape) or SHAPES[name]
        if math.prod(shape) != math.prod(SHAPES[name]):
            raise BadKey(
                key,
                f"the 'image_shape' parameter is {classifier.image_shape!r}, but images of"
                f" {name} are {'x'.join(map(str, SHAPES[name]))}.",
            )
        checked(key, check_padding, classifier, shape)


def check_parameter(key: Key, name: str) -> None:
    known = sorted(LeNet5Classifier().get_params())
    if name not in known:
        raise BadKey(
            key,
            f"unknown key '{'.'.join(key)}': LeNet5Classifier has no such parameter."
            f"{suggest(name, known)}",
        )
    if name in _TAKEN:
        raise BadKey(key, f"'{'.'.join(key)}' is decided by {_TAKEN[name]}: remove it.")


def _check_values(key: Key, parameters: dict) -> None:
    check_classifier(key, Pipeline([(CLASSIFIER, LeNet5Classifier(**parameters))]))


def check_classifier(key: Key, pipeline: Pipeline) -> None:
    classifier = pipeline[-1]
    checked(key, classifier._check_parameters)
    if classifier.net_params:
        # skorch knows only of a whole net whether its arguments are right.
        params = classifier.get_params()
        checked(
            key, build_net, params, Canvas((1, 28, 28)), np.arange(2), torch.device("cpu")
        )


def checked(key: Key, function, *arguments):
    """Call `function`; its complaint is about `key`."""
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        raise BadKey(key, f"{'.'.join(key)}: {error}") from error
