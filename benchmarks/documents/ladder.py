"""Render ``docs/ladder.md``, and draw its figures, from the ladder's records.

python benchmarks/documents/ladder.py  # draws docs/ladder.png and docs/ladder_cost.png
"""

import math

import pandas as pd
from origin import describe_runs
from rendering import (
    DOCS,
    ROOT,
    format_differences,
    format_sample,
    join_words,
    read_results,
    render_template,
)
from training_cost import compute_costs, draw_costs, format_costs

from sklenet.datasets.registry import DATASETS
from sklenet.study.report.results import Results
from sklenet.study.report.statistics import describe
from sklenet.study.report.tables import render_search
from sklenet.study.report.text import format_interval, format_mean_sd

DOCUMENT = DOCS / "ladder.md"
FIGURE = DOCS / "ladder.png"
COST_FIGURE = DOCS / "ladder_cost.png"

_STUDIES = ("ladder", "ladder_colour")

# The studies by which the rungs were chosen.
_CHOICES = (
    "ladder_choices",
    "ladder_choices_colour",
    "ladder_top_choices",
    "ladder_top_choices_colour",
    "ladder_long_choices",
    "ladder_views_choices",
    "ladder_views_choices_colour",
)

# Target test accuracies in percent, by dataset and rung.
TARGETS: dict[str, dict[str, float]] = {
    "mnist": {
        "AdamW, weight decay 0.2": 99.2,
        "60 epochs": 99.5,
        "weight decay 0.05": 99.65,
    },
    "fashion_mnist": {"60 epochs": 91.8, "views: mirror image, shifts by 1": 93.0},
    "cifar10": {"60 epochs": 74.0, "240 epochs": 80.0},
}


def render() -> str:
    """Return the document."""
    return render_template(
        "ladder.md",
        n_seeds=len(read_results(_STUDIES[0]).study.seeds),
        margins=_describe_margins(),
        studies=[_describe_study(name) for name in _STUDIES],
        choices=[_describe_choices(name) for name in _CHOICES],
    )


def _describe_choices(name: str) -> dict:
    """Return the variables of the template for a study of choices."""
    results = read_results(name)
    return {
        "name": name,
        "epochs": results.study.estimator["max_epochs"],
        "n_seeds": len(results.study.seeds),
        "comparisons": [_describe_comparison(results, data) for data in results.study.data],
        "notes": results.study.notes.strip(),
        "origin": describe_runs(results),
    }


def _describe_comparison(results: Results, data: str) -> dict:
    """Return the variables of the template for the settings compared on a dataset.

    They are compared by a search, or by their fits' accuracy on held-out images.
    """
    if results.study.search is not None:
        return {"search": render_search(results, data)}
    fits = results.fits[results.fits["data"] == data]
    return {
        "title": DATASETS[data].title,
        "n_train": int(fits["n_train"].max()),
        "n_valid": int(fits["n_valid"].max()),
        "baseline": fits["setting"].iloc[0],
        "table": compare_settings(fits),
    }


def compare_settings(fits: pd.DataFrame) -> list[dict[str, str]]:
    """Return the validation and training accuracy of each setting in percent, as text."""
    accuracy = 100 * fits.pivot(index="seed", columns="setting", values="valid_accuracy")
    training = 100 * fits.pivot(index="seed", columns="setting", values="train_accuracy")
    names = fits["setting"].unique()
    rows = []
    for name in names:
        gain, interval = "", ""
        if name != names[0]:
            gain, interval = format_differences(accuracy[name] - accuracy[names[0]])
        rows.append(
            {
                "setting": name,
                "validation accuracy (%)": format_sample(accuracy[name]),
                "difference": gain,
                "95% CI": interval,
                "training accuracy (%)": format_sample(training[name]),
            }
        )
    return rows


def _describe_margins() -> str:
    """Return by how much the accuracy of the last rungs varies with the test images."""
    parts = []
    for results, data in _list_ladders():
        fit = results.fits[results.fits["data"] == data].iloc[-1]
        accuracy = compute_rungs(results, data)["mean"].iloc[-1] / 100
        margin = 1.96 * math.sqrt(accuracy * (1 - accuracy) / fit["n_test"])
        parts.append(f"±{100 * margin:.2f} percentage points at {100 * accuracy:.2f} %")
    return join_words(parts)


def _describe_study(name: str) -> dict:
    """Return the variables of the template for one of the ladder's studies."""
    results = read_results(name)
    return {
        "name": name,
        "notes": results.study.notes.strip(),
        "origin": describe_runs(results),
        "datasets": [
            {
                "title": DATASETS[data].title,
                "rungs": _format_rungs(results, data),
                "costs": format_costs(compute_costs(results, data)),
            }
            for data in results.study.data
        ],
    }


def compute_rungs(results: Results, data: str) -> pd.DataFrame:
    """Compute the accuracies of each rung in percent, and its gain over the previous."""
    fits = results.fits[results.fits["data"] == data]
    accuracy = 100 * fits.pivot(index="seed", columns="setting", values="test_accuracy")
    rows = []
    previous = None
    for name in fits["setting"].unique():
        row = {"rung": name} | describe(accuracy[name].dropna(), (0, 100))
        if previous is not None:
            gain = describe((accuracy[name] - accuracy[previous]).dropna(), (-100, 100))
            row |= {f"gain_{key}": gain[key] for key in ("mean", "low", "high")}
        of_rung = fits[fits["setting"] == name]
        row["training"] = 100 * of_rung["train_accuracy"].mean()
        row["epochs"] = int(of_rung["epochs"].max())
        rows.append(row)
        previous = name
    return pd.DataFrame(rows)


def _format_rungs(results: Results, data: str) -> list[dict[str, str]]:
    rows = []
    for row in compute_rungs(results, data).to_dict("records"):
        target = TARGETS[data].get(row["rung"])
        has_gain = not pd.isna(row["gain_mean"])
        rows.append(
            {
                "rung": row["rung"],
                "test accuracy (%)": format_mean_sd(
                    row["mean"], row["sd"], "{:.2f}".format
                ),
                "gain": f"{row['gain_mean']:+.2f}" if has_gain else "",
                "95% CI of the gain": format_interval(
                    row["gain_low"], row["gain_high"], "+.2f"
                ),
                "training accuracy (%)": f"{row['training']:.2f}",
                "epochs": str(row["epochs"]),
                "seeds": str(row["n"]),
                "target": "" if target is None else f"{target:g}",
            }
        )
    return rows


def _list_ladders() -> list[tuple[Results, str]]:
    """Return the results and the dataset of each ladder."""
    return [
        (read_results(name), data)
        for name in _STUDIES
        for data in read_results(name).study.data
    ]


def draw_figure() -> None:
    """Draw the test accuracy of each fit, and the mean of each rung."""
    import matplotlib.pyplot as plt

    ladders = _list_ladders()
    figure, axes = plt.subplots(
        len(ladders), 1, figsize=(8, 2.9 * len(ladders)), layout="constrained"
    )
    for ax, (results, data) in zip(axes, ladders, strict=True):
        fits = results.fits[results.fits["data"] == data]
        table = compute_rungs(results, data)
        positions = {name: k for k, name in enumerate(table["rung"])}
        ax.plot(table["mean"], table.index, color="0.7", zorder=1)
        ax.scatter(
            100 * fits["test_accuracy"],
            fits["setting"].map(positions),
            s=14,
            alpha=0.6,
            zorder=2,
        )
        for target in TARGETS[data].values():
            ax.axvline(target, color="0.5", linestyle=":", linewidth=1)
        ax.set(title=DATASETS[data].title, xlabel="test accuracy (%)")
        ax.set_yticks(range(len(positions)), list(positions))
        ax.invert_yaxis()
    figure.savefig(FIGURE, dpi=110)
    plt.close(figure)


def draw_cost_figure() -> None:
    """Draw the test accuracy of each rung against the operations of its training."""
    import matplotlib.pyplot as plt

    ladders = _list_ladders()
    figure, axes = plt.subplots(
        len(ladders), 1, figsize=(8, 2.9 * len(ladders)), layout="constrained", sharex=True
    )
    for ax, (results, data) in zip(axes, ladders, strict=True):
        draw_costs(ax, compute_costs(results, data))
        ax.set_title(DATASETS[data].title)
        ax.tick_params(labelbottom=True)
    figure.savefig(COST_FIGURE, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    draw_figure()
    draw_cost_figure()
    for path in (FIGURE, COST_FIGURE):
        print("wrote", path.relative_to(ROOT))
