"""Transformers from the tables of a study file."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictStr
from sklearn.base import BaseEstimator

from sklenet.study.config.allowed import TRANSFORMERS, check_step_value, find_transformer
from sklenet.study.config.errors import report_errors
from sklenet.study.config.values import short_repr


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
        name = transformer.__name__.lower()
        if name in dict(steps):
            raise ValueError(f"{transformer.__name__} must not occur more than once.")
        steps.append((name, transformer(**parameters)))
    return steps


def _check_steps(tables: tuple[dict, ...]) -> tuple[dict, ...]:
    with report_errors():
        for _, step in make_steps(tables):
            step._validate_params()
    return tables


Steps = Annotated[tuple[dict[StrictStr, Any], ...], AfterValidator(_check_steps)]
NonEmptySteps = Annotated[Steps, Field(min_length=1)]
