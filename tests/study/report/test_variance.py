"""Analysis of variance, against constructed grids and statsmodels' anova_lm."""

import itertools

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from sklenet.study.report.variance import FOLDS, HIGHER, REMAINDER, decompose_variance


def make_grid(**values):
    """Return all combinations, each value as the object that it is."""
    rows = list(itertools.product(*values.values()))
    return pd.DataFrame(
        {
            name: pd.Series([row[k] for row in rows], dtype=object)
            for k, name in enumerate(values)
        }
    )


GRID = make_grid(a=["x", "y", "z"], b=[1, 2], c=[0.0, 0.5, 1.0])


def score_grid(grid, seed=0, n_folds=3, noise=0.1):
    """Return scores with effects of all orders, of the folds, and noise."""
    rng = np.random.default_rng(seed)
    codes = [pd.factorize(grid[name].map(repr))[0] for name in grid]
    size = (len(grid), 1)
    effects = rng.normal(size=size) * 0.3 + sum(code[:, None] for code in codes)
    return (
        effects + [0.0, 0.4, 0.1][:n_folds] + noise * rng.normal(size=(len(grid), n_folds))
    )


def test_shares_of_an_additive_grid_are_those_of_its_effects():
    effects = {"x": -1.0, "y": 0.0, "z": 1.0}, {1: -0.5, 2: 0.5}
    means = GRID["a"].map(effects[0]) + GRID["b"].map(effects[1])
    scores = means.to_numpy(dtype=float)[:, None] + [-0.1, 0.1]
    table = decompose_variance(GRID, scores).set_index("term")
    # Mean squares of the effects: 2/3, 1/4 and 1/100.
    total = 2 / 3 + 1 / 4 + 1 / 100
    assert table["share"]["a"] == pytest.approx(2 / 3 / total)
    assert table["share"]["b"] == pytest.approx(1 / 4 / total)
    assert table["share"][FOLDS] == pytest.approx(1 / 100 / total)
    others = table["share"].drop(["a", "b", FOLDS])
    assert others.to_numpy() == pytest.approx(0, abs=1e-12)
    assert table.index[:2].tolist() == ["a", "b"]
    assert table.index[-3:].tolist() == [HIGHER, FOLDS, REMAINDER]


def test_a_pure_interaction_has_all_of_the_variance():
    grid = make_grid(a=[0, 1], b=[0, 1], c=["u", "v", "w"])
    scores = np.where(grid["a"] == grid["b"], 1.0, -1.0)[:, None] + [0.0, 0.0]
    table = decompose_variance(grid, scores).set_index("term")
    assert table.index[0] == "a × b"
    assert table["share"]["a × b"] == pytest.approx(1)
    assert table["df"].to_dict() == {
        "a": 1,
        "b": 1,
        "c": 2,
        "a × b": 1,
        "a × c": 2,
        "b × c": 2,
        HIGHER: 2,
        FOLDS: 1,
        REMAINDER: 11,
    }


def test_an_interaction_of_three_is_one_of_three_or_more():
    grid = make_grid(a=[-1, 1], b=[-1, 1], c=[-1, 1])
    scores = grid.astype(float).prod(axis=1).to_numpy()[:, None] + [0.0, 0.0]
    table = decompose_variance(grid, scores).set_index("term")
    assert table["share"][HIGHER] == pytest.approx(1)


def compare_to_statsmodels(grid, scores):
    """Compare sums of squares, F and p-values with those of one model of all scores."""
    table = decompose_variance(grid, scores).set_index("term")
    scores = scores[np.isfinite(scores).all(axis=1)]
    n, n_folds = scores.shape
    frame = grid.map(repr).loc[np.repeat(grid.index, n_folds)].reset_index(drop=True)
    frame["fold"], frame["score"] = np.tile(np.arange(n_folds), n), scores.ravel()
    formula = "score ~ C(fold) + (C(a) + C(b) + C(c)) ** 2"
    expected = anova_lm(ols(formula, frame).fit(), typ=2)
    total = ((frame["score"] - frame["score"].mean()) ** 2).sum()
    names = {"a": "C(a)", "b": "C(b)", "c": "C(c)", FOLDS: "C(fold)"}
    names |= {"a × b": "C(a):C(b)", "a × c": "C(a):C(c)", "b × c": "C(b):C(c)"}
    for name, theirs in names.items():
        assert table["share"][name] * total == pytest.approx(expected["sum_sq"][theirs])
        assert table["df"][name] == round(expected["df"][theirs])
    # Their residual has the interaction of three, which is not noise.
    rest = table.loc[[HIGHER, REMAINDER]]
    assert rest["share"].sum() * total == pytest.approx(expected["sum_sq"]["Residual"])
    assert rest["df"].sum() == round(expected["df"]["Residual"])
    saturated = ols("score ~ C(fold) + C(a) * C(b) * C(c)", frame).fit()
    if len(scores) == len(GRID):
        theirs = anova_lm(saturated, typ=2)
        assert table["f"]["a"] == pytest.approx(theirs["F"]["C(a)"])
        assert table["p"]["a × b"] == pytest.approx(theirs["PR(>F)"]["C(a):C(b)"])
        assert table["f"][HIGHER] == pytest.approx(theirs["F"]["C(a):C(b):C(c)"])
        assert table["share"].sum() == pytest.approx(1)
    return table


def test_a_full_grid_has_the_numbers_of_statsmodels():
    compare_to_statsmodels(GRID, score_grid(GRID))


def test_a_grid_without_some_candidates_has_the_type_ii_sums_of_statsmodels():
    scores = score_grid(GRID)
    included = ~np.isin(np.arange(len(GRID)), [3, 8])
    table = compare_to_statsmodels(GRID[included], scores[included])
    assert table["share"].sum() != pytest.approx(1, abs=1e-6)


def test_candidates_that_failed_on_a_fold_are_ignored():
    scores = score_grid(GRID)
    included = ~np.isin(np.arange(len(GRID)), [3, 8])
    expected = decompose_variance(GRID[included], scores[included])
    scores[3, 1] = np.nan
    scores[8] = np.nan
    pd.testing.assert_frame_equal(decompose_variance(GRID, scores), expected)


def test_a_missing_combination_takes_a_degree_of_freedom():
    included = ~((GRID["a"] == "x") & (GRID["b"] == 1))
    # Without noise, what remains has effects of a and c alone.
    scores = GRID["a"].map({"x": 0, "y": 1, "z": 5}) + 2 * GRID["c"]
    scores = scores.to_numpy(dtype=float)[:, None] + [0.0, 0.1]
    table = decompose_variance(GRID[included], scores[included]).set_index("term")
    assert table["df"]["a × b"] == 1
    assert table["df"]["a"] == 2
    shares = table["share"].drop(["a", "c", FOLDS])
    assert shares.to_numpy() == pytest.approx(0, abs=1e-12)


def test_values_may_be_of_any_type():
    values = {
        "a": [["flip"], ["flip", {"shift": 2}], None],
        "b": [{"transformer": "Inverter", "maximum": 16}, "passthrough"],
        "c": [1, "1", 1.5],  # a number, and a text that looks like it
    }
    grid, scores = make_grid(**values), score_grid(GRID)
    expected = decompose_variance(GRID, scores)
    pd.testing.assert_frame_equal(decompose_variance(grid, scores), expected)


NAMES = ["1", "a b", "it's", 'a "quoted" name', "C(fold)", "mean", "p0", "a:b", "Q('x')"]


@pytest.mark.parametrize("name", NAMES)
def test_names_may_be_anything(name):
    scores = score_grid(GRID)
    table = decompose_variance(GRID.rename(columns={"a": name}), scores)
    expected = decompose_variance(GRID, scores)
    assert table["term"].tolist() == [
        name if term == "a" else term.replace("a ×", f"{name} ×")
        for term in expected["term"]
    ]
    columns = ["share", "df", "f", "p"]
    pd.testing.assert_frame_equal(table[columns], expected[columns])


def test_a_parameter_with_one_value_is_ignored():
    scores = score_grid(GRID)
    expected = decompose_variance(GRID, scores)
    constant = GRID.assign(d="same")
    pd.testing.assert_frame_equal(decompose_variance(constant, scores), expected)


def test_a_single_parameter_has_no_interactions():
    grid = make_grid(a=["x", "y", "z"])
    scores = score_grid(grid)
    table = decompose_variance(grid, scores).set_index("term")
    assert table.index.tolist() == ["a", FOLDS, REMAINDER]
    assert table["share"].sum() == pytest.approx(1)


def test_without_a_remainder_the_tests_are_decided():
    scores = np.array([0.5, 0.75, 0.5, 0.75])[:, None] + [0.0, 0.0]
    grid = make_grid(a=[1, 2], b=[1, 2])
    table = decompose_variance(grid, scores).set_index("term")
    assert (table["f"]["b"], table["p"]["b"]) == (np.inf, 0)
    assert np.isnan(table["f"][REMAINDER])


@pytest.mark.parametrize(
    ("grid", "scores"),
    [
        (GRID[[]], score_grid(GRID)),  # no parameters
        (GRID[:0], np.empty((0, 3))),  # no candidates
        (GRID, np.full((len(GRID), 3), np.nan)),
        (GRID, np.full((len(GRID), 3), 0.5)),  # equal scores
        (GRID, score_grid(GRID, n_folds=1)),
        # a and b always change together.
        (GRID.assign(b=GRID["a"]), score_grid(GRID)),
        # Fewer candidates than coefficients.
        (GRID[::4], score_grid(GRID)[::4]),
        # 1,200 values and their combinations with two others.
        (make_grid(a=range(1200), b=[1, 2]), np.random.default_rng(0).random((2400, 2))),
    ],
)
def test_what_cannot_be_decomposed_is_empty(grid, scores):
    table = decompose_variance(grid, scores)
    assert table.columns.tolist() == ["term", "share", "df", "f", "p"]
    assert len(table) == 0
