"""Transformers from the tables of a study file."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictStr
from sklearn.base import BaseEstimator

from sklenet.study.config.allowed import TRANSFORMERS, check_step_value, find_transformer
from sklenet.study.config.errors import ErrorCollector, report_errors
from sklenet.study.config.values import short_repr

PASSTHROUGH = "passthrough"  # value of a step that is switched off, as in scikit-learn


def make_steps(tables: Sequence[dict]) -> list[tuple[str, BaseEstimator]]:
    """Return named transformers, as a Pipeline takes them.

    Parameters
    ----------
    tables : sequence of dict
        One per step, with the key ``transformer`` and the parameters of the transformer.

    Raises
    ------
    ValueError
        If a study file may not name a transformer or set a parameter.
    """
    steps: list[tuple[str, BaseEstimator]] = []
    for table in tables:
        if "transformer" not in table:
            raise ValueError(
                f"the step {short_repr(table)} has no 'transformer'. It must be one of"
                f" {', '.join(TRANSFORMERS)}."
            )
        transformer = find_transformer(table["transformer"])
        parameters = {key: value for key, value in table.items() if key != "transformer"}
        for key, value in parameters.items():
            check_step_value(transformer, key, value)
        name = get_step_name(table)
        if name in dict(steps):
            raise ValueError(f"{transformer.__name__} must not occur more than once.")
        steps.append((name, transformer(**parameters)))
    return steps


def get_step_name(table: Mapping) -> str:
    """Return the name in the pipeline of a step: its class in lower case."""
    return str(table["transformer"]).rpartition(".")[2].lower()


def change_steps(tables: Iterable[dict], changes: Mapping[str, Any]) -> tuple[dict, ...]:
    """Return the tables of steps with the values that a grid has for them.

    Parameters
    ----------
    tables : iterable of dict
        One per step, as for `make_steps`.
    changes : mapping of str to object
        Values of steps and of their parameters, by the names that a grid has for them. The
        value of ``inverter`` is "passthrough", which removes the step, the name of its
        transformer, which leaves it unchanged, or the table of a step that replaces it.
        The value of ``inverter__maximum`` is that of the parameter.

    Raises
    ------
    ValueError
        If there is no such step, or it cannot have such a value.
    """
    changed = {get_step_name(table): table for table in tables}
    for name, value in changes.items():
        step, separator, parameter = name.partition("__")
        if step not in changed:
            raise ValueError(f"there is no step {step!r}")
        if separator:
            changed[step] = changed[step] | {parameter: value}
        elif value == PASSTHROUGH:
            del changed[step]
        elif isinstance(value, Mapping):
            changed[step] = dict(value)
        elif value != changed[step]["transformer"]:
            raise ValueError(f"the step {step!r} cannot be {short_repr(value)}")
    return tuple(changed.values())


def _check_steps(tables: tuple[dict, ...]) -> tuple[dict, ...]:
    errors = ErrorCollector()
    for table in tables:
        with errors.collect():
            for _, step in make_steps([table]):
                step._validate_params()
    errors.raise_errors()
    with report_errors():
        make_steps(tables)  # which also checks that their names are different
    return tables


Steps = Annotated[tuple[dict[StrictStr, Any], ...], AfterValidator(_check_steps)]
NonEmptySteps = Annotated[Steps, Field(min_length=1)]
