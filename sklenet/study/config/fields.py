"""Types that several tables of a study file have in common."""

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr

from sklenet.datasets.registry import DATASET_NAMES
from sklenet.study.config.values import short_repr


class Table(BaseModel):
    """A table of a study file. It is immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_unique(values: tuple) -> tuple:
    repeated = [value for value, n in Counter(values).items() if n > 1]
    if repeated:
        raise ValueError(
            f"{repeated[0]!r} must not occur more than once. Got"
            f" {short_repr(list(values))}."
        )
    return values


Unique = AfterValidator(_check_unique)

Name = Annotated[StrictStr, Field(min_length=1)]
DataName = Literal[DATASET_NAMES]  # type: ignore[valid-type]
DataNames = Annotated[tuple[DataName, ...], Field(min_length=1), Unique]
Seed = Annotated[StrictInt, Field(ge=0, lt=2**32)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), Unique]
Values = Annotated[tuple[Any, ...], Field(min_length=1)]
