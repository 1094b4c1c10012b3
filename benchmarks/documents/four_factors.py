"""Render ``docs/four_factors.md`` from the records of the studies of four factors."""

from itertools import combinations, product

import numpy as np
import pandas as pd
from origin import describe_runs
from rendering import DOCS, RESULTS, join_words, read_results, render_template

from sklenet import LeNet5Classifier
from sklenet.datasets.registry import DATASETS
from sklenet.study.config.values import format_label
from sklenet.study.engine.records import RECORDS
from sklenet.study.report.results import Results
from sklenet.study.report.statistics import describe
from sklenet.study.report.tables import describe_shares
from sklenet.study.report.text import format_interval, format_mean_sd, format_value
from sklenet.study.report.variance import FOLDS, HIGHER, REMAINDER

DOCUMENT = DOCS / "four_factors.md"

STUDY, INVERSION = "four_factors", "four_factors_inversion"
# The winners and the defaults, trained on all images; shown when there are records.
_WINNERS = "four_factors_winners"

_N_BEST = 10
# Candidates that are further below the best, in percentage points, do not count as close.
_CLOSE = 1.0
_WITHOUT_STEP = "passthrough"
# Terms of the analysis of variance that are not those of parameters or their interactions.
_OTHERS = (HIGHER, FOLDS, REMAINDER)


def render() -> str:
    """Return the document."""
    results, inversion = read_results(STUDY), read_results(INVERSION)
    return render_template(
        "four_factors.md",
        study=results.study,
        cost=describe_cost(results),
        answer=describe_answer(results),
        factors=_describe_factors(results),
        constants=join_words(
            f"`{name}={value!r}`"
            for name, value in results.study.estimator.items()
            if name != "max_epochs"
        ),
        shares=_format_shares(compute_shares(results)),
        poor=_describe_poor(results),
        ranges=_format_ranges(results),
        datasets=[_describe_dataset(results, data) for data in results.study.data],
        changes=_format_changes(results),
        correlations=_format_correlations(results),
        overlaps=_format_overlaps(results),
        ranks=_format_ranks(results),
        winners=_describe_winners(),
        inversion={
            "name": inversion.study.name,
            "notes": inversion.study.notes.strip(),
            "cost": describe_cost(inversion),
            "factors": _describe_factors(inversion),
            "shares": _format_shares(compute_shares(inversion)),
            "partner": find_partner(inversion),
            "differences": _format_inversion(inversion),
            "collapsed": _describe_all_collapsed(inversion),
            "origin": describe_runs(inversion),
        },
        origin=describe_runs(results),
    )


def get_title(data: str) -> str:
    return DATASETS[data].title


def describe_cost(results: Results) -> dict:
    """Return the numbers of candidates and fits of a search, and their time in hours."""
    folds = results.folds
    return {
        "n_candidates": len(next(iter(results.searches.values()))["cv_results"]["params"]),
        "n_fits": len(folds),
        "n_train": int(folds["n_train"].iloc[0]),
        "hours": f"{folds['cpu_seconds'].sum() / 3600:.1f}",
    }


def _describe_factors(results: Results) -> list[dict[str, str]]:
    return [
        {"parameter": name, "values": ", ".join(map(format_label, values))}
        for name, values in results.grid.items()
    ]


def describe_answer(results: Results) -> str:
    """Return the main results as a list of up to three items."""
    poor = find_poor(results)
    sentence = (
        "The parameter that explains the largest share of the variance of the"
        f" cross-validation scores is {_describe_strongest(compute_shares(results, poor))}"
    )
    if poor:
        verb = "is" if len(poor) == 1 else "are"
        sentence = (
            f"{_name_values(poor)} {verb} far below the other values. Without"
            f" {'it' if len(poor) == 1 else 'them'}, t{sentence[1:]}"
        )
    items = [f"{sentence}."]
    if len(results.study.data) > 1:
        items.append(_describe_best_elsewhere(results))
    changes = compute_changes(results)
    if len(changes):
        items.append(_describe_best_change(results, changes.iloc[0]))
    return "\n".join(f"- {item}" for item in items)


def _name_values(values: dict[str, list]) -> str:
    """Return values of parameters as they are written in Python, joined by "and"."""
    return join_words(
        f"`{name}={value!r}`" for name, parts in values.items() for value in parts
    )


def _describe_strongest(shares: pd.DataFrame) -> str:
    """Return the parameter with the largest share on each dataset."""
    names = [term for term in shares.index if term not in _OTHERS and "×" not in term]
    strongest: dict[str, list[str]] = {}
    for data, of_data in shares.loc[names].items():
        share = f"{get_title(str(data))} ({100 * of_data.max():.0f} %)"
        strongest.setdefault(str(of_data.idxmax()), []).append(share)
    return join_words(
        f"`{name}` on {join_words(parts)}" for name, parts in strongest.items()
    )


def _describe_best_elsewhere(results: Results) -> str:
    """Describe how good the best of one dataset are on the others."""
    first, *others = results.study.data
    means, ranks = get_means(results), rank_candidates(results)
    best = means[first].nlargest(_N_BEST)
    of_best = [
        f"{ranks[data][best.index].min():.0f} to {ranks[data][best.index].max():.0f} on"
        f" {get_title(data)}"
        for data in others
    ]
    table = compute_ranks(results)
    winner = table.groupby("winner of", sort=False)["loss"].mean().idxmin()
    elsewhere = table[(table["winner of"] == winner) & (table["data"] != winner)]
    losses = [
        f"{row['loss']:.2f} percentage points below the best on {get_title(row['data'])}"
        for row in elsewhere.to_dict("records")
    ]
    return (
        f"The {len(best)} best of the {len(means)} combinations on {get_title(first)} are"
        f" within {np.ptp(best):.2f} percentage points of each other; their ranks are"
        f" {join_words(of_best)}. The best on {get_title(winner)} is {join_words(losses)}."
    )


def _describe_best_change(results: Results, best: pd.Series) -> str:
    gains, unit, interval = [], " percentage points", "95% CI "
    for data in results.study.data:
        ends = format_interval(best[f"{data}_low"], best[f"{data}_high"], "+.2f")
        gains.append(f"{best[data]:+.2f}{unit} on {get_title(data)} ({interval}{ends})")
        unit = interval = ""
    return (
        "With the training of this study and the default values of the other parameters,"
        f" `{best['parameter']}={best['value']!r}` is the change that gains most on"
        f" average: {join_words(gains)}."
    )


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


def _format_shares(shares: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {"term": str(term)}
        | {
            get_title(data): "" if pd.isna(share) else f"{100 * share:.1f} %"
            for data, share in row.items()
        }
        for term, row in shares.iterrows()
    ]


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
    others = [term for term in _OTHERS if term in shares.index]
    means = shares.drop(others).mean(axis=1).sort_values(ascending=False)
    return shares.loc[[*means.index, *others]]


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


def _describe_poor(results: Results) -> dict | None:
    """Return the poor values, if there are any, and the shares without them."""
    poor = find_poor(results)
    if not poor:
        return None
    shares = _format_shares(compute_shares(results, poor))
    return {"names": _name_values(poor), "shares": shares}


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


def _format_ranges(results: Results) -> list[dict[str, str]]:
    ranges = {data: compute_ranges(results, data) for data in results.study.data}
    return [
        {"parameter": name}
        | {
            get_title(data): f"{row['best']}, {row['difference']:.2f} above {row['worst']}"
            for data, table in ranges.items()
            for row in [table.loc[name]]
        }
        for name in results.grid
    ]


def _describe_dataset(results: Results, data: str) -> dict:
    """Return the variables of the template for a dataset."""
    candidates = results.candidates(data)[~results.find_collapsed(data)]
    is_close = candidates["difference"] >= -_CLOSE / 100
    return {
        "title": get_title(data),
        "analysis": describe_shares(results, data),
        "collapsed": describe_collapsed(results, data),
        "interaction": describe_interaction(results, data),
        "n_close": int((is_close & (candidates["high"] >= 0)).sum()) - 1,
        "best": _format_best(results, data),
    }


def _describe_all_collapsed(results: Results) -> list[dict[str, str]]:
    collapsed = {data: describe_collapsed(results, data) for data in results.study.data}
    return [
        {"title": get_title(data), "text": text} for data, text in collapsed.items() if text
    ]


def describe_collapsed(results: Results, data: str) -> str:
    """Return sentences about the candidates that have collapsed; "" if none has."""
    candidates = results.comparable_candidates(data)
    collapsed = candidates[results.find_collapsed(data)]
    if not len(collapsed):
        return ""
    counts = []
    for name in results.grid:
        numbers = collapsed[name].value_counts().items()
        parts = [f"{n} with {format_value(value)}" for value, n in numbers]
        counts.append(f"by `{name}`: {', '.join(parts)}")
    return (
        f"Not included are {len(collapsed)} candidates with a score at chance level on at"
        f" least one fold; {'; '.join(counts)}."
    )


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


def describe_interaction(results: Results, data: str) -> str:
    """Return the strongest interaction as a sentence: the best value of one per other."""
    (one, other), share = get_strongest_pair(results, data)
    table = compute_pair_means(results, data, [one, other]).dropna(how="all")
    best: dict[str, list[str]] = {}
    for value, name in table.idxmax(axis=1).items():
        best.setdefault(str(name), []).append(str(value))
    parts = [f"{name} with {join_words(values)}" for name, values in best.items()]
    return (
        f"`{one}` × `{other}` has {100 * share:.1f} % of the variance. The best value of"
        f" `{other}` is {'; '.join(parts)}."
    )


def _format_best(results: Results, data: str) -> list[dict[str, str]]:
    rows = []
    for row in results.candidates(data).head(_N_BEST).to_dict("records"):
        is_best = row["rank"] == 1
        rows.append(
            {"rank": str(row["rank"])}
            | {name: format_label(row[name]) for name in results.grid}
            | {
                "CV accuracy (%)": format_mean_sd(
                    100 * row["mean"], 100 * row["sd"], "{:.2f}".format
                ),
                "minus the best": "" if is_best else f"{100 * row['difference']:+.2f}",
                "95% CI": ""
                if is_best
                else format_interval(100 * row["low"], 100 * row["high"], "+.2f"),
            }
        )
    return rows


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


def _format_changes(results: Results) -> list[dict[str, str]]:
    return [
        {"change": f"{row['parameter']} = {format_label(row['value'])}"}
        | {
            get_title(data): f"{row[data]:+.2f}"
            f" ({format_interval(row[f'{data}_low'], row[f'{data}_high'], '+.2f')})"
            for data in results.study.data
        }
        | {"mean": f"{row['mean']:+.2f}"}
        for row in compute_changes(results).to_dict("records")
    ]


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


def _format_correlations(results: Results) -> list[dict[str, str]]:
    table = compute_correlations(results)
    table.index, table.columns = table.index.map(get_title), table.columns.map(get_title)
    return table.map("{:.2f}".format).rename_axis("").reset_index().to_dict("records")


def compute_overlap(results: Results, one: str, other: str) -> int:
    """Count the candidates that are among the best ten on both of two datasets."""
    means = get_means(results)
    best = [set(means[data].nlargest(_N_BEST).index) for data in (one, other)]
    return len(best[0] & best[1])


def _format_overlaps(results: Results) -> str:
    """Return how many of the best are the same on two datasets, as part of a sentence."""
    return join_words(
        f"{compute_overlap(results, one, other)} are the same on {get_title(one)} and"
        f" {get_title(other)}"
        for one, other in combinations(results.study.data, 2)
    )


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


def _format_ranks(results: Results) -> list[dict[str, str]]:
    ranks = compute_ranks(results)
    rows = []
    for winner in results.study.data:
        params = get_params(results)[results.searches[winner]["best"]]
        of_winner = ranks[ranks["winner of"] == winner].set_index("data")
        rows.append(
            {
                "winner on": get_title(winner),
                "combination": ", ".join(format_label(params[k]) for k in results.grid),
            }
            | {
                get_title(data): f"{of_winner['rank'][data]}"
                + (f" (-{of_winner['loss'][data]:.2f})" if data != winner else "")
                for data in results.study.data
            }
        )
    return rows


def _describe_winners() -> dict | None:
    """Return the test accuracies of the winners trained on all images, if recorded."""
    if not (RESULTS / _WINNERS / RECORDS).is_file():
        return None
    results = read_results(_WINNERS)
    names = results.study.data
    summary = results.summary[results.summary["score"] == "test_accuracy"]
    cells = {
        (row["setting"], row["data"]): format_mean_sd(
            100 * row["mean"], 100 * row["sd"], "{:.2f}".format
        )
        for row in summary.to_dict("records")
    }
    return {
        "study": results.study,
        "epochs": int(results.fits["epochs"].max()),
        "n_seeds": int(summary["n"].max()),
        "rows": [
            {"setting": setting}
            | {get_title(data): cells.get((setting, data), "") for data in names}
            for setting in summary["setting"].unique()
        ],
        "origin": describe_runs(results),
    }


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


def _format_inversion(results: Results) -> list[dict[str, str]]:
    rows = []
    partner = find_partner(results)
    for data, value in product(results.study.data, results.grid[partner]):
        difference = compute_inversion(results, data, partner, value)
        rows.append(
            {
                "dataset": get_title(data),
                partner: format_label(value),
                "negatives minus positives": f"{difference['mean']:+.2f}"
                f" ± {difference['sd']:.2f}",
                "95% CI": format_interval(difference["low"], difference["high"], "+.2f"),
                "pairs": str(difference["n"]),
            }
        )
    return rows
