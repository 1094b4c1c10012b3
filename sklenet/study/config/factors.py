"""The factors of a grid: parameters of the classifier, steps, and parameters of steps."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sklenet._utils.names import suggest_similar
from sklenet.study.config.allowed import (
    TRANSFORMERS,
    check_step_value,
    find_transformer,
    get_allowed_parameters,
)
from sklenet.study.config.errors import (
    BadKey,
    ErrorCollector,
    Key,
    suggest,
)
from sklenet.study.config.parameters import check_parameter, list_classifier_parameters
from sklenet.study.config.steps import PASSTHROUGH, get_step_name, make_steps
from sklenet.study.config.values import short_repr


def is_of_step(name: str) -> bool:
    """Return whether a factor is a step or a parameter of a step, by its name."""
    return name.partition("__")[0] not in list_classifier_parameters()


def split_factors(values: Mapping[str, Any]) -> tuple[dict, dict]:
    """Return the values of the classifier's parameters, and those of the steps."""
    of_steps = {name: value for name, value in values.items() if is_of_step(name)}
    return {k: v for k, v in values.items() if k not in of_steps}, of_steps


def check_classifier_factor(name: str, values: Iterable) -> None:
    """Raise a BadKey if no grid may have a factor, whatever steps the study has.

    Parameters
    ----------
    name : str
        Name of a factor. The values of one that is of a step are not checked.
    values : iterable
    """
    step, separator, _ = name.partition("__")
    names = {get_step_name({"transformer": one}) for one in TRANSFORMERS}
    if not is_of_step(name):
        for value in values:
            check_parameter(name, value)
    elif step not in names and not separator:
        known = [*list_classifier_parameters(), *sorted(names)]
        raise BadKey(
            (), f"LeNet5Classifier has no parameter {name!r}.{suggest(name, known)}"
        )


def check_step_factor(
    name: str, values: Iterable, tables: Sequence[dict], names: Iterable[str]
) -> None:
    """Raise a BadKey if a grid may not have a factor of a step, or not with these values.

    Parameters
    ----------
    name : str
        Name of a step, or of a parameter of a step as ``step__parameter``.
    values : iterable
    tables : sequence of dict
        The steps before the classifier.
    names : iterable of str
        Names of all factors of the grid.
    """
    step, separator, parameter = name.partition("__")
    steps = {get_step_name(table): table for table in tables}
    if step not in steps:
        raise BadKey(
            (),
            f"the study has no step {step!r}. Its steps are: {', '.join(steps) or 'none'}."
            f"{suggest_similar(step, steps)}",
        )
    if separator:
        _check_parameter_of_step(steps[step], parameter, values)
    else:
        both = next((other for other in names if other.startswith(f"{name}__")), None)
        if both is not None:
            raise BadKey(
                (),
                f"the step {name!r} and its parameter {both!r} exclude each other in a"
                " grid. Give the step as tables with the values of the parameter:"
                f" {name} = ['passthrough', {{ transformer ="
                f" {steps[name]['transformer']!r}, ... }}].",
            )
        for value in values:
            _check_step(steps[name], value)


def _check_parameter_of_step(table: dict, parameter: str, values: Iterable) -> None:
    transformer = find_transformer(table["transformer"])
    known = get_allowed_parameters(transformer)
    if parameter not in known and parameter != "random_state":
        raise BadKey(
            (),
            f"in a study, {transformer.__name__} has no parameter {parameter!r}."
            f"{suggest(parameter, known)}",
        )
    for value in values:
        check_step_value(transformer, parameter, value)
        _validate(table | {parameter: value})


def _check_step(table: dict, value) -> None:
    """Check a value of a step in a grid."""
    if isinstance(value, Mapping):
        _validate(dict(value))
    elif value not in (PASSTHROUGH, table["transformer"]):
        raise BadKey(
            (),
            "the value of a step must be 'passthrough', which switches it off,"
            f" {table['transformer']!r}, the step as in 'steps', or the table of a step"
            f" that replaces it. Got {short_repr(value)}.",
        )


def _validate(table: dict) -> None:
    ((_, step),) = make_steps([table])
    step._validate_params()


def check_grids(table: dict) -> list[BadKey]:
    """Return the errors in the grids of a study, which need not be valid otherwise.

    Parameters
    ----------
    table : dict
        The content of a study file. Only what does not depend on steps is checked.
    """
    settings = table.get("setting")
    owners: list[tuple[Key, Any]] = [(("search",), table.get("search"))]
    if isinstance(settings, list):
        owners += [(("setting", str(k)), one) for k, one in enumerate(settings)]
    errors = ErrorCollector()
    for key, owner in owners:
        grid = owner.get("grid") if isinstance(owner, dict) else None
        for name, values in grid.items() if isinstance(grid, dict) else ():
            if name == "n_train" and key != ("search",):
                continue
            with errors.collect(*key, "grid", name):
                check_classifier_factor(name, values if isinstance(values, list) else [])
    return errors.errors
