"""Types that several tables of a study file have in common."""

import re
from collections import Counter
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

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
_STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")


def _check_study_name(name: str) -> str:
    if not _STUDY_NAME.fullmatch(name):
        raise ValueError(
            "the name of a study, which is also that of its folder, must have letters,"
            " digits, '_' and '-' only, at most 255 of them, and begin with a letter or a"
            f" digit. Got {short_repr(name)}."
        )
    return name


StudyName = Annotated[StrictStr, AfterValidator(_check_study_name)]
# Names of datasets are part of file names.
DATA_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def _check_data_name(name: str) -> str:
    if not DATA_NAME.fullmatch(name):
        known = ", ".join(map(repr, DATASET_NAMES))
        raise PydanticCustomError(
            "data_name",
            "Input should be {known}, or the name of a custom dataset: letters, digits, '_'"
            " and '-'",
            {"known": known},
        )
    return name


DataName = Annotated[StrictStr, AfterValidator(_check_data_name)]
DataNames = Annotated[tuple[DataName, ...], Field(min_length=1), Unique]
Seed = Annotated[StrictInt, Field(ge=0, lt=2**32)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), Unique]
SubsetSize = Annotated[StrictInt, Field(ge=2)]
Values = Annotated[tuple[Any, ...], Field(min_length=1)]
