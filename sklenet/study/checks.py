"""What a study must satisfy beyond the types of its keys."""

import difflib
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline

from sklenet.estimator import LeNet5Classifier
from sklenet.images import Canvas
from sklenet.study.pipelines import CLASSIFIER, make_pipeline, make_steps, qualified
from sklenet.study.spec import Search, Setting, Study, figure_names
from sklenet.training.net import build_net

_TAKEN = {
    "random_state": "the key 'seeds'",
    "verbose": "the command, which shows every fit",
}

DISTRIBUTIONS = ("uniform", "loguniform", "randint")

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
    for k, setting in enumerate(study.setting):
        key = ("setting", str(k))
        for name in setting.grid:
            _check_parameter((*key, "grid", name), name)
            if name in setting.estimator:
                raise BadKey(
                    (*key, "grid", name),
                    f"{name!r} is both in the setting's 'estimator' and in its 'grid':"
                    " remove one.",
                )
        for one in setting.expand():
            _check_pipeline(study, key, one)
    for k, test in enumerate(study.test):
        _checked(("test", str(k), "steps"), make_steps, test.steps)
    if study.search:
        _check_search(study, study.search)


def _check_names(study: Study) -> None:
    for name, values in (
        ("seeds", study.seeds),
        ("data", study.data),
        ("metrics", study.metrics),
        ("setting", [setting.name for setting in study.settings]),
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
    scorers = get_scorer_names()
    for name in study.metrics:
        if name not in scorers:
            raise BadKey(
                ("metrics",), f"metrics: no scorer {name!r}.{suggest(name, scorers)}"
            )


def _check_figures(study: Study) -> None:
    names: list[str | None] = [setting.name for setting in study.settings]
    known = figure_names(study)
    for k, published in enumerate(study.published):
        key = ("published", str(k))
        if published.data not in study.data:
            raise BadKey(
                (*key, "data"),
                f"published: a figure on {published.data!r}, which is not in 'data':"
                f" {', '.join(study.data)}.",
            )
        if published.setting not in (names or [None]):
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
            if "accuracy" in name and not 0 <= value <= 1:
                raise BadKey(
                    (*key, "figures", name),
                    f"published: {name} is {value!r}; an accuracy is between 0 and 1.",
                )


def _check_pipeline(study: Study, key: Key, setting: Setting | None) -> None:
    section = key if setting is None else (*key, "estimator")
    for name, value in (study if setting is None else setting).estimator.items():
        _check_parameter((*section, name), name)
        _check_values((*section, name), {name: value})
    steps = ("steps",) if setting is None or setting.steps is None else (*key, "steps")
    pipeline = _checked(steps, make_pipeline, study, setting)
    for _, step in pipeline.steps[:-1]:
        _checked(steps, step._validate_params)
    _check_classifier(section, pipeline)


def _check_parameter(key: Key, name: str) -> None:
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
    _check_classifier(key, Pipeline([(CLASSIFIER, LeNet5Classifier(**parameters))]))


def _check_classifier(key: Key, pipeline: Pipeline) -> None:
    classifier = pipeline[-1]
    _checked(key, classifier._check_parameters)
    if classifier.net_params:
        # skorch knows only of a whole net whether its arguments are right.
        params = classifier.get_params()
        _checked(
            key, build_net, params, Canvas((1, 28, 28)), np.arange(2), torch.device("cpu")
        )


def _checked(key: Key, function, *arguments):
    """Call `function`; its complaint is about `key`."""
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        raise BadKey(key, f"{'.'.join(key)}: {error}") from error


def _check_search(study: Study, search: Search) -> None:
    key = ("search",)
    needed = {
        "grid": ({"grid"}, set()),
        "random": ({"grid", "n_iter"}, set()),
        "halving": ({"grid", "resource"}, {"min_resources", "max_resources", "factor"}),
        "settings": (set(), set()),
    }
    required, optional = needed[search.kind]
    for name in ("grid", "n_iter", "resource", "min_resources", "max_resources", "factor"):
        given = bool(getattr(search, name))
        if name in required and not given:
            raise BadKey(key, f"search: kind {search.kind!r} needs the key '{name}'.")
        if given and name not in required | optional:
            raise BadKey((*key, name), f"search.{name}: not for kind {search.kind!r}.")
    if search.kind == "settings" and len(study.settings) < 2:
        raise BadKey(key, "search: kind 'settings' needs at least two [[setting]]s.")
    if search.kind != "settings" and study.setting:
        raise BadKey(
            key, f"search: kind {search.kind!r} and [[setting]]s exclude each other."
        )
    if search.resource == "max_epochs":
        for name in ("min_resources", "max_resources"):
            if getattr(search, name) is None:
                raise BadKey(key, f"search: the resource 'max_epochs' needs '{name}'.")
    _check_grid(study, search)


def _check_grid(study: Study, search: Search) -> None:
    pipeline = make_pipeline(study)
    values: dict[str, list] = {}
    for name, given in search.grid.items():
        key = ("search", "grid", name)
        step, _, parameter = name.partition("__")
        if parameter and step in pipeline.named_steps and step != CLASSIFIER:
            if parameter not in pipeline[step].get_params():
                raise BadKey(
                    key,
                    f"unknown key 'search.grid.{name}': {step} has no parameter"
                    f" {parameter!r}.{suggest(parameter, pipeline[step].get_params())}",
                )
        else:
            _check_parameter(key, name)
            if name in study.estimator:
                raise BadKey(
                    key,
                    f"{name!r} is both in 'estimator' and in 'search.grid': remove one.",
                )
        if name == search.resource:
            raise BadKey(key, f"{name!r} is both in 'search.grid' and the 'resource'.")
        values[qualified(name)] = _examples(search, key, given)
    if search.kind == "random":  # not all of them: there may be millions
        candidates = [{k: v[end] for k, v in values.items()} for end in (0, -1)]
    else:
        candidates = ParameterGrid(values)
    for name, of_one in values.items():
        for value in of_one:
            _check_candidate(
                ("search", "grid", name.split("__")[-1]), pipeline, {name: value}
            )
    for candidate in candidates:
        _check_candidate(("search", "grid"), pipeline, candidate)


def _check_candidate(key: Key, pipeline: Pipeline, parameters: dict) -> None:
    candidate = clone(pipeline).set_params(**parameters)
    for _, step in candidate.steps[:-1]:
        _checked(key, step._validate_params)
    _check_classifier(key, candidate)


def _examples(search: Search, key: Key, given) -> list:
    """Return the values of a grid's list, or the ends of a distribution."""
    if not isinstance(given, Mapping):
        return list(given)
    name = ".".join(key)
    if search.kind != "random":
        raise BadKey(key, f"{name}: a distribution is for kind 'random'; give a list.")
    (kind, ends), *more = given.items()
    if more or kind not in DISTRIBUTIONS or len(ends) != 2 or not ends[0] < ends[1]:
        raise BadKey(
            key,
            f"{name}: {dict(given)!r} is not a distribution. Right would be one of"
            f" {', '.join(DISTRIBUTIONS)} with two ends, the lower one first, such as"
            " {loguniform = [1e-4, 1e-1]}.",
        )
    return [ends[0], ends[1] - 1 if kind == "randint" else ends[1]]
