"""What a study's search must satisfy."""

from collections.abc import Mapping
from typing import Any

from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline

from sklenet.study.checks import (
    BadKey,
    Key,
    check_classifier,
    check_parameter,
    check_shapes,
    checked,
    suggest,
)
from sklenet.study.pipelines import CLASSIFIER, make_pipeline, qualified
from sklenet.study.spec import Search, Study

DISTRIBUTIONS = ("uniform", "loguniform", "randint")


def check_search(study: Study) -> None:
    """Raise a BadKey if the study's search cannot be run as it is."""
    search = study.search
    if search is None:
        return
    key = ("search",)
    needed = {
        "grid": ({"grid"}, set()),
        "random": ({"grid", "n_iter"}, set()),
        "optuna": ({"grid", "n_iter"}, set()),
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
    smallest, largest = search.min_resources, search.max_resources
    if smallest is not None and largest is not None and smallest > largest:
        raise BadKey(
            (*key, "min_resources"),
            f"search: min_resources is {smallest}, above max_resources, {largest}.",
        )
    for data in study.data:
        if search.kind == "settings" and not study.settings_for(data):
            raise BadKey(key, f"search: there is no setting for {data!r}.")
    if search.resource == "max_epochs":
        for name in ("min_resources", "max_resources"):
            if getattr(search, name) is None:
                raise BadKey(key, f"search: the resource 'max_epochs' needs '{name}'.")
    if search.kind == "optuna":
        _check_optuna(study, search)
    _check_grid(study, search)


def _check_optuna(study: Study, search: Search) -> None:
    """Raise a BadKey for what a training by single epochs, or Optuna, does not know."""
    try:
        import optuna_integration.sklearn  # noqa: F401
    except ImportError:
        raise BadKey(
            ("search", "kind"),
            "search.kind: 'optuna' needs Optuna: pip install sklenet[optuna].",
        ) from None
    for name, values in search.grid.items():
        if name == "max_epochs":
            raise BadKey(
                ("search", "grid", name),
                "'search.grid.max_epochs': how long to train is what Optuna decides, up to"
                " the estimator's max_epochs.",
            )
        known = (str, int, float, type(None))
        if not isinstance(values, Mapping):
            for value in values:
                if not isinstance(value, known):
                    raise BadKey(
                        ("search", "grid", name),
                        f"search.grid.{name}: Optuna takes text, numbers and truth values,"
                        f" not {value!r}.",
                    )
    for name in ("lr_schedule", "early_stopping", "average"):
        for where, names in (
            (("estimator",), study.estimator),
            (("search", "grid"), search.grid),
        ):
            if name in names:
                raise BadKey(
                    (*where, name),
                    f"{name!r} needs to know the end of a training, which Optuna decides"
                    " after every epoch: leave it out.",
                )


def _check_grid(study: Study, search: Search) -> None:
    pipeline = make_pipeline(study)
    values: dict[str, list] = {}
    for name, given in search.grid.items():
        key = ("search", "grid", name)
        step, _, parameter = name.partition("__")
        if parameter == "random_state":
            raise BadKey(key, f"'search.grid.{name}' is decided by the key 'seeds'.")
        if parameter and step in pipeline.named_steps and step != CLASSIFIER:
            if parameter not in pipeline[step].get_params():
                raise BadKey(
                    key,
                    f"unknown key 'search.grid.{name}': {step} has no parameter"
                    f" {parameter!r}.{suggest(parameter, pipeline[step].get_params())}",
                )
        else:
            check_parameter(key, name)
            if name in study.estimator:
                raise BadKey(
                    key,
                    f"{name!r} is both in 'estimator' and in 'search.grid': remove one.",
                )
        if name == search.resource:
            raise BadKey(key, f"{name!r} is both in 'search.grid' and the 'resource'.")
        values[qualified(name)] = _examples(search, key, given)
    if search.kind in ("random", "optuna"):  # not all of them: there may be millions
        candidates = [{k: v[end] for k, v in values.items()} for end in (0, -1)]
    else:
        candidates = ParameterGrid(values)
    for name, of_one in values.items():
        for value in of_one:
            key = ("search", "grid", name.removeprefix(f"{CLASSIFIER}__"))
            _check_candidate(study, key, pipeline, {name: value})
    for candidate in candidates:
        _check_candidate(study, ("search", "grid"), pipeline, candidate)


def _check_candidate(study: Study, key: Key, pipeline: Pipeline, parameters: dict) -> None:
    candidate = clone(pipeline).set_params(**parameters)
    for _, step in candidate.steps[:-1]:
        checked(key, step._validate_params)
    check_classifier(key, candidate)
    check_shapes(key, candidate, study.data)


def _examples(search: Search, key: Key, given) -> list:
    """Return the values of a grid's list, or the ends of a distribution."""
    if not isinstance(given, Mapping):
        return list(given)
    name = ".".join(key)
    if search.kind not in ("random", "optuna"):
        raise BadKey(
            key,
            f"{name}: a distribution is for the kinds 'random' and 'optuna'; give a list.",
        )
    one: tuple[str, Any] = next(iter(given.items()), ("", ()))
    kind, ends = one
    if (
        len(given) != 1
        or kind not in DISTRIBUTIONS
        or len(ends) != 2
        or not all(isinstance(end, int | float) for end in ends)
        or not ends[0] < ends[1]
        or (kind == "loguniform" and ends[0] <= 0)
        or (kind == "randint" and not all(isinstance(end, int) for end in ends))
    ):
        raise BadKey(
            key,
            f"{name}: {dict(given)!r} is not a distribution. Right would be one of"
            f" {', '.join(DISTRIBUTIONS)} with two ends, the lower one first, above 0 for"
            " loguniform and whole for randint, such as {loguniform = [1e-4, 1e-1]}.",
        )
    return [ends[0], ends[1] - 1 if kind == "randint" else ends[1]]
