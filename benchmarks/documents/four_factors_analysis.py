"""The analysis of the studies of four factors: shares, effects, ranks and pairs."""

from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd

from sklenet import LeNet5Classifier
from sklenet.study.config.values import format_label
from sklenet.study.report.results import Results
from sklenet.study.report.statistics import describe
from sklenet.study.report.variance import FOLDS, HIGHER, REMAINDER

N_BEST = 10
# Terms of the analysis of variance that are not those of parameters or their interactions.
OTHERS = (HIGHER, FOLDS, REMAINDER)

_WITHOUT_STEP = "passthrough"


def get_means(results: Results) -> pd.DataFrame:
    """Return the mean scores in percent: a row per candidate, a column per dataset."""
    return pd.DataFrame(
        {
            data: 100 * results.cv_results(data)["mean_test_score"]
            for data in results.study.data
        }
    )


def get_params(results: Results) -> list[dict]:
    """Return the parameters of the candidates, which are the same on all datasets."""
    return results.searches[results.study.data[0]]["cv_results"]["params"]


def compute_shares(results: Results, without: dict | None = None) -> pd.DataFrame:
    """Compute the shares of the variance: a row per term, a column per dataset.

    Parameters and their interactions are in the order of their mean shares.

    Parameters
    ----------
    results : Results
        Results of the study.
    without : dict of str to list, optional
        Values of parameters that are left out.
    """
    columns = {
        data: results.variance_shares(data, without=without).set_index("term")["share"]
        for data in results.study.data
    }
    shares = pd.DataFrame(columns)
    others = [term for term in OTHERS if term in shares.index]
    means = shares.drop(others).mean(axis=1).sort_values(ascending=False)
    return shares.loc[[*means.index, *others]]


@cache
def find_poor(results: Results) -> dict[str, list]:
    """Find the values that are far below the others of their parameter.

    They dominate the shares and the means of all other values. Of the parameter with the
    largest mean share, the worst value is left out if the second worst is closer to the
    best than to it. This is repeated without it, until no such value is left.

    Returns
    -------
    dict of str to list
        Parameters and their poor values, by the main effects averaged over the datasets.
    """
    poor: dict[str, list] = {}
    while True:
        shares = compute_shares(results, poor)
        names = [name for name in results.grid if name in shares.index]
        name = str(shares.loc[names].mean(axis=1).idxmax())
        effects = pd.concat(
            [results.main_effects(data, without=poor) for data in results.study.data]
        )
        means = effects[effects["parameter"] == name].groupby("value")["mean"].mean()
        means = means.dropna().sort_values()
        if len(means) <= 2 or 2 * means.iloc[1] < means.iloc[0] + means.iloc[-1]:
            return poor
        values = {format_label(value): value for value in results.grid[name]}
        poor.setdefault(name, []).append(values[str(means.index[0])])


def list_good(results: Results) -> list[int]:
    """Return the indices of the candidates that have none of the poor values."""
    poor = find_poor(results)
    return [
        k
        for k, params in enumerate(get_params(results))
        if not any(params[name] in values for name, values in poor.items())
    ]


def compute_ranges(results: Results, data: str) -> pd.DataFrame:
    """Compute the best and the worst value of each parameter by its main effect.

    The main effects are those without the poor values.

    Returns
    -------
    DataFrame
        One row per parameter: ``best``, ``worst``, and their ``difference`` in percentage
        points.
    """
    rows = []
    effects_of_all = results.main_effects(data, without=find_poor(results))
    for name, effects in effects_of_all.groupby("parameter", sort=False):
        means = effects.set_index("value")["mean"].dropna()
        row = {"parameter": name, "best": means.idxmax(), "worst": means.idxmin()}
        rows.append(row | {"difference": 100 * np.ptp(means)})
    return pd.DataFrame(rows).set_index("parameter")


def get_strongest_pair(results: Results, data: str) -> tuple[list[str], float]:
    """Return the two parameters with the strongest interaction, and its share.

    The poor values are left out.
    """
    shares = results.variance_shares(data, without=find_poor(results))
    shares = shares.set_index("term")["share"]
    pairs = {
        f"{one} × {other}": [one, other] for one, other in combinations(results.grid, 2)
    }
    term = shares[[name for name in pairs if name in shares]].idxmax()
    return pairs[str(term)], float(shares[term])


def compute_pair_means(results: Results, data: str, pair: list[str]) -> pd.DataFrame:
    """Compute the mean score in percent of each combination of two parameters.

    The poor values are left out.
    """
    candidates = results.comparable_candidates(data)
    candidates = candidates[~results.find_collapsed(data)]
    poor = find_poor(results)
    for name, values in poor.items():
        candidates = candidates[[value not in values for value in candidates[name]]]
    labels = {name: candidates[name].map(format_label) for name in pair}
    frame = pd.DataFrame(labels | {"mean": 100 * candidates["mean"].astype(float)})
    table = frame.pivot_table(index=pair[0], columns=pair[1], values="mean")
    orders = [
        [format_label(v) for v in results.grid[name] if v not in poor.get(name, [])]
        for name in pair
    ]
    return table.reindex(index=orders[0], columns=orders[1])


def compute_changes(results: Results) -> pd.DataFrame:
    """Compute what changing one parameter of the defaults of the classifier gains.

    Parameters
    ----------
    results : Results
        Results of a search whose grid contains the defaults.

    Returns
    -------
    DataFrame
        One row per ``parameter`` and ``value`` other than the default, from the largest to
        the smallest ``mean`` gain over the datasets: the gain in the cross-validation score
        on each dataset in percentage points, and, in the columns ``<data>_low`` and
        ``<data>_high``, its 95% confidence interval, paired over the folds. The frame is
        empty if the defaults are not among the candidates.
    """
    params = get_params(results)
    defaults = LeNet5Classifier().get_params()
    default = {name: defaults.get(name, _WITHOUT_STEP) for name in results.grid}
    if default not in params:
        return pd.DataFrame()
    rows = []
    for k, candidate in enumerate(params):
        changed = [name for name in default if candidate[name] != default[name]]
        if len(changed) != 1:
            continue
        row: dict = {"parameter": changed[0], "value": candidate[changed[0]]}
        for data in results.study.data:
            scores = _get_fold_scores(results, data)
            gain = describe(100 * (scores[k] - scores[params.index(default)]), (-100, 100))
            row |= {data: gain["mean"]}
            row |= {f"{data}_low": gain["low"], f"{data}_high": gain["high"]}
        rows.append(row)
    table = pd.DataFrame(rows)
    table["mean"] = table[list(results.study.data)].mean(axis=1)
    return table.sort_values("mean", ascending=False, ignore_index=True)


def _get_fold_scores(results: Results, data: str) -> np.ndarray:
    """Return the scores of the candidates, of shape (n_candidates, n_folds)."""
    found = results.cv_results(data)
    n_folds = results.study.search.cv
    return np.stack([found[f"split{k}_test_score"] for k in range(n_folds)], axis=1)


def compute_correlations(results: Results) -> pd.DataFrame:
    """Compute the rank correlations (Spearman) of the mean scores between the datasets.

    The poor values are left out. On the diagonal is the mean correlation between two folds
    of the same dataset: what the noise of the scores leaves.
    """
    good = list_good(results)
    means = get_means(results).loc[good]
    table = means.corr(method="spearman")
    for data in means:
        scores = pd.DataFrame(_get_fold_scores(results, data)[good])
        of_folds = scores.corr(method="spearman").to_numpy()
        table.loc[data, data] = of_folds[np.triu_indices_from(of_folds, 1)].mean()
    return table


def compute_overlap(results: Results, one: str, other: str) -> int:
    """Count the candidates that are among the best ten on both of two datasets."""
    means = get_means(results)
    best = [set(means[data].nlargest(N_BEST).index) for data in (one, other)]
    return len(best[0] & best[1])


def rank_candidates(results: Results) -> pd.DataFrame:
    """Return the rank of each candidate on each dataset, from 1 for the best."""
    return get_means(results).rank(ascending=False, method="min")


def compute_ranks(results: Results) -> pd.DataFrame:
    """Compute the rank of each dataset's winner on each dataset, and what it loses there.

    Returns
    -------
    DataFrame
        One row per ``winner of`` and ``data``: the ``rank``, from 1 for the best, and the
        ``loss``, by which the score is below that of the best, in percentage points.
    """
    means, ranks = get_means(results), rank_candidates(results)
    rows = []
    for winner in results.study.data:
        k = results.searches[winner]["best"]
        for data in results.study.data:
            loss = means[data].max() - means[data][k]
            row = {"winner of": winner, "data": data, "loss": loss}
            rows.append(row | {"rank": int(ranks[data][k])})
    return pd.DataFrame(rows)


def _get_step(results: Results) -> str:
    """Return the name of the step that inverts the images."""
    return next(name for name in results.grid if _WITHOUT_STEP in results.grid[name])


def find_partner(results: Results) -> str:
    """Find the parameter that interacts most with the inversion."""
    step, shares = _get_step(results), compute_shares(results).mean(axis=1)
    terms = {
        f"{one} × {other}": one if other == step else other
        for one, other in combinations(results.grid, 2)
        if step in (one, other)
    }
    return terms[str(shares[[term for term in terms if term in shares]].idxmax())]


def compute_inversion(results: Results, data: str, name: str, value) -> dict[str, float]:
    """Describe the differences that training on negatives makes, in percentage points.

    They are paired: each is that of two candidates which differ in the inversion alone.
    Pairs in which a candidate has collapsed or failed are left out.

    Parameters
    ----------
    results : Results
        Results of a search with the inversion as a factor.
    data : str
        Name of the dataset.
    name, value : str, object
        The pairs are those with this value of a parameter.
    """
    step = _get_step(results)
    candidates = results.comparable_candidates(data)[~results.find_collapsed(data)]
    candidates = candidates[candidates[name] == value]
    others = [other for other in results.grid if other != step]
    labels = [tuple(map(format_label, row)) for row in candidates[others].to_numpy()]
    frame = pd.DataFrame(
        {
            "others": labels,
            "is_negative": (candidates[step] != _WITHOUT_STEP).to_numpy(),
            "mean": 100 * candidates["mean"].to_numpy(dtype=float),
        }
    )
    table = frame.pivot(index="others", columns="is_negative", values="mean").dropna()
    return describe(table[True] - table[False], (-100, 100))
