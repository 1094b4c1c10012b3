"""The kinds of records in the journal of a study, and their fields.

Records are checked whenever they are read, since a journal may be damaged, edited, or come
from an untrusted source. A valid record has the fields that tables and figures use, with
values of the right types.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)

from sklenet.datasets.registry import DATASETS
from sklenet.study.config.allowed import MAX_SIDE
from sklenet.study.config.fields import DataName
from sklenet.study.config.values import find_problem, short_repr
from sklenet.study.engine.journal import Journal

RECORDS = "records.jsonl"  # name of the journal in the folder of a study

_Count = Annotated[StrictInt, Field(ge=0, lt=2**63)]
_Finite = Annotated[StrictFloat, Field(allow_inf_nan=False)]
_Number = _Finite | Annotated[StrictInt, Field(gt=-(2**63), lt=2**63)]
_Score = _Number | None  # None: not finite
_Key = Annotated[StrictStr, Field(min_length=1)]
_Params = dict[StrictStr, Any]
_Epoch = dict[StrictStr, _Score]
# Largest number of classes of a dataset: matrices have the square of it.
_MAX_CLASSES = 1000
_Class = Annotated[StrictInt, Field(ge=0, lt=_MAX_CLASSES)]
_Confusion = Annotated[
    list[Annotated[list[_Count], Field(max_length=_MAX_CLASSES)]],
    Field(max_length=_MAX_CLASSES),
]
_Side = Annotated[StrictInt, Field(ge=1, le=MAX_SIDE)]


class _Record(BaseModel):
    """A table in a record. Keys without a default are required; others are allowed."""

    model_config = ConfigDict(extra="allow")


class _Test(_Record):
    """The scores of one test, by metric, and the data of the figures."""

    __pydantic_extra__: dict[str, _Score]
    confusion: _Confusion = []
    mistakes: list[tuple[_Count, _Class, _Number]] = []
    rejection: list[_Score] = []
    images: list[tuple[_Class, StrictStr]] = []  # true class and pixels of mistakes
    best_epoch: dict[StrictStr, _Score] = {}


class _Fitted(_Record):
    """A fit in a search or on the whole training set."""

    key: _Key
    data: DataName
    params: _Params
    fingerprint: StrictStr = ""
    run: _Count = 0
    steps: list[Any] = []
    n_train: _Count = 0
    seconds: _Number = 0
    cpu_seconds: _Number = 0
    n_parameters: _Count = 0
    device: StrictStr = ""
    threads: _Count = 0
    best_epoch: _Count | None = None
    history: list[_Epoch] = []
    error: StrictStr = ""


class _Fold(_Fitted):
    kind: Literal["fold"]
    scores: dict[StrictStr, _Score] = {}


class _Fit(_Fitted):
    kind: Literal["fit"]
    setting: StrictStr
    seed: _Count
    n_valid: _Count = 0
    n_test: _Count = 0
    tests: dict[StrictStr, _Test] = {}


class _Committee(_Record):
    kind: Literal["committee"]
    key: _Key
    data: DataName
    setting: StrictStr
    seeds: Annotated[list[_Count], Field(min_length=2)]
    run: _Count = 0
    tests: dict[StrictStr, dict[StrictStr, _Score]]


class _Trial(_Record):
    kind: Literal["trial"]
    key: _Key
    of: StrictStr
    data: DataName
    number: _Count
    params: Annotated[_Params, Field(min_length=1)]
    state: Literal["complete", "pruned", "fail"]
    history: list[_Score]
    scores: Annotated[list[_Score], Field(min_length=2)]
    seconds: _Number
    n_train: _Count
    run: _Count = 0
    error: StrictStr = ""


class _Table(_Record):
    """The columns of ``cv_results_`` that every search has."""

    params: Annotated[list[_Params], Field(min_length=1)]
    mean_test_score: list[_Score]
    rank_test_score: list[_Count]


class _Search(_Record):
    kind: Literal["search"]
    of: StrictStr
    data: DataName
    best: _Count | None
    cv_results: _Table


class _Dataset(_Record):
    """A dataset that is not identified by its name alone."""

    kind: Literal["dataset"]
    data: DataName
    fingerprint: _Key
    image_shape: tuple[Literal[1, 3], _Side, _Side]
    class_names: Annotated[list[StrictStr], Field(min_length=2, max_length=_MAX_CLASSES)]
    n_images: dict[Literal["train", "test"], _Count]


class _Machine(_Record):
    system: StrictStr = ""
    cpu: StrictStr = ""
    cores: _Count | None = None
    torch_threads: _Count = 0
    cuda: StrictStr | None = None


class _Run(_Record):
    kind: Literal["run"]
    run: _Count
    command: StrictStr | None = None
    started: StrictStr = ""
    versions: dict[StrictStr, StrictStr | None] = {}
    machine: _Machine = _Machine()
    revision: StrictStr | None = None


class _Study(_Record):
    kind: Literal["study"]
    study: dict[StrictStr, Any]


_RECORD: TypeAdapter = TypeAdapter(
    Annotated[
        _Study | _Run | _Dataset | _Fold | _Fit | _Committee | _Trial | _Search,
        Field(discriminator="kind"),
    ]
)


class StudyJournal(Journal):
    """The journal of a study. Its records are checked when they are read."""

    def find_problem(self, record: dict) -> str | None:
        """Return what is wrong with a record of a study; None if it is valid."""
        problem = find_problem(record)
        if problem is not None:
            return f"{'.'.join(problem[0])} {problem[1]}"
        try:
            _RECORD.validate_python(record)
        except ValidationError as error:
            return _explain(error)
        if record["kind"] == "search":
            return _find_problem_in_table(record["cv_results"], record["best"])
        if record["kind"] == "fit":
            dataset = DATASETS.get(record["data"])
            problem_in_tests = _find_problem_in_tests(
                record.get("tests", {}), None if dataset is None else dataset.n_classes
            )
            if problem_in_tests:
                return problem_in_tests
        best, history = record.get("best_epoch"), record.get("history", [])
        if record["kind"] == "fit" and best is not None and not 1 <= best <= len(history):
            return f"best_epoch is {best}, but the history has {len(history)} epochs"
        return None


def _find_problem_in_tests(tests: dict, n_classes: int | None) -> str | None:
    """Return which class or matrix does not fit the number of classes, if it is known."""
    for name, test in tests.items():
        matrix = test.get("confusion", [])
        n = n_classes or len(matrix) or _MAX_CLASSES
        if matrix and (n < 2 or len(matrix) != n or any(len(row) != n for row in matrix)):
            return f"tests.{name}.confusion: not a matrix of {max(2, n)} classes"
        for k, (_, predicted, _) in enumerate(test.get("mistakes", [])):
            if predicted >= n:
                return f"tests.{name}.mistakes.{k}.1: {predicted} is not one of {n} classes"
        for k, (true, _) in enumerate(test.get("images", [])):
            if true >= n:
                return f"tests.{name}.images.{k}.0: {true} is not one of {n} classes"
    return None


def _explain(error: ValidationError) -> str:
    """Return the first error in a record, in words."""
    (first, *_) = error.errors(include_url=False, include_context=False)
    key = ".".join(str(part) for part in first["loc"][1:]) or "kind"
    if first["type"] in ("missing", "union_tag_not_found"):
        return f"the key {key!r} of the record is missing"
    return f"{key}: {first['msg']}. Got {short_repr(first['input'])}"


def _find_problem_in_table(table: dict, best: int | None) -> str | None:
    """Return what is wrong with the columns of a search's record."""
    n = len(table["params"])
    for name, values in table.items():
        if not isinstance(values, list) or len(values) != n:
            return f"cv_results.{name} is not a list of {n} values"
        if name.startswith("split") and not all(map(_is_score, values)):
            return f"cv_results.{name} has a value that is not a score"
        if name in ("iter", "n_resources", "epochs") and not all(map(_is_int, values)):
            return f"cv_results.{name} has a value that is not a whole number"
    if sum(name.startswith("split") for name in table) < 2:
        return "cv_results has fewer than 2 folds"
    names = list(table["params"][0])
    if any(list(params) != names for params in table["params"]):
        return "cv_results.params are not all of the same parameters"
    if best is not None and best >= n:
        return f"best is {best}, but there are {n} candidates"
    return None


def _is_int(value) -> bool:
    return isinstance(value, int)


def _is_score(value) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or is_number
