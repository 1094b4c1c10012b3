"""The kinds of searches: their fields, their records, and their scikit-learn searches."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError
from scipy import stats
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
)
from sklearn.naive_bayes import GaussianNB

from sklenet.study import StudyError, read_study
from sklenet.study.config.searches import (
    Distribution,
    GridSearch,
    HalvingSearch,
    OptunaSearch,
    RandomSearch,
    Search,
    SettingsSearch,
    search_to_record,
)

SEARCH: TypeAdapter = TypeAdapter(Search)
LISTS = {"a": [1, 2, 3], "b": [0.1, 0.2]}
DRAWN = {"a": {"randint": [4, 12]}, "b": {"loguniform": [1e-4, 0.1]}, "c": [1, None]}

TABLES = [
    ({"grid": LISTS}, GridSearch),
    ({"kind": "grid", "grid": LISTS, "cv": 5}, GridSearch),
    ({"kind": "random", "grid": DRAWN, "n_iter": 4}, RandomSearch),
    ({"kind": "halving", "grid": LISTS, "resource": "n_samples"}, HalvingSearch),
    (
        {"kind": "halving", "grid": LISTS, "resource": "max_epochs", "factor": 3}
        | {"min_resources": 1, "max_resources": 9},
        HalvingSearch,
    ),
    ({"kind": "optuna", "grid": DRAWN, "n_iter": 4}, OptunaSearch),
    ({"kind": "settings", "cv": 2}, SettingsSearch),
]


@pytest.mark.parametrize(("table", "expected"), TABLES)
def test_a_record_has_the_keys_of_all_kinds_and_can_be_read(table, expected):
    search = SEARCH.validate_python(table)
    assert type(search) is expected
    record = search_to_record(search)
    assert list(record) == [
        *("kind", "grid", "cv", "n_iter", "resource"),
        *("min_resources", "max_resources", "factor"),
    ]
    other = {"kind": "grid", "grid": {}, "cv": 3}
    assert record == dict.fromkeys(record) | other | table
    assert SEARCH.validate_python(json.loads(json.dumps(record))) == search


@pytest.mark.parametrize("key", ["n_iter", "resource", "min_resources", "factor"])
def test_a_key_of_another_kind_is_an_error(key):
    with pytest.raises(ValidationError, match=key):
        SEARCH.validate_python({"grid": LISTS, key: 2})


@pytest.mark.parametrize(
    ("table", "ends"),
    [
        ({"uniform": [0.1, 0.5]}, [0.1, 0.5]),
        ({"loguniform": [1, 100]}, [1.0, 100.0]),
        ({"randint": [4, 12]}, [4, 11]),
    ],
)
def test_distributions_are_the_same_in_scipy_and_optuna(table, ends):
    distribution = Distribution.model_validate(table)
    assert distribution.ends == ends
    assert list(distribution.to_scipy().support()) == ends
    pytest.importorskip("optuna")
    drawn = distribution.to_optuna()
    assert [drawn.low, drawn.high] == ends
    assert drawn.log == ("loguniform" in table)


@pytest.mark.parametrize(
    "table",
    [
        *({"uniform": [1, 1]}, {"uniform": [2, 1]}, {"uniform": [1]}, {"normal": [0, 1]}),
        *({"uniform": ["a", 1]}, {"uniform": [False, True]}, {"uniform": 1}, {}),
        *({"uniform": [0, float("inf")]}, {"uniform": [0, 1], "randint": [0, 1]}),
        *({"loguniform": [0, 1]}, {"randint": [0.5, 3]}, {"randint": [0, 10**30]}),
    ],
)
def test_a_distribution_must_have_two_ends_in_its_range(table):
    with pytest.raises(ValidationError, match=r"or a distribution: .*Got \{"):
        Distribution.model_validate(table)


def test_searches_of_scikit_learn_have_the_fields_of_the_study():
    options = {"rename": "x__{}".format, "seed": 7, "cv": 2, "n_jobs": 3}
    grid = SEARCH.validate_python({"grid": LISTS}).make_search(GaussianNB(), **options)
    assert isinstance(grid, GridSearchCV)
    assert grid.param_grid == {"x__a": [1, 2, 3], "x__b": [0.1, 0.2]}
    assert (grid.cv, grid.n_jobs, grid.refit, grid.error_score) == (2, 3, False, "raise")

    table = {"kind": "random", "grid": DRAWN, "n_iter": 4}
    random = SEARCH.validate_python(table).make_search(GaussianNB(), **options)
    assert isinstance(random, RandomizedSearchCV)
    assert (random.n_iter, random.random_state, random.refit) == (4, 7, False)
    assert random.param_distributions["x__c"] == [1, None]
    assert random.param_distributions["x__a"].dist.name == stats.randint.name

    table = {"kind": "halving", "grid": LISTS, "resource": "max_epochs", "factor": 2}
    table |= {"min_resources": 1, "max_resources": 8}
    halving = SEARCH.validate_python(table).make_search(GaussianNB(), **options)
    assert isinstance(halving, HalvingGridSearchCV)
    assert halving.resource == "x__max_epochs"
    assert (halving.min_resources, halving.max_resources, halving.factor) == (1, 8, 2)
    assert halving.random_state == 7


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"min_resources": 20},
        {"max_resources": 60},
        {"min_resources": 40, "max_resources": 90, "factor": 2},
        {"factor": 4},
    ],
)
@pytest.mark.parametrize("n_values", [2, 4, 9, 30])
def test_rounds_are_those_of_scikit_learn(options, n_values):
    X, y = load_iris(return_X_y=True)
    values = [10.0**-k for k in range(n_values)]
    table = {"kind": "halving", "grid": {"var_smoothing": values}, "cv": 2}
    search = SEARCH.validate_python(table | {"resource": "n_samples"} | options)
    found = search.make_search(GaussianNB(), str, seed=0, cv=2).fit(X, y)
    expected = list(zip(found.n_candidates_, found.n_resources_, strict=True))
    assert search.list_rounds(len(y), 3) == expected


@pytest.mark.parametrize(
    ("table", "n_candidates"),
    [
        ({"grid": LISTS}, 6),
        ({"kind": "random", "grid": LISTS, "n_iter": 4}, 4),
        ({"kind": "random", "grid": LISTS, "n_iter": 40}, 6),
        ({"kind": "random", "grid": DRAWN, "n_iter": 40}, 40),
        ({"kind": "optuna", "grid": LISTS, "n_iter": 40}, 40),
        ({"kind": "halving", "grid": LISTS, "resource": "n_samples"}, 6),
    ],
)
def test_the_number_of_candidates(table, n_candidates):
    assert SEARCH.validate_python(table).n_candidates == n_candidates


HEAD = 'name = "s"\ntitle = "t"\ndata = ["digits"]\n[search]\n'


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("kind = 5", 5, "search.kind: "),
        ("kind = 'grid'\ngrid = 5", 6, "search.grid: Input should be a valid table. Got 5"),
        ("kind = 'grid'\ngrid = {}", 6, "search.grid: must not be empty. Got {}."),
        ("grid = { lr = 0.1 }", 5, "search.grid.lr: Input should be a valid list. Got 0.1"),
        (
            "kind = 'random'\nn_iter = 0\ngrid = { lr = [0.1] }",
            6,
            "search.n_iter: Input should be greater than or equal to 1. Got 0",
        ),
        (
            "kind = 'halving'\nresource = 'lr'\ngrid = { lr = [0.1, 0.2] }",
            6,
            "search.resource: Input should be 'max_epochs' or 'n_samples'. Got 'lr'",
        ),
        (
            "kind = 'halving'\nresource = 'max_epochs'\nmin_resources = 1\n"
            "max_resources = 2\ngrid = { max_epochs = [1, 2] }",
            9,
            "search.grid.max_epochs: 'max_epochs' is the resource of the search",
        ),
        (
            "kind = 'halving'\nresource = 'n_samples'\n"
            "grid = { lr = { uniform = [0.1, 0.2] } }",
            7,
            "search.grid.lr: a distribution requires a search of kind 'random' or 'optuna'",
        ),
        (
            "kind = 'random'\nn_iter = 3\ngrid = { batch_size = { uniform = [8, 64] } }",
            7,
            "Got 8.0 instead. For whole numbers, use randint = [low, high].",
        ),
        (
            "kind = 'random'\nn_iter = 3\ngrid = { lr = { uniform = [-1, 0.1] } }",
            7,
            "must be a float in the range (0.0, inf). Got -1.0 instead.\n",
        ),
        (
            "grid = { early_stopping = [true, false] }\n[estimator]\nmax_epochs = 3\n",
            5,
            "search.grid.early_stopping: with validation = 'test', early stopping would",
        ),
    ],
)
def test_an_error_in_a_search_names_its_key_and_line(tmp_path, text, line, message):
    path = tmp_path / "s.toml"
    head = HEAD
    if "early_stopping" in text:
        head, line = HEAD.replace("[search]", 'validation = "test"\n[search]'), line + 1
    path.write_text(head + text)
    with pytest.raises(StudyError) as error:
        read_study(path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert message in f"{error.value}\n"
