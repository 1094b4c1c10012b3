"""The five kinds of searches, each with its own fields and its scikit-learn search."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import scipy.stats
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StrictInt,
    StrictStr,
    Tag,
    model_serializer,
    model_validator,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
)

from sklenet.study.config.errors import BadKey
from sklenet.study.config.fields import Table, Values
from sklenet.study.config.values import find_problem, short_repr

# The largest grid from which scikit-learn can draw without expanding it.
_MAX_DRAWN_FROM = 2**31 - 1

_DEFAULT_FACTOR = 3  # scikit-learn's

# The winner is trained later, with every seed; a failed fit is a record, not an error.
_OPTIONS: dict = {"refit": False, "error_score": "raise"}


class Distribution(Table):
    """A distribution from which the values of a parameter are drawn.

    A study file writes it as a table with one key: ``{ loguniform = [1e-4, 1e-1] }``.

    Parameters
    ----------
    name : {"uniform", "loguniform", "randint"}
        Name of the distribution in `scipy.stats`.
    low, high : int or float
        Its ends. "randint" does not draw `high`.
    """

    name: Literal["uniform", "loguniform", "randint"]
    low: Any
    high: Any

    @model_validator(mode="before")
    @classmethod
    def _unpack(cls, table):
        if isinstance(table, Mapping) and len(table) == 1:
            ((name, ends),) = table.items()
            if isinstance(ends, list | tuple) and len(ends) == 2 and _is_range(name, *ends):
                return {"name": name, "low": ends[0], "high": ends[1]}
        shown = dict(table) if isinstance(table, Mapping) else table
        raise ValueError(
            "must be a list of values, or a distribution: {uniform = [low, high]},"
            " {loguniform = [low, high]} with low above 0, or {randint = [low, high]} with"
            f" whole numbers, where low is below high. Got {short_repr(shown)}."
        )

    @model_serializer
    def _pack(self) -> dict:
        return {self.name: [self.low, self.high]}

    @property
    def ends(self) -> list:
        """The smallest and the largest value, of the type of those that are drawn."""
        if self.name == "randint":
            return [self.low, self.high - 1]
        return [float(self.low), float(self.high)]

    def to_scipy(self):
        """Return the distribution as one of scipy."""
        if self.name == "uniform":
            return scipy.stats.uniform(self.low, self.high - self.low)
        return getattr(scipy.stats, self.name)(self.low, self.high)

    def to_optuna(self):
        """Return the distribution as one of Optuna."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.name == "randint":
            return IntDistribution(*self.ends)
        return FloatDistribution(self.low, self.high, log=self.name == "loguniform")


def _is_range(name, low, high) -> bool:
    """Return whether a distribution may have these ends."""
    if not (_is_number(low) and _is_number(high) and low < high):
        return False
    if name == "randint":
        return isinstance(low, int) and isinstance(high, int)
    return name == "uniform" or (name == "loguniform" and low > 0)


def _is_number(value) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and find_problem(value) is None


def _find_tag(values) -> str:
    is_distribution = isinstance(values, Mapping | Distribution)
    return "distribution" if is_distribution else "list"


GridValues = Annotated[
    Annotated[Values, Tag("list")] | Annotated[Distribution, Tag("distribution")],
    Discriminator(_find_tag),
]


def list_examples(grid: Mapping) -> dict[str, list]:
    """Return the values of each factor of a grid, or the ends of its distribution."""
    return {
        name: values.ends if isinstance(values, Distribution) else list(values)
        for name, values in grid.items()
    }


Grid = Annotated[dict[StrictStr, GridValues], Field(min_length=1)]
Count = Annotated[StrictInt, Field(ge=1)]
Folds = Annotated[StrictInt, Field(ge=2)]


def _check_lists(grid: dict[str, GridValues]) -> dict[str, GridValues]:
    for name, values in grid.items():
        if isinstance(values, Distribution):
            raise BadKey(
                (name,),
                "a distribution requires a search of kind 'random' or 'optuna'. Give a list"
                f" of values instead. Got {short_repr(values.model_dump())}.",
            )
    return grid


ListGrid = Annotated[Grid, AfterValidator(_check_lists)]


def count_combinations(grid: Mapping) -> int:
    """Return the number of combinations of the values in a grid, without expanding it."""
    return math.prod(len(values) for values in grid.values())


class GridSearch(Table):
    """An exhaustive search, by GridSearchCV.

    Parameters
    ----------
    grid : dict of str to tuple
        Values of parameters of the estimator, or of a step as ``step__parameter``.
    cv : int, default=3
        Number of folds, which are stratified and shuffled.
    """

    kind: Literal["grid"] = "grid"
    grid: ListGrid
    cv: Folds = 3

    @property
    def n_candidates(self) -> int:
        """Number of candidates."""
        return count_combinations(self.grid)

    def make_search(self, estimator, rename: Callable[[str], str], seed: int, **options):
        """Return the unfitted search of scikit-learn.

        Parameters
        ----------
        estimator : estimator
        rename : callable
            Returns the name in `estimator` of a parameter of the study.
        seed : int
            Seed of a search that draws its candidates, or their samples.
        **options
            Further parameters of the search.
        """
        return GridSearchCV(
            estimator, make_param_grid(self.grid, rename), **_OPTIONS, **options
        )


class RandomSearch(Table):
    """A search over candidates drawn at random, by RandomizedSearchCV.

    Parameters
    ----------
    grid : dict of str to tuple or Distribution
        Values, or the distribution, of parameters of the estimator, or of a step as
        ``step__parameter``.
    n_iter : int
        Number of candidates that are drawn.
    cv : int, default=3
        Number of folds, which are stratified and shuffled.
    """

    kind: Literal["random"] = "random"
    grid: Grid
    cv: Folds = 3
    n_iter: Count

    @model_validator(mode="after")
    def _check_number_of_combinations(self) -> Self:
        if self._has_only_lists and count_combinations(self.grid) > _MAX_DRAWN_FROM:
            raise BadKey(
                ("grid",),
                f"must not have more than {_MAX_DRAWN_FROM:,} combinations of lists, from"
                " which scikit-learn cannot draw. Give one parameter as a distribution.",
            )
        return self

    @property
    def _has_only_lists(self) -> bool:
        return not any(isinstance(values, Distribution) for values in self.grid.values())

    @property
    def n_candidates(self) -> int:
        """Number of candidates; from lists, none is drawn twice."""
        if self._has_only_lists:
            return min(self.n_iter, count_combinations(self.grid))
        return self.n_iter

    def make_search(self, estimator, rename: Callable[[str], str], seed: int, **options):
        """Return the unfitted search of scikit-learn. See `GridSearch.make_search`."""
        return RandomizedSearchCV(
            estimator,
            make_param_grid(self.grid, rename),
            n_iter=self.n_iter,
            random_state=seed,
            **_OPTIONS,
            **options,
        )


class HalvingSearch(Table):
    """A search by successive halving, by HalvingGridSearchCV.

    Parameters
    ----------
    grid : dict of str to tuple
        Values of parameters of the estimator, or of a step as ``step__parameter``.
    resource : {"max_epochs", "n_samples"}
        Resource that grows from round to round.
    min_resources, max_resources : int, optional
        Amount of the resource in the first round, and the largest amount. Required for
        "max_epochs"; for "n_samples" the defaults are those of scikit-learn.
    factor : int, optional
        After each round, 1 / `factor` of the candidates are kept, and their resource is
        multiplied by `factor`. If None, the default of scikit-learn, 3.
    cv : int, default=3
        Number of folds, which are stratified and shuffled.
    """

    kind: Literal["halving"] = "halving"
    grid: ListGrid
    cv: Folds = 3
    resource: Literal["max_epochs", "n_samples"]
    min_resources: Count | None = None
    max_resources: Count | None = None
    factor: Annotated[StrictInt, Field(ge=2)] | None = None

    @model_validator(mode="after")
    def _check_resources(self) -> Self:
        smallest, largest = self.min_resources, self.max_resources
        if self.resource in self.grid:
            raise BadKey(
                ("grid", self.resource),
                f"{self.resource!r} is the resource of the search. Remove it here.",
            )
        for name in ("min_resources", "max_resources"):
            if self.resource == "max_epochs" and getattr(self, name) is None:
                raise BadKey((name,), "this key is required for the resource 'max_epochs'.")
        if smallest is not None and largest is not None and smallest > largest:
            raise BadKey(
                ("min_resources",),
                f"must not be above max_resources, {largest}. Got {smallest}.",
            )
        return self

    @property
    def n_candidates(self) -> int:
        """Number of candidates in the first round."""
        return count_combinations(self.grid)

    def find_limits(self, n_samples: int, n_classes: int) -> tuple[int, int]:
        """Return the smallest and the largest number of samples that a round may have."""
        smallest = self.min_resources or 2 * self.cv * n_classes  # scikit-learn's default
        return smallest, self.max_resources or n_samples

    def list_rounds(self, n_samples: int, n_classes: int) -> list[tuple[int, int]]:
        """Return the number of candidates and the resource of each round.

        Parameters
        ----------
        n_samples : int
            Number of training samples, which is the largest resource by default.
        n_classes : int
        """
        factor, n_candidates = self.factor or _DEFAULT_FACTOR, self.n_candidates
        smallest, largest = self.find_limits(n_samples, n_classes)
        n_required = 1 + math.floor(math.log(n_candidates, factor))
        if self.min_resources is None:  # the last round has the largest resource
            smallest = max(smallest, largest // factor ** (n_required - 1))
        n_possible = 1 + math.floor(math.log(max(1, largest // smallest), factor))
        rounds = []
        for k in range(min(n_required, n_possible)):
            rounds.append((n_candidates, min(smallest * factor**k, largest)))
            n_candidates = math.ceil(n_candidates / factor)
        return rounds

    def make_search(self, estimator, rename: Callable[[str], str], seed: int, **options):
        """Return the unfitted search of scikit-learn. See `GridSearch.make_search`."""
        fields = ("min_resources", "max_resources", "factor")
        given = {name: getattr(self, name) for name in fields}
        resource = self.resource
        return HalvingGridSearchCV(
            estimator,
            make_param_grid(self.grid, rename),
            resource=resource if resource == "n_samples" else rename(resource),
            return_train_score=False,
            random_state=seed,
            **{name: value for name, value in given.items() if value is not None},
            **_OPTIONS,
            **options,
        )


def _is_nested(value) -> bool:
    return isinstance(value, list | tuple | Mapping)


def to_choice(value):
    """Return a value of a grid as a choice of Optuna, which has no lists and tables."""
    return json.dumps(value, sort_keys=True) if _is_nested(value) else value


class OptunaSearch(Table):
    """A search by OptunaSearchCV, which stops bad candidates after any epoch.

    Parameters
    ----------
    grid : dict of str to tuple or Distribution
        Values, or the distribution, of parameters of the estimator, or of a step as
        ``step__parameter``.
    n_iter : int
        Number of candidates that are tried.
    cv : int, default=3
        Number of folds, which are stratified and shuffled.
    """

    # Parameters that depend on the last epoch of a training, which Optuna may not reach.
    NEED_LAST_EPOCH: ClassVar = ("lr_schedule", "early_stopping", "average")

    kind: Literal["optuna"] = "optuna"
    grid: Grid
    cv: Folds = 3
    n_iter: Count

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        if "max_epochs" in self.grid:
            raise BadKey(
                ("grid", "max_epochs"),
                "Optuna decides after how many epochs a training stops, up to the"
                " 'max_epochs' of the estimator. Remove it from the grid.",
            )
        return self

    @property
    def n_candidates(self) -> int:
        """Number of candidates."""
        return self.n_iter

    def make_distributions(self, rename: Callable[[str], str]) -> dict:
        """Return the distributions of Optuna, by the names that `rename` returns."""
        from optuna.distributions import CategoricalDistribution

        return {
            rename(name): values.to_optuna()
            if isinstance(values, Distribution)
            else CategoricalDistribution([*map(to_choice, values)])
            for name, values in self.grid.items()
        }

    def from_choice(self, name: str, choice):
        """Return the value in the grid of a factor for a choice of Optuna.

        Parameters
        ----------
        name : str
            Name of the factor in the study.
        choice : str, int, float, bool or None
            A value that Optuna has proposed, from :meth:`make_distributions`.
        """
        values = self.grid[name]
        nested = () if isinstance(values, Distribution) else filter(_is_nested, values)
        return {to_choice(value): value for value in nested}.get(choice, choice)


class SettingsSearch(Table):
    """A comparison of the settings of the study by cross-validation, by GridSearchCV.

    Parameters
    ----------
    cv : int, default=3
        Number of folds, which are stratified and shuffled.
    """

    grid: ClassVar[Mapping] = {}

    kind: Literal["settings"] = "settings"
    cv: Folds = 3

    def make_comparison(self, estimator, pipelines: list, **options):
        """Return the unfitted search of scikit-learn over the parameter ``pipeline``."""
        return GridSearchCV(estimator, {"pipeline": pipelines}, **_OPTIONS, **options)


def make_param_grid(grid: Mapping[str, Any], rename: Callable[[str], str]) -> dict:
    """Return a grid as scikit-learn takes it, by the names that `rename` returns."""
    return {
        rename(name): values.to_scipy()
        if isinstance(values, Distribution)
        else list(values)
        for name, values in grid.items()
    }


SEARCHES = (GridSearch, RandomSearch, HalvingSearch, OptunaSearch, SettingsSearch)

# The keys of all kinds. The record of a study has them all, those of other kinds without
# a value.
_KEYS: dict = {
    "kind": None,
    "grid": {},
    "cv": None,
    "n_iter": None,
    "resource": None,
    "min_resources": None,
    "max_resources": None,
    "factor": None,
}


def _drop_other_keys(table):
    """Drop the keys of other kinds in a record, and set the default of ``kind``."""
    if not isinstance(table, Mapping):
        return table
    given = {key: value for key, value in table.items() if value is not None}
    if given.get("kind") == "settings" and given.get("grid") == {}:
        del given["grid"]
    return {"kind": "grid"} | given


Search = Annotated[
    GridSearch | RandomSearch | HalvingSearch | OptunaSearch | SettingsSearch,
    Field(discriminator="kind"),
    BeforeValidator(_drop_other_keys),
]


def search_to_record(search: Search) -> dict:
    """Return a search as it is written to the journal, with the keys of all kinds."""
    return _KEYS | search.model_dump(mode="json")
