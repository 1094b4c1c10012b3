"""What a study file may hold, as frozen dataclasses."""

import itertools
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
)
from pydantic.dataclasses import dataclass

DATA = ("digits", "mnist", "fashion_mnist", "cifar10")

ORIGINALS = "test"  # the test images as they are, in contrast to those of a [[test]]
DEFAULT = "estimator"  # the only setting of a study that names none

_STRICT = ConfigDict(extra="forbid")
_Part = Annotated[StrictFloat, Field(gt=0, lt=1)]
_Curve = Literal["train_accuracy", "train_loss", "valid_accuracy", "valid_loss"]
_Name = Annotated[StrictStr, Field(min_length=1)]
_Data = Literal[DATA]  # type: ignore[valid-type]
_Values = Annotated[tuple[Any, ...], Field(min_length=1)]
_Step = dict[StrictStr, Any]


class StudyError(ValueError):
    """A study that cannot be run, with the file, the key and what would be right."""


@dataclass(frozen=True, config=_STRICT)
class Search:
    """A search by one of scikit-learn's classes, scored by the first of the metrics.

    Parameters
    ----------
    kind : {"grid", "random", "halving", "optuna", "settings"}
        GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV, OptunaSearchCV, which gives
        up bad candidates after any epoch, or the study's named settings, compared by
        cross-validation.
    grid : dict of str to list or dict
        The values to try of each parameter of the estimator, or of a step as
        ``step__parameter``. A random search and Optuna also take a distribution:
        ``{loguniform = [1e-4, 1e-1]}``, ``{uniform = [0, 0.5]}`` or
        ``{randint = [4, 12]}``, the last without its upper end.
    cv : int
        The number of stratified, shuffled folds.
    n_iter : int
        How many settings a random search draws, or Optuna tries.
    resource : str
        What a halving search gives to few candidates: "max_epochs" or "n_samples".
    min_resources, max_resources : int
        How much of it in the first round, and at most; needed for "max_epochs".
    factor : int
        By how much the candidates get fewer, and the resource more, per round.
    """

    kind: Literal["grid", "random", "halving", "optuna", "settings"] = "grid"
    grid: dict[StrictStr, _Values | dict[StrictStr, _Values]] = Field(default_factory=dict)
    cv: Annotated[StrictInt, Field(ge=2)] = 3
    n_iter: Annotated[StrictInt, Field(ge=1)] | None = None
    resource: Literal["max_epochs", "n_samples"] | None = None
    min_resources: Annotated[StrictInt, Field(ge=1)] | None = None
    max_resources: Annotated[StrictInt, Field(ge=1)] | None = None
    factor: Annotated[StrictInt, Field(ge=2)] | None = None


@dataclass(frozen=True, config=_STRICT)
class Setting:
    """One setting by name, or with a grid several, each trained and tested by itself.

    Parameters
    ----------
    name : str
        Of the row in tables, one such on each data set. A grid's settings add their values
        to it.
    estimator : dict
        Parameters that differ from the study's ``[estimator]``.
    steps : tuple of dict, optional
        Pipeline steps instead of the study's.
    data : tuple of str, optional
        Only on these data sets.
    seeds : tuple of int, optional
        Seeds instead of the study's.
    grid : dict of str to list
        Parameters, all of whose combinations are settings of their own.
    """

    name: _Name
    estimator: dict[StrictStr, Any] = Field(default_factory=dict)
    steps: tuple[_Step, ...] | None = None
    data: Annotated[tuple[_Data, ...], Field(min_length=1)] | None = None
    seeds: "Seeds | None" = None
    grid: dict[StrictStr, _Values] = Field(default_factory=dict)

    def expand(self) -> list["Setting"]:
        """Return the settings that the grid stands for."""
        settings = []
        for values in itertools.product(*self.grid.values()):
            chosen = dict(zip(self.grid, values, strict=True))
            words = [self.name] + [f"{key} {value}" for key, value in chosen.items()]
            settings.append(
                Setting(
                    name=", ".join(words),
                    estimator=self.estimator | chosen,
                    steps=self.steps,
                    data=self.data,
                    seeds=self.seeds,
                )
            )
        return settings


@dataclass(frozen=True, config=_STRICT)
class Test:
    """The test images once more, changed by transformers before the fitted pipeline.

    Parameters
    ----------
    name : str
        Of the columns in tables.
    steps : tuple of dict
    """

    name: _Name
    steps: Annotated[tuple[_Step, ...], Field(min_length=1)]


@dataclass(frozen=True, config=_STRICT)
class Published:
    """Figures that somebody reports, to stand beside ours.

    Parameters
    ----------
    data : str
        The data set.
    source : str
        Who reports them.
    setting : str, optional
        The setting they are of; needed where there are several.
    figures : dict of str to float
        By the name of ours: "test_accuracy", "valid_loss_at_best_epoch", "epochs".
    curves : dict of str to tuple of float
        What it reports per epoch, by the names in ``history_``: "train_accuracy".
    why : str
        The likeliest reason for the difference.
    """

    data: _Data
    source: _Name
    setting: StrictStr | None = None
    figures: dict[StrictStr, StrictFloat | StrictInt] = Field(default_factory=dict)
    curves: dict[_Curve, tuple[StrictFloat, ...]] = Field(default_factory=dict)
    why: StrictStr = ""


Seeds = Annotated[
    tuple[Annotated[StrictInt, Field(ge=0, lt=2**32)], ...], Field(min_length=1)
]


@dataclass(frozen=True, config=_STRICT)
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
        The values of ``random_state`` with which a setting is trained. The first is also
        the search's.
    metrics : tuple of str
        Names of scikit-learn's scorers; the first one decides a search.
    validation : float or "test", optional
        The part of the training images that is held out, and scored after every epoch.
        "test" scores the test images after every epoch instead, as some publications do;
        the best of these epochs is not reported.
    validation_rows : {"random", "first"}
        Whether that part is drawn by the seed, stratified, or is the first images.
    notes : str
        Prose for the report: what to make of the figures.
    estimator : dict
        Parameters of LeNet5Classifier that differ from its defaults.
    steps : tuple of dict
        Transformers before the classifier: ``{transformer = "PixelScaler", to = "unit"}``,
        by a name in :mod:`sklenet.study.config.allowed`. In a grid a step is
        called by its class in lower case.
    search : Search, optional
        Its winner is trained and tested.
    setting : tuple of Setting
        Without a search all of them are trained and tested; without settings, the
        estimator's own parameters.
    test : tuple of Test
        Tests besides the one on the test images as they are.
    published : tuple of Published
    """

    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    title: StrictStr
    data: Annotated[tuple[_Data, ...], Field(min_length=1)]
    seeds: Seeds = (0,)
    metrics: Annotated[tuple[StrictStr, ...], Field(min_length=1)] = ("accuracy",)
    validation: _Part | Literal["test"] | None = None
    validation_rows: Literal["random", "first"] = "random"
    notes: StrictStr = ""
    estimator: dict[StrictStr, Any] = Field(default_factory=dict)
    steps: tuple[_Step, ...] = ()
    search: Search | None = None
    setting: tuple[Setting, ...] = ()
    test: tuple[Test, ...] = ()
    published: tuple[Published, ...] = ()

    @property
    def settings(self) -> list[Setting]:
        """The named settings, with their grids as settings of their own."""
        return [one for setting in self.setting for one in setting.expand()]

    def settings_for(self, data: str) -> list[Setting]:
        """Return the settings for a data set.

        Parameters
        ----------
        data : str
            Name of the data set.

        Returns
        -------
        list of Setting
            In a study without settings, one setting with the estimator's own parameters.
        """
        settings = self.settings or [Setting(name=DEFAULT)]
        return [s for s in settings if s.data is None or data in s.data]

    @property
    def tests(self) -> list[str]:
        """The names of all tests."""
        return [ORIGINALS] + [test.name for test in self.test]


# Ends of the names of figures: after the last epoch, and after that with the lowest
# validation loss.
ENDS = ("", "_at_best_epoch")

HISTORY = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")


def figure_names(study: Study) -> list[str]:
    """Return the names of all figures of a fit that are summarised over seeds."""
    scores = [f"{test}_{metric}" for test in study.tests for metric in study.metrics]
    return [name + end for name in (*scores, *HISTORY) for end in ENDS] + ["epochs"]


# What the run does not depend on.
PRESENTATION = ("title", "notes", "published")


def to_plain(study: Study) -> dict:
    """Return the study as JSON has it, for the records."""
    return TypeAdapter(Study).dump_python(study, mode="json")


def from_plain(plain: dict) -> Study:
    """Return the study of a record."""
    return TypeAdapter(Study).validate_python(plain)
