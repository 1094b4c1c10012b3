"""Figures that others report, with ours beside them."""

from functools import partial

import numpy as np
import pandas as pd

from sklenet.study.config.spec import ENDS
from sklenet.study.engine.plan import WINNER
from sklenet.study.report.results import Results
from sklenet.study.report.text import escape_markdown, number, spread, to_markdown_table


def compare_to_published(results: Results) -> pd.DataFrame:
    """Return the published figures, each with ours beside it."""
    rows: list[dict] = []
    summary = results.summary
    for published in results.study.published:
        for name, value in published.figures.items():
            row = {"source": published.source, "data": published.data}
            row |= {"setting": published.setting or "", "figure": name, "published": value}
            if len(summary):
                ours = summary[
                    (summary["data"] == published.data) & (summary["score"] == name)
                ]
                if published.setting is not None:
                    names = ours["setting"].map(
                        lambda name, data=published.data: _trained(results, data, name)
                    )
                    ours = ours[names == published.setting]
                for one in ours.to_dict("records"):
                    row |= {"ours": one["mean"], "sd": one["sd"], "n": one["n"]}
                    row["difference"] = one["mean"] - value
            rows.append(row | {"why": published.why})
    return pd.DataFrame(rows)


def format_published(results: Results) -> pd.DataFrame:
    """Return the published figures beside ours in words, without empty columns."""
    rows = compare_to_published(results)
    if not len(rows):
        return rows
    names = rows["figure"]
    if "ours" in rows:
        columns = (names, rows["ours"], rows["sd"])
        rows["ours"] = [
            spread(mean, sd, partial(_shown, name))
            for name, mean, sd in zip(*columns, strict=True)
        ]
        rows["n"] = rows["n"].map(lambda n: "" if pd.isna(n) else str(int(n)))
        gaps = zip(names, rows["difference"], strict=True)
        rows["difference"] = [_shown(name, gap, "+") for name, gap in gaps]
        rows = rows.drop(columns="sd")
    figures = zip(names, rows["published"], strict=True)
    rows["published"] = [_shown(name, value) for name, value in figures]
    return rows[[name for name in rows if rows[name].map(str).str.len().any()]]


def published_table(results: Results) -> str:
    """Return the table of published figures beside ours; "" where there are none."""
    frame = format_published(results)
    return to_markdown_table(frame) if len(frame) else ""


def _shown(name: str, value, sign: str = "") -> str:
    """Return a figure as its kind has it: losses differ by orders of magnitude."""
    if pd.isna(value):
        return ""
    if name.removesuffix(ENDS[1]).endswith("loss"):
        return f"{value:{sign}.3g}"
    return f"{value:{sign}.{1 if name == 'epochs' else 4}f}"


def published_curves(results: Results) -> list[str]:
    """Return the published curves' headings and tables, with ours below them."""
    return [
        part
        for figure in results.study.published
        for name, published in figure.curves.items()
        for part in _curve(results, figure, name, published)
    ]


def _curve(results: Results, figure, name: str, published) -> list[str]:
    """Return a published curve's heading and table, with the mean of ours below it."""
    histories = [
        record["history"]
        for record in results.fit_records
        if record["data"] == figure.data
        and figure.setting in (None, record["setting"])
        and "history" in record
    ]
    ours = [
        [
            history[k][name]
            for history in histories
            if k < len(history) and history[k].get(name) is not None
        ]
        for k in range(len(published))
    ]
    what = name.replace("_", " ")
    if name.startswith("valid") and results.study.validation == "test":
        what += " (on the test images)"
    rows = {
        figure.source: [number(value) for value in published],
        "ours, mean": [number(np.mean(values)) if values else "" for values in ours],
        "sd": [
            number(np.std(values, ddof=1)) if len(values) > 1 else "" for values in ours
        ],
    }
    table = pd.DataFrame(
        [[label, *cells] for label, cells in rows.items()],
        columns=["epoch", *map(str, range(1, 1 + len(published)))],
    )
    of = figure.data + (f", {figure.setting}" if figure.setting else "")
    heading = escape_markdown(f"{of}: {what} per epoch, n = {len(histories)}:")
    return [heading, to_markdown_table(table)]


def _trained(results: Results, data: str, name: str) -> str:
    """Return a setting's name; for the winner of a search over settings, that one's."""
    if name != WINNER or results.grid:
        return name
    search = results.searches[data]
    return search["cv_results"]["params"][search["best"]]["setting"]
