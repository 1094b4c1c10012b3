"""Analysis of variance: which hyperparameters explain the scores of a search.

The variance of the scores over all candidates and folds is divided into shares of each
parameter, each pair of parameters, the folds and the remainder. For a full grid this is the
functional ANOVA of Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing
hyperparameter importance" (ICML 2014), computed exactly instead of from a forest.
"""

from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

HIGHER, FOLDS, REMAINDER = "three or more parameters", "folds", "remainder"

_COLUMNS = ["term", "share", "df", "f", "p"]
# Largest number of coefficients of the linear model, whose fit takes the cube of it.
_MAX_COEFFICIENTS = 2000


def decompose_variance(factors: pd.DataFrame, scores: np.ndarray) -> pd.DataFrame:
    """Compute the shares of parameters and their interactions in the variance of scores.

    Sums of squares are of type II: that of a term is what it explains in addition to all
    terms that do not contain it. Those of a full grid add up to the total. If candidates
    are missing, they need not, and the interaction of two parameters some of whose
    combinations are missing has fewer degrees of freedom.

    Parameters
    ----------
    factors : DataFrame of shape (n_candidates, n_parameters)
        Value of each parameter, for each candidate. Values may be of any type; those with
        the same representation are the same. Columns with a single value are ignored.
    scores : array-like of shape (n_candidates, n_folds)
        Score of each candidate on each fold. Candidates with NaN are ignored.

    Returns
    -------
    DataFrame
        One row per term: each parameter and each pair of parameters, such as
        "activation × pooling", from the largest to the smallest share; the interactions of
        three or more parameters, if there are any; the folds; and the remainder, which is
        the variation of the differences between candidates from fold to fold. ``share`` is
        the fraction of the total sum of squares, ``df`` are the degrees of freedom, and
        ``f`` and ``p`` are the statistic and the p-value of the F test against the
        remainder. The frame is empty if there is only one fold, if all scores are equal,
        if no parameter has two values, if the effect of a parameter cannot be separated
        from the others, or if the linear model would have more than 2,000 coefficients.
    """
    scores = np.asarray(scores, dtype=float)
    is_valid = np.isfinite(scores).all(axis=1)
    scores, labels = scores[is_valid], factors[is_valid].map(repr)
    n_candidates, n_folds = scores.shape
    levels = {name: n for name, n in labels.nunique().items() if n > 1}
    pairs = list(combinations(levels, 2))
    n_coefficients = sum(levels.values()) + sum(levels[a] * levels[b] for a, b in pairs)
    if not levels or n_folds < 2 or np.ptp(scores) == 0:
        return pd.DataFrame(columns=_COLUMNS)
    if n_coefficients > _MAX_COEFFICIENTS:
        return pd.DataFrame(columns=_COLUMNS)

    # Every candidate has a score on every fold, so that the folds are orthogonal to the
    # parameters, and the model of the means of the candidates is sufficient.
    means = scores.mean(axis=1)
    fit = _make_fit(labels[list(levels)], means)
    terms = [frozenset([name]) for name in levels] + [frozenset(pair) for pair in pairs]
    rows = []
    for term in terms:
        others = frozenset(other for other in terms if not other >= term)
        restricted, full = fit(others), fit(others | {term})
        df = round(restricted.df_resid - full.df_resid)
        if len(term) == 1 and df < levels[min(term)] - 1:
            return pd.DataFrame(columns=_COLUMNS)
        if df:
            name = " × ".join(name for name in levels if name in term)
            rows.append((name, n_folds * (restricted.ssr - full.ssr), df))
    rows.sort(key=lambda row: -row[1])
    largest = fit(frozenset(terms))
    if round(largest.df_resid):
        rows.append((HIGHER, n_folds * largest.ssr, round(largest.df_resid)))
    total = scores - scores.mean()
    of_folds = n_candidates * (total.mean(axis=0) ** 2).sum()
    rows.append((FOLDS, of_folds, n_folds - 1))
    rest = total - total.mean(axis=0) - total.mean(axis=1, keepdims=True)
    df_rest = (n_candidates - 1) * (n_folds - 1)
    table = pd.DataFrame([*rows, (REMAINDER, (rest**2).sum(), df_rest)])
    return _make_table(table.set_axis(["term", "sum", "df"], axis=1), (total**2).sum())


def _make_fit(factors: pd.DataFrame, means: np.ndarray):
    """Return a function that fits the linear model with a set of terms."""
    # Imported here, since it takes longer than the rest of a report.
    from statsmodels.formula.api import ols

    # Formulas contain numbers instead of the names of parameters, which may be anything.
    codes = {name: f"C(p{k})" for k, name in enumerate(factors)}
    frame = factors.set_axis([f"p{k}" for k in range(len(codes))], axis=1)
    frame = frame.assign(mean=means)

    @cache
    def fit(terms: frozenset[frozenset[str]]):
        words = [":".join(codes[name] for name in codes if name in term) for term in terms]
        return ols(f"mean ~ {' + '.join(sorted(words)) or '1'}", frame).fit()

    return fit


def _make_table(table: pd.DataFrame, total: float) -> pd.DataFrame:
    """Return sums of squares with their shares and F tests; the last is the remainder."""
    squares = table["sum"] / table["df"]
    with np.errstate(divide="ignore", invalid="ignore"):
        table["f"] = squares / squares.iloc[-1]
    table["p"] = stats.f.sf(table["f"], table["df"], table["df"].iloc[-1])
    table.loc[table.index[-1], ["f", "p"]] = np.nan
    return table.assign(share=table["sum"] / total)[_COLUMNS]
