"""What a study must satisfy beyond the types of its keys."""

import difflib
import functools
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from sklearn.metrics import get_scorer_names

from sklenet.estimator import LeNet5Classifier
from sklenet.images.canvas import Canvas
from sklenet.images.shapes import check_image_shape
from sklenet.study.config.allowed import MAX_WEIGHTS, check_estimator_value
from sklenet.study.config.pipelines import classifier_parameters, make_steps
from sklenet.study.config.spec import Setting, Study, StudyError, list_metrics
from sklenet.study.config.values import short_repr
from sklenet.training.build import build_net
from sklenet.training.samples.checks import check_padding, check_size

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

N_CLASSES = 10  # of each data set

# The most settings or candidates of a study, and the most fits.
MAX_SETTINGS = 10_000
MAX_FITS = 100_000

_MAX_NAMES = 40  # in a message

Key = tuple[str, ...]


class BadKey(StudyError):
    """A study's key with a wrong value; `key` is its path in the file."""

    def __init__(self, key: Key, message: str) -> None:
        super().__init__(message)
        self.key = key


def suggest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...? Known: ...", the end of a message."""
    known = list(known)
    close = difflib.get_close_matches(name[:200], known, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    more = ", ..." if len(known) > _MAX_NAMES else ""
    return f"{guess} Known: {', '.join(known[:_MAX_NAMES])}{more}."


def check_study(study: Study) -> None:
    """Raise a BadKey if the study cannot be run as it is."""
    check_counts(study)
    _check_names(study)
    _check_figures(study)
    _check_own_settings(study)
    for k, setting in enumerate(study.setting):
        _check_setting(study, ("setting", str(k)), setting)
    for k, test in enumerate(study.test):
        _check_steps(("test", str(k), "steps"), test.steps)


def n_combinations(grid: Mapping) -> int:
    """Return how many combinations a grid has, without making them."""
    return math.prod(len(values) for values in grid.values())


def check_counts(study: Study) -> None:
    """Raise a BadKey if the study has too many settings, candidates or fits.

    They are counted before any grid is expanded: a file of a hundred bytes can ask for
    thousands of millions of fits.
    """
    per_setting = [n_combinations(setting.grid) for setting in study.setting]
    largest = str(int(np.argmax([min(n, 10**9) for n in per_setting] or [0])))
    _check_count(("setting", largest), "settings", sum(per_setting), MAX_SETTINGS)
    search = study.search
    if search is None:
        settings = zip(study.setting, per_setting, strict=True)
        n_fits = sum(
            n * len(setting.seeds or study.seeds) * len(setting.data or study.data)
            for setting, n in settings
        )
        n_fits = n_fits if study.setting else len(study.seeds) * len(study.data)
    else:
        if search.kind == "settings":
            n = sum(per_setting)
        elif search.kind in ("random", "optuna"):
            n = search.n_iter or 0
        else:
            n = n_combinations(search.grid)
        _check_count(("search",), "candidates", n, MAX_SETTINGS)
        n_fits = (n * search.cv + len(study.seeds)) * len(study.data)
    _check_count(("search",) if search else ("seeds",), "fits", n_fits, MAX_FITS)


def _check_count(key: Key, what: str, n: int, limit: int) -> None:
    if n > limit:
        found = f"{n:,}" if n < 10**12 else "more than 10^12"
        raise BadKey(
            key,
            f"{key[0]}: the study has {found} {what}, more than the limit of"
            f" {limit:,}. Make it smaller, or several studies of it.",
        )


def _check_own_settings(study: Study) -> None:
    """Check the study's own estimator and steps."""
    for name, value in study.estimator.items():
        check_parameter(("estimator", name), name, value)
    _check_steps(("steps",), study.steps)
    _check_combination(study, ("estimator",), study.estimator, study.steps, study.data)


def _check_setting(study: Study, key: Key, setting: Setting) -> None:
    """Check a named setting, with all combinations of its grid."""
    section = (*key, "estimator") if setting.estimator else key
    for name, value in setting.estimator.items():
        check_parameter((*section, name), name, value)
    for name, values in setting.grid.items():
        for value in values:
            check_parameter((*key, "grid", name), name, value)
        if name in setting.estimator:
            raise BadKey(
                (*key, "grid", name),
                f"{name!r} is both in the setting's 'estimator' and in its 'grid':"
                " remove one.",
            )
    steps = study.steps if setting.steps is None else setting.steps
    if setting.steps is not None:
        _check_steps((*key, "steps"), steps)
    data = study.data if setting.data is None else setting.data
    for one in setting.expand():
        _check_combination(study, section, one.estimator, steps, data)


def _check_steps(key: Key, steps) -> None:
    for _, step in checked(key, make_steps, steps):
        checked(key, step._validate_params)


def _check_combination(study: Study, section: Key, own: Mapping, steps, data) -> None:
    """Check one classifier: the study's parameters, and a setting's own ones."""
    classifier = LeNet5Classifier(**{**study.estimator, **own})
    try:
        check_classifier(section, classifier)
    except BadKey:
        for name, value in own.items():  # to name the one that is wrong by itself
            check_classifier((*section, name), LeNet5Classifier(**{name: value}))
        raise
    check_shapes(section, classifier, data, has_steps=bool(steps))
    if study.validation == "test" and classifier.early_stopping:
        raise BadKey(
            section,
            "early_stopping with validation = 'test' would report the best test epoch:"
            " hold out a part of the training set, validation = 0.1.",
        )


def _check_names(study: Study) -> None:
    for name, values in (
        ("seeds", study.seeds),
        ("data", study.data),
        ("metrics", study.metrics),
        *(("setting", [s.name for s in study.settings_for(data)]) for data in study.data),
        ("test", study.tests),
    ):
        twice = _first_twice(values)
        if twice is not None:
            raise BadKey(
                (name,),
                f"{name}: {short_repr(list(values))} names one of them twice: {twice!r}.",
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
                f"setting: the seeds of {setting.name!r}, {short_repr(seeds)}, name one of"
                " them twice.",
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


def _first_twice(values):
    """Return the first value that occurs twice; None if there is none."""
    return next((value for value, n in Counter(values).items() if n > 1), None)


def _check_figures(study: Study) -> None:
    known = list_metrics(study)
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


def check_shapes(
    key: Key, classifier: LeNet5Classifier, data: Iterable[str], *, has_steps: bool
) -> None:
    """Check that the network fits the data sets' images, and is not too large.

    Transformers may change the shape of the images, which is then not checked.
    """
    if has_steps:
        _check_size(key, classifier, (1, 28, 28))
        return
    for name in data:
        shape = check_image_shape(classifier.image_shape) or SHAPES[name]
        if math.prod(shape) != math.prod(SHAPES[name]):
            raise BadKey(
                key,
                f"the 'image_shape' parameter is {classifier.image_shape!r}, but images of"
                f" {name} are {'x'.join(map(str, SHAPES[name]))}.",
            )
        checked(key, check_padding, classifier, shape)
        _check_size(key, classifier, shape)


def _check_size(key: Key, classifier: LeNet5Classifier, shape) -> None:
    checked(key, check_size, classifier, shape, N_CLASSES, MAX_WEIGHTS)


def check_parameter(key: Key, name: str, value) -> None:
    """Raise a BadKey if a study may not give the estimator's parameter this value."""
    known = classifier_parameters()
    if name not in known:
        raise BadKey(
            key,
            f"unknown key '{'.'.join(key)}': LeNet5Classifier has no such parameter."
            f"{suggest(name, known)}",
        )
    if name in _TAKEN:
        raise BadKey(key, f"'{'.'.join(key)}' is decided by {_TAKEN[name]}: remove it.")
    checked(key, check_estimator_value, name, value)


def check_classifier(key: Key, classifier: LeNet5Classifier) -> None:
    """Raise a BadKey if a combination of the estimator's parameters is wrong."""
    checked(key, classifier._check_parameters)
    if classifier.net_params:
        names = ("optimizer", "momentum", "weight_decay", "net_params")
        text = json.dumps({name: getattr(classifier, name) for name in names})
        problem = _net_problem(text)
        if problem:
            raise BadKey(key, f"{'.'.join(key)}: {problem}")


@functools.lru_cache(1024)
def _net_problem(text: str) -> str | None:
    """Return what is wrong with a net of these parameters, given as JSON.

    skorch and torch only know of a whole net whether its arguments are right.
    """
    params = LeNet5Classifier(**json.loads(text)).get_params()
    try:
        build_net(params, Canvas((1, 28, 28)), np.arange(2), torch.device("cpu"))
    except Exception as error:
        return f"the 'net_params' parameter: {error or type(error).__name__}"
    return None


def checked(key: Key, function, *arguments):
    """Call `function`; its complaint is about `key`."""
    try:
        return function(*arguments)
    except Exception as error:  # of whatever kind: the values are a stranger's
        text = str(error) or type(error).__name__
        raise BadKey(key, f"{'.'.join(key)}: {text}") from error
