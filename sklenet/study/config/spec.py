"""A study, as an immutable model that checks itself."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    StrictFloat,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import ParameterGrid

from sklenet._utils.names import suggest_similar
from sklenet.datasets.registry import DATASETS, ImageDataset
from sklenet.study.config.datasets import CustomDatasets
from sklenet.study.config.errors import (
    BadKey,
    ErrorCollector,
    Key,
    StudyError,
    report_errors,
    suggest,
)
from sklenet.study.config.factors import (
    check_classifier_factor,
    check_step_factor,
    is_of_step,
    split_factors,
)
from sklenet.study.config.fields import (
    DataNames,
    Seeds,
    StudyName,
    SubsetSize,
    Table,
    Unique,
)
from sklenet.study.config.parameters import Parameters, check_classifier
from sklenet.study.config.searches import (
    Distribution,
    OptunaSearch,
    RandomSearch,
    Search,
    SettingsSearch,
    count_combinations,
    list_examples,
    search_to_record,
)
from sklenet.study.config.steps import Steps, change_steps, make_steps
from sklenet.study.config.tables import (
    N_TRAIN,
    AdditionalTest,
    Published,
    Setting,
    TestSeries,
    check_subset_size,
)
from sklenet.study.config.values import short_repr

TEST_SET = "test"  # name of the test set as it is, in contrast to those of [[test]]
DEFAULT_SETTING = "estimator"  # name of the setting of a study that has no [[setting]]

# Suffix of the names of metrics at the epoch with the lowest validation loss.
AT_BEST_EPOCH = "_at_best_epoch"

HISTORY_METRICS = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")

# Keys on which the fits do not depend.
PRESENTATION_KEYS = ("title", "notes", "published")

# The largest number of settings or candidates of a study, and of its fits.
MAX_SETTINGS = 10_000
MAX_FITS = 100_000

_ONE_SIZE = (
    "a search compares candidates on the same training images. Set one number for the whole"
    " study: n_train = 5000."
)


def _check_scorers(metrics: tuple[str, ...]) -> tuple[str, ...]:
    known = get_scorer_names()
    errors = ErrorCollector()
    for k, name in enumerate(metrics):
        with errors.collect(str(k)):
            if name not in known:
                raise BadKey(
                    (), f"scikit-learn has no scorer {name!r}.{suggest(name, known)}"
                )
    errors.raise_errors()
    return metrics


def _check_test_names(tests: tuple[AdditionalTest, ...]) -> tuple[AdditionalTest, ...]:
    names = {TEST_SET}
    for k, table in enumerate(tests):
        # A series has its own name and those of its tests.
        for name in dict.fromkeys([table.name, *(test.name for test in table.expand())]):
            if name in names:
                raise BadKey(
                    (str(k), "name"),
                    f"must be unique, and not {TEST_SET!r}, the name of the test set"
                    f" itself. Got {name!r}.",
                )
            names.add(name)
    return tests


def _check_sizes(value):
    """Return several numbers of training images as a tuple."""
    if not isinstance(value, list | tuple):
        return value
    if not value:
        raise ValueError("must not be empty. Got [].")
    if len(set(map(repr, value))) < len(value):
        raise ValueError(f"must not have a number twice. Got {short_repr(list(value))}.")
    return tuple(value)


class Study(Table):
    """A search, and the settings that are trained and evaluated on the test set.

    Parameters
    ----------
    name : str
        Name of the folder of results.
    title : str
        Heading of the report.
    data : tuple of str
        Datasets. Each is searched and evaluated separately.
    seeds : tuple of int
        Values of ``random_state`` with which a setting is trained. The first is also used
        by the search.
    metrics : tuple of str
        Names of scikit-learn's scorers. A search selects its winner by the first one.
    validation : float or "test", optional
        Fraction of the training images held out for validation, and scored after every
        epoch. With "test", the test images are scored after every epoch instead, as in some
        publications; the best of these epochs is not reported.
    validation_rows : {"random", "first"}
        Whether the held-out images are a stratified random sample, drawn with the seed, or
        the first images.
    notes : str
        Interpretation of the results, for the report.
    estimator : dict
        Parameters of LeNet5Classifier that differ from its defaults.
    steps : tuple of dict
        Transformers before the classifier: ``{transformer = "PixelScaler", to = "unit"}``,
        by their name in :mod:`sklenet.study.config.allowed`. In a grid, the name of a step
        is its class in lower case.
    search : Search, optional
        Search whose winner is trained and evaluated.
    setting : tuple of Setting
        Settings, whose grids are not expanded. Without a search, all of them are trained
        and evaluated; without settings, the parameters in `estimator`. The attribute is
        ``setting_tables``.
    test : tuple of AdditionalTest
        Tests besides the one on the test set as it is, whose grids are not expanded. The
        attribute is ``test_tables``.
    published : tuple of Published
        Published results.
    dataset : dict of str to CustomDataset
        Custom datasets by name, which `data` may name. The attribute is
        ``dataset_tables``.
    n_train : int or tuple of int, optional
        Number of training images. If smaller than the training set, a stratified random
        sample is used. Several numbers are a factor of every setting. If None, all
        training images are used.
    train_rows : {"same", "by_seed"}
        Whether all fits use the same sample, or each draws it with its seed. A smaller
        sample is part of a larger one.
    """

    name: StudyName
    title: StrictStr
    data: DataNames
    seeds: Seeds = (0,)
    metrics: Annotated[
        tuple[StrictStr, ...], Field(min_length=1), Unique, AfterValidator(_check_scorers)
    ] = ("accuracy",)
    validation: Annotated[StrictFloat, Field(gt=0, lt=1)] | Literal["test"] | None = None
    validation_rows: Literal["random", "first"] = "random"
    notes: StrictStr = ""
    estimator: Parameters = Field(default_factory=dict)
    steps: Steps = ()
    search: Search | None = None
    setting_tables: tuple[Setting, ...] = Field(default=(), alias="setting")
    test_tables: Annotated[
        tuple[AdditionalTest, ...], AfterValidator(_check_test_names)
    ] = Field(default=(), alias="test")
    published: tuple[Published, ...] = ()
    dataset_tables: CustomDatasets = Field(default_factory=dict, alias="dataset")
    n_train: Annotated[
        SubsetSize | tuple[SubsetSize, ...] | None, BeforeValidator(_check_sizes)
    ] = None
    train_rows: Literal["same", "by_seed"] = "same"

    # The folder of the study file, and the custom datasets once they have been read.
    _folder: Path | None = PrivateAttr(None)
    _datasets: dict[str, ImageDataset] = PrivateAttr(default_factory=dict)

    def __eq__(self, other) -> bool:
        # A study in a journal does not know the folder of its file.
        return isinstance(other, Study) and self.to_record() == other.to_record()

    @property
    def folder(self) -> Path | None:
        """Folder to which the paths of custom datasets are relative; None if unknown."""
        return self._folder

    @property
    def datasets(self) -> dict[str, ImageDataset]:
        """The custom datasets that have been read, by name."""
        return dict(self._datasets)

    def with_datasets(self, datasets: Mapping[str, ImageDataset]) -> Self:
        """Return the study with custom datasets that have been read.

        Parameters
        ----------
        datasets : mapping of str to ImageDataset
            Datasets by name.

        Returns
        -------
        Study

        Raises
        ------
        BadKey
            If a classifier of the study cannot be trained on their images.
        """
        if all(self._datasets.get(name) is one for name, one in datasets.items()):
            return self
        study = self.model_copy()
        study._datasets = {**self._datasets, **datasets}
        study._check_estimator()
        study._check_settings()
        study._check_search()
        return study

    def find_dataset(self, name: str) -> ImageDataset | None:
        """Return a dataset, if it is known.

        Parameters
        ----------
        name : str
            Name of the dataset.

        Returns
        -------
        ImageDataset or None
            None if it is a custom dataset that has not been read.
        """
        return self._datasets.get(name) or DATASETS.get(name)

    def get_dataset(self, name: str) -> ImageDataset:
        """Return a dataset.

        Parameters
        ----------
        name : str
            Name of the dataset.

        Returns
        -------
        ImageDataset

        Raises
        ------
        StudyError
            If it is a custom dataset that has not been read.
        """
        dataset = self.find_dataset(name)
        if dataset is None:
            raise StudyError(f"the dataset {name!r} of the study has not been read.")
        return dataset

    @property
    def train_sizes(self) -> tuple[int, ...]:
        """The numbers of training images, if the study has several."""
        return self.n_train if isinstance(self.n_train, tuple) else ()

    def get_n_train(self, setting: Setting | None = None) -> int | None:
        """Return the number of training images of a setting.

        Parameters
        ----------
        setting : Setting, optional
            If None, the number is that of the study.

        Returns
        -------
        int or None
            None for the whole training set.
        """
        if setting is not None and setting.n_train is not None:
            return setting.n_train
        return self.n_train if isinstance(self.n_train, int) else None

    @property
    def settings(self) -> list[Setting]:
        """The settings, with one setting per combination of a grid."""
        return [
            setting
            for table in self.setting_tables
            for setting in table.expand(self.steps, self.train_sizes)
        ]

    def list_settings(self, data: str) -> list[Setting]:
        """Return the settings for a dataset.

        Parameters
        ----------
        data : str
            Name of the dataset.

        Returns
        -------
        list of Setting
            In a study without settings, one setting with the estimator's own parameters.
        """
        settings = self.settings or [
            Setting(name=f"{N_TRAIN} {n}", n_train=n) for n in self.train_sizes
        ]
        settings = settings or [Setting(name=DEFAULT_SETTING)]
        return [s for s in settings if s.data is None or data in s.data]

    @property
    def additional_tests(self) -> list[AdditionalTest]:
        """The tests besides the one on the test set, with one test per value of a grid."""
        return [test for table in self.test_tables for test in table.expand()]

    @property
    def test_names(self) -> list[str]:
        """The names of all tests."""
        return [TEST_SET] + [test.name for test in self.additional_tests]

    @property
    def series(self) -> list[TestSeries]:
        """The series of tests that differ in the value of one parameter."""
        found = [table.series for table in self.test_tables]
        return [one for one in found if one is not None]

    @property
    def single_test_names(self) -> list[str]:
        """The names of the tests that are not part of a series."""
        in_series = {name for one in self.series for name in one.tests}
        return [name for name in self.test_names if name not in in_series]

    @property
    def metric_names(self) -> list[str]:
        """The names of all metrics that are summarised over seeds."""
        scores = [f"{test}_{name}" for test in self.test_names for name in self.metrics]
        names = [*scores, *HISTORY_METRICS]
        return [name + end for name in names for end in ("", AT_BEST_EPOCH)] + ["epochs"]

    def to_record(self) -> dict:
        """Return the study as it is written to the journal.

        Returns
        -------
        dict
            Plain values under the keys of a study file.
        """
        record = self.model_dump(mode="json", by_alias=True)
        # Records of studies that do not have these keys, and their hashes, stay the same.
        for key, default in (("dataset", {}), (N_TRAIN, None), ("train_rows", "same")):
            if record[key] == default:
                del record[key]
        if self.search is not None:
            record["search"] = search_to_record(self.search)
        return record

    @classmethod
    def from_record(cls, record: dict) -> Self:
        """Return the study of a record in a journal.

        Parameters
        ----------
        record : dict
            Return value of `to_record`.

        Returns
        -------
        Study
        """
        return cls.model_validate(record)

    @field_validator("search")
    @classmethod
    def _check_factors_of_search(cls, search: Search | None, info: ValidationInfo):
        if search is not None:
            _check_factors(search.grid, info.data.get("steps"), has_sizes=False)
        return search

    @field_validator("setting_tables")
    @classmethod
    def _check_factors_of_settings(cls, tables: tuple[Setting, ...], info: ValidationInfo):
        errors = ErrorCollector()
        for k, table in enumerate(tables):
            steps = info.data.get("steps") if table.steps is None else table.steps
            with errors.collect(str(k)):
                _check_factors(table.grid, steps, has_sizes=True)
        errors.raise_errors()
        return tables

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        context: dict[str, Any] = info.context or {}
        self._folder = context.get("folder")
        errors = ErrorCollector()
        if "arrays" in context:  # Python may pass arrays to any other study
            tables = {"data": list(self.data), "dataset": self.dataset_tables}
            errors.errors += find_unknown_datasets(tables, context["arrays"])
        with errors.collect():
            self._check_subsets()
        errors.raise_errors()
        self._check_counts()
        with errors.collect():
            self._check_estimator()
        if not errors.errors:  # its parameters are also those of settings and candidates
            for check in (self._check_settings, self._check_search):
                with errors.collect():
                    check()
        with errors.collect():
            self._check_published()
        errors.raise_errors()
        return self

    def _check_subsets(self) -> None:
        sized = [
            (("setting", str(k), *key), size)
            for k, table in enumerate(self.setting_tables)
            for key, size in (
                ((N_TRAIN,), table.n_train),
                (("grid", N_TRAIN), table.grid.get(N_TRAIN)),
            )
        ]
        for key, size in [((N_TRAIN,), self.train_sizes or None), *sized]:
            if self.search is not None and size is not None:
                raise BadKey(key, _ONE_SIZE)

    def _check_counts(self) -> None:
        """Count the settings, candidates and fits before any grid is expanded.

        A file of a hundred bytes can ask for billions of fits.
        """
        n_sizes = len(self.train_sizes) or 1
        counts = [
            count_combinations(table.grid)
            * (1 if table.n_train is not None or N_TRAIN in table.grid else n_sizes)
            for table in self.setting_tables
        ]
        if counts:
            largest = counts.index(max(counts))
            _check_count(("setting", str(largest)), "settings", sum(counts))
        if self.search is None:
            n_fits = sum(
                n * len(table.seeds or self.seeds) * len(table.data or self.data)
                for table, n in zip(self.setting_tables, counts, strict=True)
            )
            n_fits = n_fits or len(self.seeds) * len(self.data) * n_sizes
            _check_count(("seeds",), "fits", n_fits, MAX_FITS)
            return
        if isinstance(self.search, SettingsSearch):
            n_candidates = sum(counts)
        else:
            n_candidates = self.search.n_candidates
        _check_count(("search",), "candidates", n_candidates)
        n_fits = (n_candidates * self.search.cv + len(self.seeds)) * len(self.data)
        _check_count(("search",), "fits", n_fits, MAX_FITS)

    def _check_estimator(self) -> None:
        with report_errors("estimator"):
            has_steps = bool(self.steps)
            known = self._find_datasets(self.data)
            check_classifier({}, self.estimator, known, has_steps=has_steps)
            self._check_early_stopping(self.estimator)

    def _check_settings(self) -> None:
        errors = ErrorCollector()
        for k, table in enumerate(self.setting_tables):
            with errors.collect("setting", str(k)):
                self._check_setting(table)
        errors.raise_errors()
        for data in self.data:
            names = Counter(setting.name for setting in self.list_settings(data))
            for name, n in names.items():
                if n > 1:
                    raise BadKey(
                        ("setting",),
                        f"the names of the settings for {data!r} must be unique. Got"
                        f" {name!r} {n} times.",
                    )

    def _check_setting(self, table: Setting) -> None:
        for data in table.data or ():
            if data not in self.data:
                raise BadKey(
                    ("data",),
                    "must only contain datasets of the study:"
                    f" {', '.join(self.data)}. Got {data!r}.",
                )
        if table.seeds and self.search:
            raise BadKey(
                ("seeds",),
                "a search compares all settings with the same seed. Remove the seeds of the"
                f" setting {table.name!r}.",
            )
        steps = self.steps if table.steps is None else table.steps
        for setting in table.expand(self.steps):
            own_steps = steps if setting.steps is None else setting.steps
            if own_steps is not steps:  # changed by the grid
                with report_errors("grid"):
                    make_steps(own_steps)
            try:
                own, data_sets = setting.estimator, table.data or self.data
                self._check_classifier(own, data_sets, has_steps=bool(own_steps))
            except BadKey as error:
                in_grid = error.key and error.key[0] in table.grid
                section = "grid" if in_grid else "estimator"
                is_there = in_grid or table.estimator
                key = (section, *error.key) if is_there else error.key
                raise BadKey(key, error.message) from error

    def _check_classifier(self, own: dict, data: Iterable[str], *, has_steps: bool) -> None:
        """Check the classifier with the parameters of the study and these."""
        known = self._find_datasets(data)
        check_classifier(self.estimator, own, known, has_steps=has_steps)
        self._check_early_stopping({**self.estimator, **own})

    def _find_datasets(self, names: Iterable[str]) -> list[ImageDataset]:
        """Return the datasets whose images are known."""
        found = map(self.find_dataset, names)
        return [dataset for dataset in found if dataset is not None]

    def _check_early_stopping(self, parameters: dict) -> None:
        if self.validation == "test" and parameters.get("early_stopping"):
            raise BadKey(
                ("early_stopping",),
                "with validation = 'test', early stopping would report the best test epoch."
                " Hold out a fraction of the training set instead: validation = 0.1.",
            )

    def _check_search(self) -> None:
        search = self.search
        if search is None:
            return
        if isinstance(search, SettingsSearch):
            with report_errors("search"):
                self._check_comparison()
            return
        if self.setting_tables:
            raise BadKey(
                ("search",),
                f"a search of kind {search.kind!r} and settings exclude each other. Remove"
                " the settings, or compare them by the kind 'settings'.",
            )
        if isinstance(search, OptunaSearch):
            self._check_optuna(search)
        with report_errors("search", "grid"):
            self._check_candidates(search)

    def _check_comparison(self) -> None:
        """Check that there are settings to be compared."""
        if len(self.settings) < 2:
            raise BadKey(
                (),
                "kind 'settings' requires at least two settings. Got"
                f" {len(self.settings)}.",
            )
        for data in self.data:
            if not self.list_settings(data):
                raise BadKey((), f"there is no setting for {data!r}.")

    def _check_optuna(self, search: OptunaSearch) -> None:
        tables: list[tuple[Key, Iterable]] = [
            (("estimator",), self.estimator),
            (("search", "grid"), search.grid),
        ]
        for key, names in tables:
            for name in search.NEED_LAST_EPOCH:
                if name in names:
                    raise BadKey(
                        (*key, name),
                        f"{name!r} depends on the last epoch of a training, but Optuna"
                        " decides after every epoch whether to stop. Remove it.",
                    )

    def _check_candidates(self, search) -> None:
        """Check the values of the estimator's parameters, and all combinations."""
        examples = list_examples(search.grid)
        errors = ErrorCollector()
        for name, values in examples.items():
            with errors.collect(name):
                if not is_of_step(name):
                    self._check_values(name, values)
        errors.raise_errors()
        # Parameters of steps do not change which classifiers are possible.
        combined = {name: v for name, v in examples.items() if "__" not in name}
        if len(combined) < 2 and not any(map(is_of_step, combined)):
            return  # a single parameter has been checked
        for candidate in _list_combinations(search, combined):
            own, of_steps = split_factors(candidate)
            steps = change_steps(self.steps, of_steps)
            if of_steps:
                make_steps(steps)
            self._check_classifier(own, self.data, has_steps=bool(steps))

    def _check_values(self, name: str, values: list) -> None:
        """Check values of a parameter of the estimator in the grid of a search."""
        if name in self.estimator:
            raise BadKey(
                (),
                f"{name!r} is both in 'estimator' and in 'search.grid'. Remove one.",
            )
        for value in values:
            try:
                own = {name: value}
                self._check_classifier(own, self.data, has_steps=bool(self.steps))
            except BadKey as error:
                raise BadKey((), error.message) from error

    def _check_published(self) -> None:
        metrics = self.metric_names
        settings = {
            data: [s.name for s in self.list_settings(data)] if self.setting_tables else []
            for data in self.data
        }
        errors = ErrorCollector()
        for k, published in enumerate(self.published):
            with errors.collect("published", str(k)):
                self._check_source(published, metrics, settings)
        errors.raise_errors()

    def _check_source(
        self, published: Published, metrics: list[str], settings: dict[str, list[str]]
    ) -> None:
        """Check that the study has what a source is compared with."""
        if published.data not in settings:
            raise BadKey(
                ("data",),
                f"must be one of the datasets of the study: {', '.join(self.data)}. Got"
                f" {published.data!r}.",
            )
        names = settings[published.data]
        # A search trains its winner only, whichever setting that is.
        is_optional = self.search is not None or not self.setting_tables
        is_missing = published.setting is None
        if published.setting not in names and not (is_missing and is_optional):
            raise BadKey(
                ("setting",),
                f"must be the name of a setting for {published.data!r}. Got"
                f" {published.setting!r}.{suggest(str(published.setting), names)}",
            )
        for name in published.results:
            if name not in metrics:
                raise BadKey(
                    ("figures", name),
                    f"the study has no metric {name!r}.{suggest(name, metrics)}",
                )
        for name in published.curves:
            if name.startswith("valid") and self.validation is None:
                raise BadKey(
                    ("curves", name),
                    f"the study has no curve {name!r} to compare with. Set 'validation'.",
                )


def _check_count(key: Key, what: str, n: int, limit: int = MAX_SETTINGS) -> None:
    if n > limit:
        found = f"{n:,}" if n < 10**12 else "more than 10^12"
        raise BadKey(
            key,
            f"the study has {found} {what}, above the limit of {limit:,}. Reduce it, or"
            " divide it into several studies.",
        )


def find_unknown_datasets(table: Mapping, arrays: Iterable[str]) -> list[BadKey]:
    """Return the errors in the names of the datasets of a study.

    Parameters
    ----------
    table : mapping
        The content of a study file, which need not be valid otherwise.
    arrays : iterable of str
        Names of datasets that are given as arrays.
    """
    data, tables = table.get("data"), table.get("dataset")
    if not isinstance(data, list) or not isinstance(tables, Mapping | None):
        return []
    known = [*DATASETS, *(tables or {}), *arrays]
    return [
        BadKey(
            ("data", str(k)),
            f"Input should be {', '.join(map(repr, known))}, or the name of a table"
            f" [dataset.{name}]. Got {name!r}.{suggest_similar(name, known)}",
        )
        for k, name in enumerate(data)
        if isinstance(name, str) and name not in known
    ]


def _check_factors(
    grid: Mapping, steps: tuple[dict, ...] | None, *, has_sizes: bool
) -> None:
    """Check the factors of a grid; those of steps only if the steps are valid."""
    examples, errors = list_examples(grid), ErrorCollector()

    def check(name: str, values: list) -> None:
        check_classifier_factor(name, values)
        if is_of_step(name) and steps is not None:
            check_step_factor(name, values, steps, examples)

    for name, values in examples.items():
        with errors.collect("grid", name):
            if name != N_TRAIN:
                try:
                    check(name, values)
                except ValueError as error:
                    _check_whole(check, name, grid[name], error)
                    raise
                continue
            if not has_sizes:
                raise BadKey((), _ONE_SIZE)
            for value in values:
                check_subset_size(value)
    errors.raise_errors()


def _check_whole(check: Callable, name: str, values, error: ValueError) -> None:
    """Raise the error with a hint if a distribution should be one of whole numbers."""
    if not isinstance(values, Distribution) or values.name == "randint":
        return
    try:
        check(name, [round(values.low), round(values.high)])
    except ValueError:
        return
    hint = "For whole numbers, use randint = [low, high]."
    raise ValueError(f"{error} {hint}") from error


def _list_combinations(search, grid: dict[str, list]) -> Iterable[dict]:
    """Return the combinations of the values in a grid that are to be checked.

    The number of combinations from which candidates are drawn is not limited: of these,
    only that of all first and that of all last values are checked.
    """
    if isinstance(search, RandomSearch | OptunaSearch):
        return [{name: values[end] for name, values in grid.items()} for end in (0, -1)]
    return ParameterGrid(grid)
