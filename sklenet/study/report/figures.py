"""Figures of the results of a study."""

import math
import textwrap
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
from sklenet.study.report.series import draw_series, summarize_series
from sklenet.study.report.tables import describe_shares
from sklenet.study.report.text import format_value
from sklenet.study.report.train_size import draw_sizes, summarize_sizes
from sklenet.study.report.variance import FOLDS, HIGHER, REMAINDER

# Headings of the figures, by the beginning of their file names.
_TITLES = {
    "learning_curves": "Learning curves",
    "train_size": "Test score by the number of training images",
    "robustness": "Robustness",
    "main_effects": "Main effects",
    "variance": "Share of the variance of the CV scores",
    "heat_map": "Mean score by two parameters",
    "confusion": "Confusion matrix",
    "mistakes": "Misclassified test images",
}

# Widths in inches of a column and of a page of a two-column paper.
_COLUMN, _PAGE = 3.5, 7.16

# Settings of matplotlib: text that is readable at these widths, fonts that journals accept,
# and no TeX, which would interpret names as commands.
STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "lines.linewidth": 1.0,
    "lines.markersize": 4.0,
    "pdf.fonttype": 42,
    "text.usetex": False,
}

# Number of panels side by side, and of columns of a heat map in the width of a column.
_MAX_COLUMNS = 5
_MAX_CELLS = 4
# Distance of the dots of candidates from their mean, which would hide them.
_OFFSET = 0.2
# Number of terms of the analysis of variance that a figure shows.
_MAX_TERMS = 20
# Number of collapsed candidates that a caption lists.
_MAX_LISTED = 20
# Number of characters of 7 points that fit into the width of a column.
_N_CHARACTERS = 56

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
        closes. It is to be called, and the figure saved, with `STYLE`.
    """

    name: str
    caption: str
    draw: Callable[[], Any]

    @property
    def title(self) -> str:
        """Heading of the figure."""
        return make_title(self.name)


def make_title(name: str) -> str:
    """Return the heading of a figure.

    Parameters
    ----------
    name : str
        Name of its file, without suffix: the kind of the figure and the dataset.
    """
    (kind,) = (kind for kind in _TITLES if name.startswith(f"{kind}_"))
    return f"{_TITLES[kind]}, {name.removeprefix(f'{kind}_')}"


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
    series = summarize_series(results, data)
    if len(series):
        yield Figure(
            f"robustness_{data}",
            f"{data}: test {results.study.metrics[0]} in each series of tests, mean and"
            " range over the seeds",
            lambda: draw_series(series, results.study.metrics[0]),
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
    yield Figure(f"learning_curves_{data}", caption, lambda: _draw_curves(records))


def _iter_search_figures(results: Results, data: str) -> Iterator[Figure]:
    if data not in results.searches or not results.grid:
        return
    if results.comparable_candidates(data)["mean"].isna().all():
        return
    effects = results.main_effects(data)
    collapsed = describe_collapsed(results, data)
    yield Figure(
        f"main_effects_{data}",
        f"{data}: mean CV score of all candidates with a value, with its 95% confidence"
        " interval, which is cut off where it would leave the axis; the dots are the single"
        f" candidates. {collapsed}".rstrip(),
        lambda: _draw_main_effects(results, data, effects),
    )
    shares = results.variance_shares(data)
    if len(shares):
        yield Figure(
            f"variance_{data}",
            f"{data}: share of each parameter and interaction in the variance of the CV"
            f" scores. {describe_shares(results, data)} {collapsed}".rstrip(),
            lambda: _draw_shares(shares),
        )
    if effects["parameter"].nunique() > 1:
        pair = _select_strongest(effects)
        yield Figure(
            f"heat_map_{data}",
            f"{data}: mean CV score by {pair[0]} and {pair[1]}, over all other parameters."
            f" {collapsed}".rstrip(),
            lambda: _draw_heat_map(results, data, pair),
        )


def describe_collapsed(results: Results, data: str) -> str:
    """Return a sentence about the candidates that have collapsed; "" if none has.

    Parameters
    ----------
    results : Results
    data : str
        Name of the dataset.
    """
    candidates = results.comparable_candidates(data)
    collapsed = candidates[results.find_collapsed(data)]
    if not len(collapsed):
        return ""
    names = [
        ", ".join(f"{name} {format_value(row[name])}" for name in results.grid)
        for row in collapsed.to_dict("records")
    ]
    more = f"; and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return (
        f"Not included are {len(names)} candidates with a score at chance level on at least"
        f" one fold: {'; '.join(names[:_MAX_LISTED])}{more}."
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


def _make_figure(n_columns=1, n_rows=1, *, height, width=_COLUMN):
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
    figure, axes = _make_figure(
        n, n, width=_PAGE if has_validation else _COLUMN, height=2.3 * n
    )
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
    legend = add_legend(figure, lines, loc="outside lower center", fontsize=7)
    for text in legend.get_texts():
        text.set_text(textwrap.fill(text.get_text(), _N_CHARACTERS * n))
    n_lines = sum(text.get_text().count("\n") + 1 for text in legend.get_texts())
    figure.set_figheight(figure.get_figheight() + 0.16 * n_lines + 0.1)
    return figure


def _draw_main_effects(results: Results, data: str, effects: pd.DataFrame):
    candidates = results.comparable_candidates(data)
    candidates = candidates[~results.find_collapsed(data)]
    n_columns = min(len(results.grid), _MAX_COLUMNS)
    n_rows = math.ceil(len(results.grid) / n_columns)
    width = _COLUMN if n_columns <= 2 else _PAGE
    figure, axes = _make_figure(n_columns, n_rows, height=2.4 * n_rows, width=width)
    limits = _find_limits(candidates["mean"].astype(float), effects)
    for ax in axes[len(results.grid) :]:
        ax.remove()
    for k, (name, values) in enumerate(results.grid.items()):
        ax = axes[k]
        ax.set_ylim(limits)
        ax.set_title(escape_label(name))
        if k % n_columns:
            ax.set_yticklabels([])
        else:
            ax.set_ylabel(f"CV {results.study.metrics[0]}")
        if isinstance(values, Distribution):
            ax.plot(candidates[name], candidates["mean"], "o", alpha=0.5)
            ax.set_xscale("log" if values.name == "loguniform" else "linear")
            continue
        effect = effects[effects["parameter"] == name]
        places = {value: place for place, value in enumerate(effect["value"])}
        for value in values:
            has_value = [other == value for other in candidates[name]]
            scores = candidates["mean"][has_value]
            at = [places.get(format_label(value), np.nan) + _OFFSET] * len(scores)
            ax.plot(at, scores, "o", color="0.6", markersize=2, alpha=0.7)
        errors = [effect["mean"] - effect["low"], effect["high"] - effect["mean"]]
        ax.errorbar(
            range(len(effect)),
            effect["mean"],
            yerr=np.nan_to_num(errors),
            fmt="o",
            capsize=3,
        )
        ax.set_xlim(-0.5, len(effect) - 0.5)
        ax.set_xticks(range(len(effect)), effect["value"].map(escape_label), rotation=90)
    return figure


def _draw_shares(shares: pd.DataFrame):
    others = (HIGHER, FOLDS, REMAINDER)
    is_effect = ~shares["term"].isin(others)
    shown = pd.concat([shares[is_effect].head(_MAX_TERMS), shares[~is_effect]])
    is_wide = shown["term"].map(len).max() > _N_CHARACTERS / 2
    figure, (ax,) = _make_figure(
        height=0.6 + 0.17 * len(shown), width=_PAGE if is_wide else _COLUMN
    )
    colours = [
        "0.6" if term in others else "C1" if "×" in term else "C0" for term in shown["term"]
    ]
    bars = ax.barh(range(len(shown)), 100 * shown["share"], color=colours)
    ax.bar_label(bars, [f"{share:.1%}" for share in shown["share"]], padding=2, fontsize=7)
    ax.set_yticks(range(len(shown)), shown["term"].map(escape_label))
    ax.set_xlabel("% of the variance")
    ax.invert_yaxis()
    ax.margins(x=0.25, y=0.02)
    return figure


def _find_limits(scores: pd.Series, effects: pd.DataFrame) -> tuple[float, float]:
    """Return limits of the axis that show all scores, and intervals of a similar width.

    The interval of a mean over two or three candidates may be many times as wide.
    """
    low, high = scores.min(), scores.max()
    margin = 0.5 * (high - low) or 0.01
    ends = effects[["low", "high"]].agg({"low": "min", "high": "max"}).fillna(low)
    least = 0.1 * margin
    return (
        max(min(low, ends["low"]), low - margin) - least,
        min(max(high, ends["high"]), high + margin) + least,
    )


def _select_strongest(effects: pd.DataFrame) -> list[str]:
    """Return the two parameters with the largest effects, in the order of the grid."""
    ranges = effects.groupby("parameter", sort=False)["mean"].agg(np.ptp)
    largest = set(ranges.nlargest(2).index)
    return [name for name in ranges.index if name in largest]


def _draw_heat_map(results: Results, data: str, pair: list[str]):
    candidates = results.comparable_candidates(data)
    candidates = candidates[~results.find_collapsed(data)].copy()
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
    width = _COLUMN if table.shape[1] <= _MAX_CELLS else _PAGE
    figure, (ax,) = _make_figure(height=1.1 + 0.28 * len(table), width=width)
    image = ax.imshow(table, aspect="auto", cmap="viridis")
    n_characters = sum(map(len, table.columns))
    ax.set_xticks(
        range(table.shape[1]),
        map(escape_label, table.columns),
        rotation="vertical" if n_characters > _N_CHARACTERS / 2 else "horizontal",
    )
    ax.set_yticks(range(table.shape[0]), map(escape_label, table.index))
    ax.set(xlabel=escape_label(pair[1]), ylabel=escape_label(pair[0]))
    middle = np.nanmean([np.nanmin(table), np.nanmax(table)])
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        colour = "black" if value > middle else "white"
        text = "" if np.isnan(value) else f"{value:.4f}"
        ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    figure.colorbar(image, label=f"mean CV {results.study.metrics[0]}")
    return figure


def _draw_confusion(results: Results, data: str, setting: str):
    names = list(results.study.get_dataset(data).class_names)
    has_values = len(names) <= _MAX_NUMBERED_CLASSES
    width = _COLUMN if has_values else _PAGE
    figure, (ax,) = _make_figure(height=width, width=width)
    matrix = results.confusion_matrix(data, setting)
    ConfusionMatrixDisplay(matrix, display_labels=names).plot(
        ax=ax,
        cmap="Blues",
        colorbar=not has_values,
        include_values=has_values,
        text_kw={"fontsize": 6},
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
    figure = display.plot().figure_
    width, height = figure.get_size_inches()
    figure.set_size_inches(_PAGE, height * _PAGE / width)
    return figure
