"""Draw the figures of ``docs/four_factors.md``.

python benchmarks/documents/four_factors_figures.py  # draws docs/four_factors_*.png
"""

import math
from itertools import combinations
from pathlib import Path

import numpy as np
from four_factors import DOCUMENT, INVERSION, STUDY, get_title
from four_factors_analysis import (
    OTHERS,
    compute_correlations,
    compute_pair_means,
    compute_shares,
    find_poor,
    get_params,
    get_strongest_pair,
    list_good,
    rank_candidates,
)
from rendering import DOCS, ROOT, join_words, read_results

from sklenet.study.config.values import format_label
from sklenet.study.report.results import Results


def _make_title(data: str, without: dict) -> str:
    """Return the name of a dataset and the values that are left out."""
    left_out = [format_label(value) for values in without.values() for value in values]
    lines = [f"without {join_words(left_out)}"] if left_out else []
    return "\n".join([get_title(data), *lines])


def _draw_shares(axes, results: Results, without: dict | None = None) -> None:
    """Draw the shares of the variance: one panel per dataset."""
    shares = compute_shares(results, without)
    colours = [
        "0.6" if term in OTHERS else "C1" if "×" in term else "C0" for term in shares.index
    ]
    for ax, data in zip(axes, shares, strict=True):
        percent = 100 * shares[data].fillna(0)
        bars = ax.barh(range(len(shares)), percent, color=colours)
        ax.bar_label(bars, [f"{share:.1f}" for share in percent], padding=2, fontsize=8)
        ax.set(title=_make_title(data, without or {}))
        ax.set_xlabel("% of the variance of the CV scores")
        ax.margins(x=0.15, y=0.02)
    axes[0].set_yticks(range(len(shares)), shares.index)
    axes[0].invert_yaxis()


def _draw_shares_without_poor(axes, results: Results) -> None:
    """Draw the shares without the poor values."""
    _draw_shares(axes, results, find_poor(results))


def _draw_effects_without_poor(axes, results: Results) -> None:
    """Draw the main effects without the poor values."""
    _draw_effects(axes, results, find_poor(results))


def _draw_effects(axes, results: Results, without: dict | None = None) -> None:
    """Draw the mean score of each value with its interval: one panel per dataset."""
    without = without or {}
    rows = [
        (name, format_label(value))
        for name in results.grid
        for value in results.grid[name]
        if value not in without.get(name, [])
    ]
    for ax, data in zip(axes, results.study.data, strict=True):
        effects = results.main_effects(data, without=without)
        effects = effects.set_index(["parameter", "value"])
        for k, name in enumerate(results.grid):
            places = [place for place, row in enumerate(rows) if row[0] == name]
            of_rows = effects.reindex([rows[place] for place in places])
            mean, low, high = (100 * of_rows[key] for key in ("mean", "low", "high"))
            ax.errorbar(
                mean,
                places,
                xerr=[mean - low, high - mean],
                fmt="o",
                capsize=3,
                color=f"C{k}",
            )
            ax.axhspan(
                places[0] - 0.5, places[-1] + 0.5, color="0.5", alpha=0.12 * (k % 2), lw=0
            )
        ax.set(title=_make_title(data, without), xlabel="mean CV accuracy (%)")
        ax.set_ylim(len(rows) - 0.5, -0.5)
    axes[0].set_yticks(range(len(rows)), [f"{name} {value}" for name, value in rows])


def _draw_interactions(axes, results: Results) -> None:
    """Draw the mean scores by the two parameters that interact most on each dataset."""
    for ax, data in zip(axes, results.study.data, strict=True):
        pair, _ = get_strongest_pair(results, data)
        table = compute_pair_means(results, data, pair)
        image = ax.imshow(table, aspect="auto", cmap="viridis")
        ax.set_xticks(range(table.shape[1]), table.columns, rotation=20)
        ax.set_yticks(range(table.shape[0]), table.index)
        title = _make_title(data, find_poor(results))
        ax.set(title=title, xlabel=pair[1], ylabel=pair[0])
        middle = np.nanmean([np.nanmin(table), np.nanmax(table)])
        for (row, column), value in np.ndenumerate(table.to_numpy()):
            colour = "black" if value > middle else "white"
            text = "" if np.isnan(value) else f"{value:.2f}"
            ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
        ax.figure.colorbar(image, ax=ax, label="mean CV accuracy (%)")


def _draw_ranks(axes, results: Results) -> None:
    """Draw the ranks on one dataset against those on another, coloured by activation.

    The candidates with poor values are not shown.
    """
    ranks, correlations = rank_candidates(results), compute_correlations(results)
    name = next(iter(results.grid))
    labels: dict[str, list[int]] = {}
    for k in list_good(results):
        labels.setdefault(format_label(get_params(results)[k][name]), []).append(k)
    for ax, (one, other) in zip(axes, combinations(ranks, 2), strict=True):
        for value, shown in labels.items():
            ax.scatter(ranks[one][shown], ranks[other][shown], s=14, label=value)
        for data, marker in ((one, "<"), (other, "v")):
            k = results.searches[data]["best"]
            ax.plot(
                *(ranks[one][k], ranks[other][k], marker),
                markersize=11,
                markerfacecolor="none",
                color="black",
                label=f"best on {'x' if data == one else 'y'}",
            )
        ax.set(xlabel=f"rank on {get_title(one)}", ylabel=f"rank on {get_title(other)}")
        ax.set_title(f"rank correlation {correlations[one][other]:.2f}")
        # The best are at the upper right.
        ax.invert_xaxis()
        ax.invert_yaxis()
    handles, texts = axes[0].get_legend_handles_labels()
    axes[0].figure.legend(handles, texts, loc="outside lower center", ncols=len(handles))


def draw_figures() -> list[Path]:
    """Draw the figures of the document, and return their paths."""
    import matplotlib.pyplot as plt

    results, inversion = read_results(STUDY), read_results(INVERSION)
    n, n_pairs = len(results.study.data), math.comb(len(results.study.data), 2)
    of_shares = [(_draw_shares_without_poor, results), (_draw_shares, results)]
    paths = []
    for name, parts, n_columns, height, shared in (
        ("shares", of_shares, n, 7.6, "row"),
        ("effects", [(_draw_effects_without_poor, results)], n, 4.2, "row"),
        ("interactions", [(_draw_interactions, results)], n, 3.6, "none"),
        ("ranks", [(_draw_ranks, results)], n_pairs, 4.6, "none"),
        (
            "inversion",
            [(_draw_shares, inversion), (_draw_effects, inversion)],
            n,
            7.6,
            "row",
        ),
    ):
        figure, axes = plt.subplots(
            *(len(parts), n_columns),
            figsize=(12, height),
            sharey=shared,
            squeeze=False,
            layout="constrained",
        )
        for row, (draw, of) in zip(axes, parts, strict=True):
            draw(row, of)
        paths.append(DOCS / f"{DOCUMENT.stem}_{name}.png")
        figure.savefig(paths[-1], dpi=100)
        plt.close(figure)
    return paths


if __name__ == "__main__":
    for path in draw_figures():
        print("wrote", path.relative_to(ROOT))
