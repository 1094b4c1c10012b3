"""The tables of a study file for settings, tests and published results."""

import itertools
import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    Field,
    StrictFloat,
    StrictStr,
    TypeAdapter,
    model_serializer,
    model_validator,
)

from sklenet.preprocessing.disturber import STRENGTHS
from sklenet.study.config.errors import BadKey, report_errors
from sklenet.study.config.factors import check_step_factor, split_factors
from sklenet.study.config.fields import (
    DataName,
    DataNames,
    Name,
    Seeds,
    SubsetSize,
    Table,
    Values,
)
from sklenet.study.config.parameters import Parameters
from sklenet.study.config.steps import NonEmptySteps, Steps, change_steps, get_step_name
from sklenet.study.config.values import format_label, short_repr

N_TRAIN = "n_train"  # in a grid, the number of training images

_SUBSET_SIZE: TypeAdapter = TypeAdapter(SubsetSize)


def check_subset_size(value) -> None:
    """Raise a BadKey if a value is not a number of training images."""
    try:
        _SUBSET_SIZE.validate_python(value)
    except ValueError:
        raise BadKey(
            (), f"must be a whole number of images, at least 2. Got {short_repr(value)}."
        ) from None


class Setting(Table):
    """A setting with a name or, if it has a grid, one setting per combination.

    Parameters
    ----------
    name : str
        Name in the tables, unique for each dataset. To the names of the settings of a
        grid their values are added.
    estimator : dict
        Parameters of LeNet5Classifier that differ from the ``[estimator]`` of the study.
    steps : tuple of dict, optional
        Transformers before the classifier, instead of those of the study.
    data : tuple of str, optional
        Datasets of the setting. If None, all datasets of the study.
    seeds : tuple of int, optional
        Seeds of the setting, instead of those of the study.
    grid : dict of str to tuple
        Values of parameters of LeNet5Classifier, of steps, and of parameters of steps as
        ``step__parameter``; see :func:`~sklenet.study.config.steps.change_steps`; and of
        ``n_train``. Every combination is a setting.
    n_train : int, optional
        Number of training images, instead of that of the study.
    """

    name: Name
    estimator: Parameters = Field(default_factory=dict)
    steps: Steps | None = None
    data: DataNames | None = None
    seeds: Seeds | None = None
    grid: dict[StrictStr, Values] = Field(default_factory=dict)
    n_train: SubsetSize | None = None

    @model_serializer(mode="wrap")
    def _leave_out_n_train(self, handler) -> dict:
        # Records of studies that do not set it, and their hashes, stay the same.
        return {k: v for k, v in handler(self).items() if k != N_TRAIN or v is not None}

    @model_validator(mode="after")
    def _check_names_of_grid(self) -> Self:
        if self.n_train is not None and N_TRAIN in self.grid:
            raise BadKey(
                ("grid", N_TRAIN),
                "'n_train' is both in the setting and in its 'grid'. Remove one.",
            )
        for name in self.grid:
            if name in self.estimator:
                raise BadKey(
                    ("grid", name),
                    f"{name!r} is both in the 'estimator' and in the 'grid' of the setting."
                    " Remove one.",
                )
        return self

    def expand(
        self, steps: tuple[dict, ...], sizes: tuple[int, ...] = ()
    ) -> Iterator["Setting"]:
        """Yield the settings of the grid.

        Parameters
        ----------
        steps : tuple of dict
            The steps of the study, for a setting that does not have its own.
        sizes : tuple of int
            Numbers of training images of the study, if it has several. They are a factor of
            the grid, unless the setting has its own.
        """
        grid = dict(self.grid)
        if sizes and self.n_train is None and N_TRAIN not in grid:
            grid[N_TRAIN] = sizes
        for values in itertools.product(*grid.values()):
            chosen = dict(zip(grid, values, strict=True))
            labels = [f"{key} {format_label(value)}" for key, value in chosen.items()]
            n_train = chosen.pop(N_TRAIN, self.n_train)
            own, of_steps = split_factors(chosen)
            changes: dict[str, Any] = {
                "name": ", ".join([self.name, *labels]),
                "estimator": self.estimator | own,
                "grid": {},
                "n_train": n_train,
            }
            if of_steps:
                own_steps = steps if self.steps is None else self.steps
                changes["steps"] = change_steps(own_steps, of_steps)
            yield self.model_copy(update=changes)

    @property
    def name_without_n_train(self) -> str:
        """The name of an expanded setting without its size; "" if it has no other name."""
        label = f"{N_TRAIN} {self.n_train}"
        return "" if self.name == label else self.name.replace(f", {label}", "")


def _check_number(value):
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number. Got {value!r}.")
    if not math.isfinite(value):
        raise ValueError(f"must be a finite number. Got {value!r}.")
    return value


class TestSeries(NamedTuple):
    """Tests that differ in the value of one parameter.

    Parameters
    ----------
    name : str
        Name of the series.
    parameter : str
        Name of the parameter, without its step.
    tests : dict of str to float
        Value of the parameter in each test, by the name of the test.
    starts_unchanged : bool
        Whether the test images are unchanged if the value is 0, which is not one of the
        values.
    """

    name: str
    parameter: str
    tests: dict[str, float]
    starts_unchanged: bool


class AdditionalTest(Table):
    """A test on transformed test images, besides the one on the test set as it is.

    Parameters
    ----------
    name : str
        Name of the columns in the tables. To the names of the tests of a grid their values
        are added.
    steps : tuple of dict
        Transformers of the images before they are passed to the fitted pipeline.
    grid : dict of str to tuple
        Values of a parameter of a step, as ``step__parameter``. There is a test for each
        value; the tests are a series.
    """

    name: Name
    steps: NonEmptySteps
    grid: dict[StrictStr, Values] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _leave_out_grid(self, handler) -> dict:
        # Records of studies without series, and their hashes, stay the same.
        return {k: v for k, v in handler(self).items() if k != "grid" or v}

    @model_validator(mode="after")
    def _check_grid(self) -> Self:
        if len(self.grid) > 1:
            raise BadKey(
                ("grid",),
                "the grid of a test must have one parameter. Got"
                f" {short_repr(list(self.grid))}. Add a [[test]] for each of the others.",
            )
        for name, values in self.grid.items():
            with report_errors("grid", name):
                if "__" not in name:
                    step = get_step_name(self.steps[0])
                    raise ValueError(
                        "the grid of a test must have a parameter of one of its steps, such"
                        f" as {step}__{name}. Got {name!r}."
                    )
                for value in values:
                    _check_number(value)
                if len(set(values)) < len(values):
                    raise ValueError(
                        f"must not have a number twice. Got {short_repr(list(values))}."
                    )
                check_step_factor(name, values, self.steps, self.grid)
        return self

    def expand(self) -> Iterator["AdditionalTest"]:
        """Yield the tests of the grid, or the test itself if it has none."""
        if not self.grid:
            yield self
        for name, values in self.grid.items():
            for value in values:
                changes = {
                    "name": f"{self.name} {format_label(value)}",
                    "steps": change_steps(self.steps, {name: value}),
                    "grid": {},
                }
                yield self.model_copy(update=changes)

    @property
    def series(self) -> TestSeries | None:
        """The series of tests; None without a grid."""
        for name, values in self.grid.items():
            _, _, parameter = name.partition("__")
            others = {key for table in self.steps for key in table} - {parameter}
            return TestSeries(
                self.name,
                parameter,
                dict(zip((one.name for one in self.expand()), values, strict=True)),
                [table["transformer"] for table in self.steps] == ["Disturber"]
                and parameter in STRENGTHS
                and not others & set(STRENGTHS)
                and 0 not in values,
            )
        return None


def _check_accuracies(results: dict[str, Any]) -> dict[str, Any]:
    for name, value in results.items():
        if "accuracy" in name and not 0 <= value <= 1:
            raise BadKey((name,), f"an accuracy must be between 0 and 1. Got {value!r}.")
    return results


_Number = Annotated[Any, AfterValidator(_check_number)]
_Finite = Annotated[StrictFloat, Field(allow_inf_nan=False)]
_Curve = Literal["train_accuracy", "train_loss", "valid_accuracy", "valid_loss"]


class Published(Table):
    """Published results, to be compared with those of the study.

    Parameters
    ----------
    data : str
        Name of the dataset.
    source : str
        Author, title or other source.
    setting : str, optional
        Name of the setting to compare with; required if the study has several.
    results : dict of str to float
        Results by the name of the metric in the study: "test_accuracy",
        "valid_loss_at_best_epoch", "epochs". Its key in a study file is ``figures``.
    curves : dict of str to tuple of float
        Results per epoch by their name in ``history_``: "train_accuracy".
    why : str
        The most likely reason for a difference.
    """

    data: DataName
    source: Name
    setting: StrictStr | None = None
    results: Annotated[dict[StrictStr, _Number], AfterValidator(_check_accuracies)] = Field(
        default_factory=dict, alias="figures"
    )
    curves: dict[_Curve, tuple[_Finite, ...]] = Field(default_factory=dict)
    why: StrictStr = ""
