"""Render ``docs/four_factors.md`` from the records of the studies of four factors."""

from itertools import combinations, product

import numpy as np
import pandas as pd
from four_factors_analysis import (
    N_BEST,
    OTHERS,
    compute_changes,
    compute_correlations,
    compute_inversion,
    compute_overlap,
    compute_pair_means,
    compute_ranges,
    compute_ranks,
    compute_shares,
    find_partner,
    find_poor,
    get_means,
    get_params,
    get_strongest_pair,
    rank_candidates,
)
from origin import describe_runs
from rendering import DOCS, RESULTS, join_words, read_results, render_template

from sklenet.datasets.registry import DATASETS
from sklenet.study.config.values import format_label
from sklenet.study.engine.records import RECORDS
from sklenet.study.report.results import Results
from sklenet.study.report.tables import describe_shares
from sklenet.study.report.text import format_interval, format_mean_sd, format_value

DOCUMENT = DOCS / "four_factors.md"

STUDY, INVERSION = "four_factors", "four_factors_inversion"
# The winners and the defaults, trained on all images; shown when there are records.
_WINNERS = "four_factors_winners"

# Candidates that are further below the best, in percentage points, do not count as close.
_CLOSE = 1.0


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
        is_one = sum(map(len, poor.values())) == 1
        verb, pronoun = ("is", "it") if is_one else ("are", "them")
        sentence = (
            f"{_name_values(poor)} {verb} far below the other values. Without {pronoun},"
            f" t{sentence[1:]}"
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
    names = [term for term in shares.index if term not in OTHERS and "×" not in term]
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
    best = means[first].nlargest(N_BEST)
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


def _format_shares(shares: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {"term": str(term)}
        | {
            get_title(data): "" if pd.isna(share) else f"{100 * share:.1f} %"
            for data, share in row.items()
        }
        for term, row in shares.iterrows()
    ]


def _describe_poor(results: Results) -> dict | None:
    """Return the poor values, if there are any, and the shares without them."""
    poor = find_poor(results)
    if not poor:
        return None
    shares = _format_shares(compute_shares(results, poor))
    return {"names": _name_values(poor), "shares": shares}


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
    for row in results.candidates(data).head(N_BEST).to_dict("records"):
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


def _format_correlations(results: Results) -> list[dict[str, str]]:
    table = compute_correlations(results)
    table.index, table.columns = table.index.map(get_title), table.columns.map(get_title)
    return table.map("{:.2f}".format).rename_axis("").reset_index().to_dict("records")


def _format_overlaps(results: Results) -> str:
    """Return how many of the best are the same on two datasets, as part of a sentence."""
    return join_words(
        f"{compute_overlap(results, one, other)} are the same on {get_title(one)} and"
        f" {get_title(other)}"
        for one, other in combinations(results.study.data, 2)
    )


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
