"""Test scores against the number of training images."""

from typing import Any

import numpy as np
import pandas as pd

from sklenet.display.axes import add_legend, escape_label
from sklenet.study.config.spec import TEST_SET
from sklenet.study.report.results import Results

_MAX_CURVES = 10


def summarize_sizes(results: Results, data: str) -> pd.DataFrame:
    """Return the scores of settings that were trained on several numbers of images.

    Parameters
    ----------
    results : Results
        Results of the study.
    data : str
        Name of the dataset.

    Returns
    -------
    DataFrame
        One row per curve and number of images: ``curve`` (the name of the setting without
        the number), ``n_train``, and the ``mean``, ``low`` (smallest) and ``high``
        (largest) value of the first metric on the test set over the seeds. Empty if no
        curve has two points.
    """
    metric = f"{TEST_SET}_{results.study.metrics[0]}"
    columns = ["curve", "n_train", "mean", "low", "high"]
    fits = results.fits
    if metric not in fits:
        return pd.DataFrame(columns=columns)
    settings = {s.name: s for s in results.study.list_settings(data)}
    rows = []
    for (name, _), group in fits[fits["data"] == data].groupby(
        ["setting", "n_train"], sort=False
    ):
        setting = settings.get(str(name))
        scores = group[metric].dropna().to_numpy(dtype=float)
        if setting is None or setting.n_train is None or not len(scores):
            continue
        spread = (scores.mean(), scores.min(), scores.max())
        n_train = int(group["n_train"].iloc[0])
        rows.append((setting.name_without_n_train, n_train, *spread))
    table = pd.DataFrame(rows, columns=columns)
    n_points = table.groupby("curve")["n_train"].transform("nunique")
    return table[n_points > 1].sort_values("n_train", kind="stable", ignore_index=True)


def draw_sizes(table: pd.DataFrame, metric: str) -> Any:
    """Draw the curves of `summarize_sizes`, with the range over the seeds.

    Parameters
    ----------
    table : DataFrame
        Return value of `summarize_sizes`.
    metric : str
        Name of the metric, for the axis.

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    figure, ax = plt.subplots(figsize=(3.5, 2.8), layout="constrained")
    lines = []
    names = list(dict.fromkeys(table["curve"]))[:_MAX_CURVES]
    for name in names:
        curve = table[table["curve"] == name]
        (line,) = ax.plot(
            curve["n_train"], curve["mean"], marker="o", label=escape_label(name)
        )
        ax.fill_between(
            curve["n_train"],
            curve["low"],
            curve["high"],
            alpha=0.2,
            lw=0,
            color=line.get_color(),
        )
        lines.append(line)
    ax.set_xscale("log")
    ax.set_xticks(np.unique(table["n_train"]))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="training images", ylabel=f"test {metric}")
    ax.grid(alpha=0.3)
    if len(lines) > 1:
        add_legend(ax, lines, fontsize="small")
    return figure
