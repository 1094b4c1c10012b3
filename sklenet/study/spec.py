"""The study file: strict TOML to frozen dataclasses.

A file with an unknown key, a wrong type or an unknown parameter value is refused with
the file, the key and what would be right, before anything is trained.
"""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import (
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass
from sklearn.model_selection import ParameterGrid

from sklenet.estimator import LeNet5Classifier
from sklenet.images import Canvas
from sklenet.training.net import build_net

_TAKEN = {
    "random_state": "the key 'seeds'",
    "verbose": "the command, which shows every epoch",
}

DATA = ("digits", "mnist", "fashion_mnist", "cifar10")

_strict = dataclass(frozen=True, config=ConfigDict(extra="forbid"))
_Fraction = Annotated[StrictFloat, Field(ge=0, le=1)]


class StudyError(ValueError):
    """A study file that cannot be run, with the file, the key and what would be right."""


@_strict
class Search:
    """A grid for scikit-learn's GridSearchCV, scored by accuracy.

    Parameters
    ----------
    grid : dict of str to list
        The values to try of each parameter of the estimator.
    cv : int
        The number of stratified, shuffled folds.
    """

    grid: Annotated[
        dict[StrictStr, Annotated[list[Any], Field(min_length=1)]],
        Field(min_length=1),
    ]
    cv: Annotated[StrictInt, Field(ge=2)] = 3


@_strict
class Published:
    """A figure that somebody reports for this setting, to stand beside ours."""

    data: Literal[DATA]  # type: ignore[valid-type]
    source: StrictStr
    accuracy: _Fraction


@_strict
class Study:
    """What is searched, trained and tested.

    Parameters
    ----------
    name : str
        The name of the folder of results.
    title : str
        The heading of the report.
    data : tuple of str
        Data sets, each searched and tested by itself.
    seeds : tuple of int
        The values of ``random_state`` with which the chosen setting is trained. The
        first is also the search's.
    estimator : dict
        Parameters of LeNet5Classifier that differ from its defaults.
    search : Search, optional
        Without it, the estimator's own setting is trained.
    published : tuple of Published
    """

    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    title: StrictStr
    data: Annotated[tuple[Literal[DATA], ...], Field(min_length=1)]  # type: ignore[valid-type]
    seeds: Annotated[
        tuple[Annotated[StrictInt, Field(ge=0, lt=2**32)], ...], Field(min_length=1)
    ] = (0,)
    estimator: dict[StrictStr, Any] = Field(default_factory=dict)
    search: Search | None = None
    published: tuple[Published, ...] = ()


def read_study(path) -> Study:
    """Read and check a study file.

    Raises
    ------
    StudyError
        Naming the file, the key and what would be right.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not a TOML file: {error}") from error
    try:
        study = TypeAdapter(Study).validate_python(table)
        _check_figures(study)
        _check_parameters(study)
    except ValidationError as error:
        lines = "\n".join(f"{path}: {_explain(e)}" for e in error.errors())
        raise StudyError(lines) from None
    except ValueError as error:
        raise StudyError(f"{path}: {error}") from error
    return study


def _explain(error) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"the key {key!r} is missing."
    if error["type"] == "unexpected_keyword_argument":
        known: Any = Study
        for part in error["loc"][:-1]:
            known = {"search": Search, "published": Published}.get(part, known)
        names = list(known.__dataclass_fields__)
        return f"unknown key {key!r}.{_suggest(str(error['loc'][-1]), names)}"
    return f"{key}: {error['msg']}. Got {error['input']!r}."


def _suggest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return f"{guess} Known: {', '.join(known)}."


# Columns of the table of test figures, which a published one may not replace.
COLUMNS = ("data", "setting", "test accuracy", "sd", "seeds", "test images", "epochs")


def _check_figures(study: Study) -> None:
    for key in ("seeds", "data"):
        values = getattr(study, key)
        if len(set(values)) < len(values):
            raise ValueError(f"{key}: {list(values)} names one of them twice.")
    for figure in study.published:
        if figure.data not in study.data:
            raise ValueError(
                f"published: a figure on {figure.data!r}, which is not in 'data':"
                f" {', '.join(study.data)}."
            )
        if figure.source in COLUMNS:
            raise ValueError(
                f"published: the source {figure.source!r} is the name of a column of our"
                " own; name who published it."
            )


def _check_parameters(study: Study) -> None:
    known = sorted(LeNet5Classifier().get_params())
    grid = study.search.grid if study.search else {}
    for section, names in (("estimator", study.estimator), ("search.grid", grid)):
        for name in names:
            if name not in known:
                raise ValueError(
                    f"unknown key '{section}.{name}': LeNet5Classifier has no such"
                    f" parameter.{_suggest(name, known)}"
                )
            if name in _TAKEN:
                raise ValueError(
                    f"'{section}.{name}' is decided by {_TAKEN[name]}: remove it."
                )
            if section == "search.grid" and name in study.estimator:
                raise ValueError(
                    f"{name!r} is both in 'estimator' and in 'search.grid': remove one."
                )
    for name, value in study.estimator.items():
        _check_value(f"estimator.{name}", {name: value})
    for name, values in grid.items():
        for value in values:
            _check_value(f"search.grid.{name}", {name: value})
    for candidate in ParameterGrid(grid):
        _check_value("estimator with search.grid", study.estimator | candidate)


def _check_value(key: str, parameters: dict) -> None:
    estimator = LeNet5Classifier(**parameters)
    try:
        estimator._check_parameters()
        if estimator.net_params:
            # skorch knows only of a whole net whether its arguments are right.
            params = estimator.get_params()
            build_net(params, Canvas((1, 28, 28)), 2, torch.device("cpu"))
    except TypeError as error:
        raise ValueError(f"{key}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error
