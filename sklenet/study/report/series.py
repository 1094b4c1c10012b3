"""Scores in series of tests, which differ in the value of one parameter."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from sklenet.display.axes import add_legend, escape_label
from sklenet.study.config.spec import TEST_SET
from sklenet.study.report.results import Results

_MAX_CURVES = 10
_MAX_COLUMNS = 4  # panels side by side


def summarize_series(results: Results, data: str) -> pd.DataFrame:
    """Return the scores in the series of tests on a dataset.

    Parameters
    ----------
    results : Results
        Results of the study.
    data : str
        Name of the dataset.

    Returns
    -------
    DataFrame
        One row per series, setting and value: ``series``, ``parameter``, ``setting``,
        ``value`` (of the parameter), and the ``mean``, ``low`` (smallest) and ``high``
        (largest) value of the first metric over the seeds. If the test images are unchanged
        with the value 0, the series begins with their score.
    """
    metric = results.study.metrics[0]
    rows = []
    fits = results.fits
    for series in results.study.series if len(fits) else ():
        tests = {TEST_SET: 0.0} if series.starts_unchanged else {}
        tests = dict(sorted({**tests, **series.tests}.items(), key=lambda item: item[1]))
        of_data = fits[fits["data"] == data]
        for setting, group in of_data.groupby("setting", sort=False):
            for test, value in tests.items():
                name = f"{test}_{metric}"
                scores = group[name].dropna() if name in group else pd.Series(dtype=float)
                if len(scores):
                    spread = (scores.mean(), scores.min(), scores.max())
                    key = (series.name, series.parameter, setting, value)
                    rows.append((*key, *spread))
    columns = ["series", "parameter", "setting", "value", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def draw_series(
    table: pd.DataFrame, metric: str, labels: Mapping[str, str] | None = None
) -> Any:
    """Draw the curves of `summarize_series`, one panel per series.

    Parameters
    ----------
    table : DataFrame
        Return value of `summarize_series`.
    metric : str
        Name of the metric, for the axis.
    labels : mapping of str to str, optional
        Labels of the horizontal axes by the name of the series. The default is the name of
        the parameter.

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib.pyplot as plt

    labels = dict(zip(table["series"], table["parameter"], strict=True)) | dict(
        labels or {}
    )
    panels = list(dict.fromkeys(table["series"]))
    settings = list(dict.fromkeys(table["setting"]))[:_MAX_CURVES]
    n_columns = min(len(panels), _MAX_COLUMNS)
    n_rows = math.ceil(len(panels) / n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        sharey=True,
        squeeze=False,
        figsize=(3.5 if n_columns == 1 else 7.16, 2.0 * n_rows + 0.2 * len(settings)),
        layout="constrained",
    )
    lines: dict[str, Any] = {}
    for name, ax in zip(panels, axes.flat, strict=False):
        for k, setting in enumerate(settings):
            is_here = (table["series"] == name) & (table["setting"] == setting)
            curve = table[is_here]
            (line,) = ax.plot(
                curve["value"],
                curve["mean"],
                marker="o",
                markersize=3,
                color=f"C{k}",
                label=escape_label(setting),
            )
            ax.fill_between(
                curve["value"], curve["low"], curve["high"], alpha=0.2, lw=0, color=f"C{k}"
            )
            lines.setdefault(setting, line)
        ax.set(title=escape_label(name), xlabel=escape_label(labels[name]))
        ax.grid(alpha=0.3)
    for ax in axes[:, 0]:
        ax.set_ylabel(f"test {metric}")
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    if len(settings) > 1:
        add_legend(figure, list(lines.values()), loc="outside lower center")
    return figure
