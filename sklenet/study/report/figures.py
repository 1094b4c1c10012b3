"""Figures of a study's records."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from sklenet.display import MisclassifiedDisplay, TrainingHistoryDisplay
from sklenet.display.images import as_images
from sklenet.display.text import add_legend, as_label
from sklenet.study.config.spec import HISTORY, ORIGINALS
from sklenet.study.engine.fit import class_names, load_data
from sklenet.study.report.results import Results

CURVES = "learning_curves"

# Ten colours, each solid and dashed: more lines than this cannot be told apart.
_DASHES = ("-", "--")
_MOST_CURVES = 10 * len(_DASHES)


Picture = tuple[str, str, Callable]


def iter_figures(results: Results, data: str) -> Iterator[Picture]:
    """Yield the figures of one data set."""
    of_data = [r for r in results.fit_records if r["data"] == data]
    trained = [record for record in of_data if record.get("history")]
    if trained:
        n = len({record["setting"] for record in trained})
        some = f", the first {_MOST_CURVES} settings of {n}" if n > _MOST_CURVES else ""
        yield (
            f"{CURVES}_{data}",
            f"{data}: learning curves, the mean and the range over seeds{some}",
            lambda: _curves(trained),
        )
    yield from _draw_search(results, data)
    yield from _draw_tests(results, data)


def _draw_search(results: Results, data: str) -> Iterator[Picture]:
    scored = (
        data in results.searches
        and results.comparable_candidates(data)["mean"].notna().any()
    )
    if not scored or not results.grid:
        return
    effects = results.main_effects(data)
    yield (
        f"main_effects_{data}",
        f"{data}: mean score of all candidates that share a value, with its 95 %"
        " interval; of a distribution, each candidate's",
        lambda: _main_effects(results, data, effects),
    )
    if effects["parameter"].nunique() > 1:
        pair = _strongest(effects)
        yield (
            f"heat_map_{data}",
            f"{data}: {pair[0]} by {pair[1]}, mean over all else",
            lambda: _heat_map(results, data, pair),
        )


def _draw_tests(results: Results, data: str) -> Iterator[Picture]:
    tested = results.tested_fits(data)
    if not tested:
        return
    name = tested[0]["setting"]
    yield (
        f"confusion_{data}",
        f"{data}: confusion on the test images, {name}, sum of {len(tested)} seeds",
        lambda: _confusion(results, tested),
    )
    yield (
        f"mistakes_{data}",
        f"{data}: mistakes the network was most sure of, {name}, seed {tested[0]['seed']}",
        lambda: _mistakes(tested[0]),
    )


def _figure(n_columns=1, n_rows=1, *, height=4.0, width=6.0):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=(width, height), squeeze=False, layout="constrained"
    )
    return figure, axes.ravel()


def _curves(records):
    import matplotlib.pyplot as plt
    from cycler import cycler

    validated = any("valid_loss" in row for record in records for row in record["history"])
    metrics = HISTORY if validated else HISTORY[:1]
    n = 2 if validated else 1
    figure, axes = _figure(n, n, width=5.0 * n + 1, height=3.5 * n + 0.5)
    histories: dict[str, list] = {}
    several = len({record["setting"] for record in records}) > 1
    for record in records:
        label = record["setting"] if several else record["data"]
        histories.setdefault(label, []).append(record["history"])
    shown = dict(list(histories.items())[:_MOST_CURVES])
    lines: list = []
    for metric, ax in zip(metrics, axes, strict=True):
        ax.set_prop_cycle(cycler(linestyle=_DASHES) * plt.rcParams["axes.prop_cycle"])
        display = TrainingHistoryDisplay.from_histories(shown, metric=metric, ax=ax)
        lines = lines or display.lines_
        ax.get_legend().remove()
        if metric.endswith("accuracy"):
            ax.set_yscale("linear")
    figure.set_figheight(figure.get_figheight() + 0.22 * len(lines))
    add_legend(figure, lines, loc="outside lower center", fontsize="small")
    return figure


def _main_effects(results, data, effects):
    names = list(results.grid)
    candidates = results.comparable_candidates(data)
    figure, axes = _figure(len(names), height=3.2, width=max(6.0, 2.2 * len(names)))
    low, high = candidates["mean"].min(), candidates["mean"].max()
    margin = 0.1 * (high - low) or 0.01
    for name, ax in zip(names, axes, strict=True):
        ax.set_ylim(low - margin, high + margin)
        ax.set_title(as_label(name), fontsize="small")
        if isinstance(results.grid[name], Mapping):
            ax.plot(candidates[name], candidates["mean"], "o")
            ax.set_xscale("log" if "loguniform" in results.grid[name] else "linear")
            continue
        of_name = effects[effects["parameter"] == name]
        half = (of_name["mean"] - of_name["low"]).fillna(0)
        values = of_name["value"].map(as_label)
        ax.errorbar(values, of_name["mean"], yerr=half, fmt="o", capsize=3)
        ax.set_xlim(-0.5, len(of_name) - 0.5)
        ax.tick_params(axis="x", rotation=90, labelsize="small")
    for ax in axes[1:]:
        ax.set_yticklabels([])
    axes[0].set_ylabel(f"CV {results.study.metrics[0]}")
    return figure


def _strongest(effects) -> list[str]:
    """Return the two parameters whose values differ most, in the grid's order."""
    spread = effects.groupby("parameter", sort=False)["mean"].agg(np.ptp)
    chosen = set(spread.nlargest(2).index)
    return [name for name in spread.index if name in chosen]


def _heat_map(results, data, pair):
    candidates = results.comparable_candidates(data).copy()
    for name in pair:
        candidates[name] = candidates[name].map(str)
    candidates["mean"] = candidates["mean"].astype(float)
    table = candidates.pivot_table(
        index=pair[0], columns=pair[1], values="mean", aggfunc="mean"
    )
    orders = [[str(value) for value in results.grid[name]] for name in pair]
    rows = [value for value in orders[0] if value in table.index]
    columns = [value for value in orders[1] if value in table.columns]
    table = table.loc[rows, columns]
    figure, (ax,) = _figure(height=1.2 + 0.45 * len(table))
    image = ax.imshow(table, aspect="auto", cmap="viridis")
    ax.set_xticks(range(table.shape[1]), map(as_label, table.columns))
    ax.set_yticks(range(table.shape[0]), map(as_label, table.index))
    ax.set(xlabel=as_label(pair[1]), ylabel=as_label(pair[0]))
    middle = np.nanmean([np.nanmin(table), np.nanmax(table)])
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        colour = "black" if value > middle else "white"
        ax.text(column, row, f"{value:.4f}", ha="center", va="center", color=colour)
    figure.colorbar(image, label=f"CV {results.study.metrics[0]}")
    return figure


def _confusion(results, records):
    total = results.confusion_matrix(records[0]["data"], records[0]["setting"])
    figure, (ax,) = _figure(height=5.0)
    names = class_names(records[0]["data"])
    ConfusionMatrixDisplay(total, display_labels=names).plot(
        ax=ax,
        cmap="Blues",
        colorbar=False,
        text_kw={"fontsize": "x-small"},
        xticks_rotation="vertical" if max(map(len, names)) > 3 else "horizontal",
    )
    return figure


def _mistakes(record):
    X, y = load_data(record["data"], "test")
    mistakes = record["tests"][ORIGINALS]["mistakes"]
    rows = [row for row, _, _ in mistakes]
    names = class_names(record["data"])
    labels = [names[label] for label in y[rows]]
    guesses = [names[guess] for _, guess, _ in mistakes]
    probabilities = [probability for _, _, probability in mistakes]
    return (
        MisclassifiedDisplay(as_images(X[rows]), labels, guesses, probabilities)
        .plot()
        .figure_
    )
