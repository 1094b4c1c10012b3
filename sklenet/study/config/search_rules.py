"""What a study's search must satisfy."""

from collections.abc import Iterator, Mapping
from typing import Any

from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from sklenet.estimator import LeNet5Classifier
from sklenet.study.config.allowed import check_step_value, parameters_of
from sklenet.study.config.pipelines import make_steps
from sklenet.study.config.rules import (
    BadKey,
    Key,
    check_classifier,
    check_parameter,
    check_shapes,
    checked,
    n_combinations,
    suggest,
)
from sklenet.study.config.spec import Search, Study
from sklenet.study.config.values import find_problem, short_repr

DISTRIBUTIONS = ("uniform", "loguniform", "randint")

# The largest grid that scikit-learn can draw from without making all of it.
_MAX_DRAWN_FROM = 2**31 - 1


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
    """Raise a BadKey for values that Optuna does not take, or that need whole trainings."""
    for name, values in search.grid.items():
        if name == "max_epochs":
            raise BadKey(
                ("search", "grid", name),
                "'search.grid.max_epochs': how long to train is what Optuna decides, up to"
                " the estimator's max_epochs.",
            )
        if not isinstance(values, Mapping):
            for value in values:
                if not isinstance(value, str | int | float | None):
                    raise BadKey(
                        ("search", "grid", name),
                        f"search.grid.{name}: Optuna takes text, numbers and truth values,"
                        f" not {short_repr(value)}.",
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


def check_installed(study: Study) -> None:
    """Raise a BadKey if the study's search needs a package that is not installed."""
    if study.search is None or study.search.kind != "optuna":
        return
    try:
        import optuna_integration.sklearn  # noqa: F401
    except ImportError:
        raise BadKey(
            ("search", "kind"),
            "search.kind: 'optuna' needs Optuna: pip install sklenet[optuna].",
        ) from None


def _check_grid(study: Study, search: Search) -> None:
    """Check all values of the grid, and all combinations of the estimator's."""
    steps = dict(checked(("steps",), make_steps, study.steps))
    own: dict[str, list] = {}
    for name, given in search.grid.items():
        key = ("search", "grid", name)
        step, _, parameter = name.partition("__")
        if parameter == "random_state":
            raise BadKey(key, f"'search.grid.{name}' is decided by the key 'seeds'.")
        if name == search.resource:
            raise BadKey(key, f"{name!r} is both in 'search.grid' and the 'resource'.")
        values = _examples(search, key, given)
        if parameter and step in steps:
            _check_step_values(key, steps[step], parameter, values)
            continue
        for value in values:
            check_parameter(key, name, value)
        if name in study.estimator:
            raise BadKey(
                key,
                f"{name!r} is both in 'estimator' and in 'search.grid': remove one.",
            )
        for value in values:
            _check_candidate(study, key, {name: value})
        own[name] = values
    if len(own) == 1:
        return  # each candidate is one of the values above
    for candidate in _combinations(search, own):
        _check_candidate(study, ("search", "grid"), candidate)


def _check_step_values(key: Key, step, parameter: str, values: list) -> None:
    known = parameters_of(type(step))
    if parameter not in known:
        raise BadKey(
            key,
            f"unknown key '{'.'.join(key)}': in a study, {type(step).__name__} has no"
            f" parameter {parameter!r}.{suggest(parameter, known)}",
        )
    for value in values:
        checked(key, check_step_value, type(step), parameter, value)
        checked(key, clone(step).set_params(**{parameter: value})._validate_params)


def _combinations(search: Search, own: dict[str, list]) -> Iterator[dict]:
    """Give the combinations of the estimator's parameters that are to be checked.

    Of those that are drawn, whose number has no limit, two: all first, and all last values.
    """
    if search.kind not in ("random", "optuna"):
        yield from ParameterGrid(own)
        return
    lists = {k: v for k, v in search.grid.items() if not isinstance(v, Mapping)}
    if (
        search.kind == "random"
        and len(lists) == len(search.grid)
        and n_combinations(lists) > _MAX_DRAWN_FROM
    ):
        raise BadKey(
            ("search", "grid"),
            f"search.grid: more than {_MAX_DRAWN_FROM:,} combinations of lists, from which"
            " scikit-learn cannot draw. Give one of them as a distribution.",
        )
    for end in (0, -1):
        yield {name: values[end] for name, values in own.items()}


def _check_candidate(study: Study, key: Key, parameters: dict) -> None:
    classifier = LeNet5Classifier(**{**study.estimator, **parameters})
    check_classifier(key, classifier)
    check_shapes(key, classifier, study.data, has_steps=bool(study.steps))


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
        or not all(map(_is_number, ends))
        or not ends[0] < ends[1]
        or (kind == "loguniform" and ends[0] <= 0)
        or (kind == "randint" and not all(isinstance(end, int) for end in ends))
    ):
        raise BadKey(
            key,
            f"{name}: {short_repr(dict(given))} is not a distribution. Right would be one"
            f" of {', '.join(DISTRIBUTIONS)} with two ends, the lower one first, above 0"
            " for loguniform and whole for randint, such as {loguniform = [1e-4, 1e-1]}.",
        )
    return [ends[0], ends[1] - 1 if kind == "randint" else ends[1]]


def _is_number(value) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and find_problem(value) is None
    )
