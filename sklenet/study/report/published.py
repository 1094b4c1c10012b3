"""Published results, compared with those of a study."""

from functools import partial
from typing import NamedTuple

import pandas as pd

from sklenet.study.config.spec import AT_BEST_EPOCH
from sklenet.study.config.tables import Published
from sklenet.study.engine.plan import WINNER
from sklenet.study.report.results import Results
from sklenet.study.report.text import format_mean_sd, format_score

_COLUMNS = ["source", "data", "setting", "metric", "published", "ours", "sd", "n"]
_COLUMNS += ["difference", "explanation"]


class Curve(NamedTuple):
    """A published learning curve and the mean of ours, as a table with its heading."""

    heading: str
    table: pd.DataFrame


def compare_to_published(results: Results) -> pd.DataFrame:
    """Return one row per published result, with the study's result next to it.

    Parameters
    ----------
    results : Results
        Results of the study.

    Returns
    -------
    DataFrame
        ``published`` is the published value; ``ours``, ``sd`` and ``n`` are the mean over
        the seeds, its standard deviation and the number of seeds, missing without fits.
    """
    rows = []
    for publication in results.study.published:
        ours = _find_summary(results, publication)
        for metric, value in publication.results.items():
            row = {
                "source": publication.source,
                "data": publication.data,
                "setting": publication.setting or "",
                "metric": metric,
                "published": value,
                "explanation": publication.why,
            }
            if metric in ours:
                mean, sd, n = (ours[metric][key] for key in ("mean", "sd", "n"))
                row |= {"ours": mean, "sd": sd, "n": n, "difference": mean - value}
            rows.append(row)
    return pd.DataFrame(rows, columns=_COLUMNS)


def format_published(results: Results) -> pd.DataFrame:
    """Return the comparison as text, without columns that are empty."""
    rows = []
    for row in compare_to_published(results).to_dict("records"):
        format_number = partial(_format_metric, row["metric"])
        mean, sd = row["ours"], row.pop("sd")
        row["published"] = format_number(row["published"])
        row["ours"] = "" if pd.isna(mean) else format_mean_sd(mean, sd, format_number)
        row["n"] = "" if pd.isna(row["n"]) else str(int(row["n"]))
        row["difference"] = format_number(row["difference"], sign="+")
        rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.loc[:, (frame != "").any()] if len(frame) else frame


def compare_curves(results: Results) -> list[Curve]:
    """Return the published learning curves, with the mean of ours below each."""
    return [
        _compare_curve(results, publication, name)
        for publication in results.study.published
        for name in publication.curves
    ]


def _compare_curve(results: Results, publication: Published, name: str) -> Curve:
    published = publication.curves[name]  # type: ignore[index]
    histories = [
        [epoch.get(name) for epoch in record["history"]]
        for record in results.fit_records
        if record["data"] == publication.data
        and publication.setting in (None, record["setting"])
        and "history" in record
    ]
    ours = pd.DataFrame(histories, dtype=float).reindex(columns=range(len(published)))
    rows = {
        publication.source: published,
        "ours, mean": ours.mean(),
        "ours, standard deviation": ours.std(),
    }
    table = pd.DataFrame(
        [
            [label, *("" if pd.isna(value) else format_score(value) for value in values)]
            for label, values in rows.items()
        ],
        columns=["epoch", *(str(k + 1) for k in range(len(published)))],
    )
    setting = f", {publication.setting}" if publication.setting else ""
    metric = name.replace("_", " ")
    if name.startswith("valid") and results.study.validation == "test":
        metric += " (on the test images)"
    heading = f"{publication.data}{setting}: {metric} per epoch, n = {len(histories)}:"
    return Curve(heading, table)


def _find_summary(results: Results, publication: Published) -> dict[str, dict]:
    """Return the rows of the summary that a publication is compared with, by score."""
    return {
        row["score"]: row
        for row in results.summary.to_dict("records")
        if row["data"] == publication.data
        and publication.setting in (None, _setting_of(results, row))
    }


def _setting_of(results: Results, row: dict) -> str:
    """Return the setting of a row; for the winner among settings, that setting's name."""
    if row["setting"] != WINNER or results.grid:
        return row["setting"]
    search = results.searches[row["data"]]
    return search["cv_results"]["params"][search["best"]]["setting"]


def _format_metric(name: str, value, sign: str = "") -> str:
    """Format a value of a metric; losses differ by orders of magnitude."""
    if pd.isna(value):
        return ""
    if name.removesuffix(AT_BEST_EPOCH).endswith("loss"):
        return f"{value:{sign}.3g}"
    return f"{value:{sign}.{1 if name == 'epochs' else 4}f}"
