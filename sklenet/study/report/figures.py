"""Figures of the results of a study."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import ConfusionMatrixDisplay

from sklenet.display import MisclassifiedDisplay, TrainingHistoryDisplay
from sklenet.display.axes import add_legend, escape_label
from sklenet.display.inputs import reshape_to_images
from sklenet.study.config.searches import Distribution
from sklenet.study.config.spec import HISTORY_METRICS, TEST_SET
from sklenet.study.config.values import format_label
from sklenet.study.engine.data import load_data
from sklenet.study.engine.evaluate import decode_images
from sklenet.study.report.results import Results
from sklenet.study.report.train_size import draw_sizes, summarize_sizes

CURVES = "learning_curves"

# Ten colours, each solid and dashed: more curves cannot be told apart.
_LINE_STYLES = ("-", "--")
# Largest number of classes of a confusion matrix whose cells have their numbers.
_MAX_NUMBERED_CLASSES = 20
_MAX_CURVES = 10 * len(_LINE_STYLES)


class Figure(NamedTuple):
    """A figure that can be drawn.

    Parameters
    ----------
    name : str
        Name of its file, without suffix.
    caption : str
        What it shows.
    draw : callable
        Function without arguments that returns a matplotlib Figure, which the caller
        closes.
    """

    name: str
    caption: str
    draw: Callable[[], Any]


def iter_figures(results: Results, data: str) -> Iterator[Figure]:
    """Yield the figures that can be drawn of the results on a dataset."""
    yield from _iter_training_figures(results, data)
    sizes = summarize_sizes(results, data)
    if len(sizes):
        metric = results.study.metrics[0]
        yield Figure(
            f"train_size_{data}",
            f"{data}: test {metric} against the number of training images, mean and range"
            " over the seeds",
            lambda: draw_sizes(sizes, metric),
        )
    yield from _iter_search_figures(results, data)
    yield from _iter_test_figures(results, data)


def _iter_training_figures(results: Results, data: str) -> Iterator[Figure]:
    records = [r for r in results.fit_records if r["data"] == data and r.get("history")]
    if not records:
        return
    n_settings = len({record["setting"] for record in records})
    caption = f"{data}: learning curves, mean and range over the seeds"
    if n_settings > _MAX_CURVES:
        caption += f", the first {_MAX_CURVES} settings of {n_settings}"
    yield Figure(f"{CURVES}_{data}", caption, lambda: _draw_curves(records))


def _iter_search_figures(results: Results, data: str) -> Iterator[Figure]:
    if data not in results.searches or not results.grid:
        return
    if results.comparable_candidates(data)["mean"].isna().all():
        return
    effects = results.main_effects(data)
    yield Figure(
        f"main_effects_{data}",
        f"{data}: mean CV score of all candidates with a value, with its 95% confidence"
        " interval; for a distribution, the score of each candidate",
        lambda: _draw_main_effects(results, data, effects),
    )
    if effects["parameter"].nunique() > 1:
        pair = _select_strongest(effects)
        yield Figure(
            f"heat_map_{data}",
            f"{data}: mean CV score by {pair[0]} and {pair[1]}, over all other parameters",
            lambda: _draw_heat_map(results, data, pair),
        )


def _iter_test_figures(results: Results, data: str) -> Iterator[Figure]:
    records = results.evaluated_fits(data)
    if not records:
        return
    setting, seed = records[0]["setting"], records[0]["seed"]
    yield Figure(
        f"confusion_{data}",
        f"{data}: confusion matrix on the test set, {setting}, sum over"
        f" {len(records)} seeds",
        lambda: _draw_confusion(results, data, setting),
    )
    yield Figure(
        f"mistakes_{data}",
        f"{data}: misclassified test images with the highest predicted probability,"
        f" {setting}, seed {seed}",
        lambda: _draw_mistakes(results, records[0]),
    )


def _make_figure(n_columns=1, n_rows=1, *, height=4.0, width=6.0):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=(width, height), squeeze=False, layout="constrained"
    )
    return figure, axes.ravel()


def _draw_curves(records: list[dict]):
    import matplotlib.pyplot as plt
    from cycler import cycler

    has_validation = any("valid_loss" in row for r in records for row in r["history"])
    metrics = HISTORY_METRICS if has_validation else HISTORY_METRICS[:1]
    n = 2 if has_validation else 1
    figure, axes = _make_figure(n, n, width=5.0 * n + 1, height=3.5 * n + 0.5)
    has_several_settings = len({record["setting"] for record in records}) > 1
    histories: dict[str, list] = {}
    for record in records:
        label = record["setting"] if has_several_settings else record["data"]
        histories.setdefault(label, []).append(record["history"])
    shown = dict(list(histories.items())[:_MAX_CURVES])
    lines: list = []
    for metric, ax in zip(metrics, axes, strict=True):
        ax.set_prop_cycle(cycler(linestyle=_LINE_STYLES) * plt.rcParams["axes.prop_cycle"])
        display = TrainingHistoryDisplay.from_histories(shown, metric=metric, ax=ax)
        lines = lines or display.lines_
        ax.get_legend().remove()
        if metric.endswith("loss"):
            ax.set_yscale("log")
    figure.set_figheight(figure.get_figheight() + 0.22 * len(lines))
    add_legend(figure, lines, loc="outside lower center", fontsize="small")
    return figure


def _draw_main_effects(results: Results, data: str, effects: pd.DataFrame):
    candidates = results.comparable_candidates(data)
    n_parameters = len(results.grid)
    figure, axes = _make_figure(
        n_parameters, height=3.2, width=max(6.0, 2.2 * n_parameters)
    )
    low, high = candidates["mean"].min(), candidates["mean"].max()
    margin = 0.1 * (high - low) or 0.01
    for (name, values), ax in zip(results.grid.items(), axes, strict=True):
        ax.set_ylim(low - margin, high + margin)
        ax.set_title(escape_label(name), fontsize="small")
        if isinstance(values, Distribution):
            ax.plot(candidates[name], candidates["mean"], "o")
            ax.set_xscale("log" if values.name == "loguniform" else "linear")
            continue
        effect = effects[effects["parameter"] == name]
        half_width = (effect["mean"] - effect["low"]).fillna(0)
        labels = effect["value"].map(escape_label)
        ax.errorbar(labels, effect["mean"], yerr=half_width, fmt="o", capsize=3)
        ax.set_xlim(-0.5, len(effect) - 0.5)
        ax.tick_params(axis="x", rotation=90, labelsize="small")
    for ax in axes[1:]:
        ax.set_yticklabels([])
    axes[0].set_ylabel(f"mean CV {results.study.metrics[0]}")
    return figure


def _select_strongest(effects: pd.DataFrame) -> list[str]:
    """Return the two parameters with the largest effects, in the order of the grid."""
    ranges = effects.groupby("parameter", sort=False)["mean"].agg(np.ptp)
    largest = set(ranges.nlargest(2).index)
    return [name for name in ranges.index if name in largest]


def _draw_heat_map(results: Results, data: str, pair: list[str]):
    candidates = results.comparable_candidates(data).copy()
    for name in pair:
        candidates[name] = candidates[name].map(format_label)
    candidates["mean"] = candidates["mean"].astype(float)
    table = candidates.pivot_table(
        index=pair[0], columns=pair[1], values="mean", aggfunc="mean"
    )
    orders = [[format_label(value) for value in results.grid[name]] for name in pair]
    rows = [value for value in orders[0] if value in table.index]
    columns = [value for value in orders[1] if value in table.columns]
    table = table.loc[rows, columns]
    figure, (ax,) = _make_figure(height=1.2 + 0.45 * len(table))
    image = ax.imshow(table, aspect="auto", cmap="viridis")
    ax.set_xticks(range(table.shape[1]), map(escape_label, table.columns))
    ax.set_yticks(range(table.shape[0]), map(escape_label, table.index))
    ax.set(xlabel=escape_label(pair[1]), ylabel=escape_label(pair[0]))
    middle = np.nanmean([np.nanmin(table), np.nanmax(table)])
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        colour = "black" if value > middle else "white"
        ax.text(column, row, f"{value:.4f}", ha="center", va="center", color=colour)
    figure.colorbar(image, label=f"mean CV {results.study.metrics[0]}")
    return figure


def _draw_confusion(results: Results, data: str, setting: str):
    names = list(results.study.get_dataset(data).class_names)
    has_values = len(names) <= _MAX_NUMBERED_CLASSES
    figure, (ax,) = _make_figure(height=max(5.0, 0.2 * len(names)))
    matrix = results.confusion_matrix(data, setting)
    ConfusionMatrixDisplay(matrix, display_labels=names).plot(
        ax=ax,
        cmap="Blues",
        colorbar=not has_values,
        include_values=has_values,
        text_kw={"fontsize": "x-small"},
        xticks_rotation="vertical" if max(map(len, names)) > 3 else "horizontal",
    )
    return figure


def _draw_mistakes(results: Results, record: dict):
    dataset = results.study.get_dataset(record["data"])
    test = record["tests"][TEST_SET]
    mistakes, names = test["mistakes"], list(dataset.class_names)
    if "images" in test:
        shape = dataset.image_shape
        images = decode_images([one for _, one in test["images"]], math.prod(shape))
        images = images.reshape(-1, *shape)
        mistakes = mistakes[: len(images)]
        y_true = [names[label] for label, _ in test["images"]]
    else:
        X, y = load_data(dataset, "test")
        indices = [index for index, _, _ in mistakes]
        images = reshape_to_images(X[indices])
        y_true = [names[label] for label in y[indices]]
    y_pred = [names[label] for _, label, _ in mistakes]
    probabilities = [probability for _, _, probability in mistakes]
    display = MisclassifiedDisplay(images, y_true, y_pred, probabilities)
    return display.plot().figure_
