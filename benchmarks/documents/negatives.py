"""Render ``docs/negatives.md``, and draw its figure.

python benchmarks/documents/negatives.py  # draws docs/negatives.png
"""

import pandas as pd
from origin import describe_runs
from rendering import (
    DOCS,
    ROOT,
    format_differences,
    format_sample,
    read_results,
    render_template,
)

from sklenet.datasets.registry import DATASETS
from sklenet.study.report.results import Results

DOCUMENT = DOCS / "negatives.md"
FIGURE = DOCS / "negatives.png"

_STUDY = "negatives_both"
_WAYS = "negatives"

_TWO_NETWORKS = "one for each"
_POSITIVES, _NEGATIVES = "one for positives", "one for negatives"


def render() -> str:
    """Return the document."""
    results = read_results(_STUDY)
    return render_template(
        "negatives.md",
        study=results.study,
        datasets=[_describe_dataset(results, data) for data in results.study.data],
        ways_notes=read_results(_WAYS).study.notes.strip(),
        origin=describe_runs(results),
    )


def _describe_dataset(results: Results, data: str) -> dict:
    """Return the variables of the template for a dataset."""
    fits = results.fits[results.fits["data"] == data]
    return {
        "title": DATASETS[data].title,
        "n_seeds": fits["seed"].nunique(),
        "rows": _format_rows(results, data),
    }


def compute_accuracies(results: Results, data: str) -> pd.DataFrame:
    """Compute the accuracies on positives and on negatives in percent.

    Parameters
    ----------
    results : Results
    data : str
        Name of the dataset.

    Returns
    -------
    DataFrame
        One row per setting and seed, with the columns ``positives``, ``negatives`` and
        ``epochs``. The setting "one for each" consists of the two networks that were
        trained on positives and on negatives alone, each evaluated on its own images.
    """
    fits = results.fits[results.fits["data"] == data].set_index("seed")
    columns = ["test_accuracy", "negatives_accuracy", "epochs"]
    by_setting = {name: group[columns] for name, group in fits.groupby("setting")}
    positives, negatives = by_setting[_POSITIVES], by_setting[_NEGATIVES]
    # The pipeline of the network for negatives inverts the test images.
    two = positives.assign(negatives_accuracy=negatives["test_accuracy"])
    own = [s for s in fits["setting"].unique() if s not in (_POSITIVES, _NEGATIVES)]
    table = pd.concat(
        {_TWO_NETWORKS: two} | {name: by_setting[name] for name in own},
        names=["setting", "seed"],
    )
    table[columns[:2]] *= 100
    return table.rename(
        columns={"test_accuracy": "positives", "negatives_accuracy": "negatives"}
    )


def _format_rows(results: Results, data: str) -> list[dict[str, str]]:
    """Return the accuracies, and their differences from those of two networks."""
    table = compute_accuracies(results, data)
    rows = []
    for images in ("positives", "negatives"):
        for setting in table.index.unique("setting"):
            own = table.loc[setting]
            difference, interval = "", ""
            if setting != _TWO_NETWORKS:
                difference, interval = format_differences(
                    own[images] - table.loc[_TWO_NETWORKS, images]
                )
            rows.append(
                {
                    "images": images,
                    "networks": setting,
                    "epochs": f"{own['epochs'].max():.0f}",
                    "accuracy (%)": format_sample(own[images]),
                    "difference": difference,
                    "95% CI": interval,
                }
            )
    return rows


def draw_figure() -> None:
    """Draw the accuracy of each fit on positives and on negatives."""
    import matplotlib.pyplot as plt

    results = read_results(_STUDY)
    names = results.study.data
    figure, axes = plt.subplots(
        len(names), 1, figsize=(8, 1.9 * len(names)), layout="constrained"
    )
    for ax, data in zip(axes, names, strict=True):
        table = compute_accuracies(results, data)
        positions = {name: k for k, name in enumerate(table.index.unique("setting"))}
        settings = table.index.get_level_values("setting").map(positions)
        for images, shift, marker in (("positives", -0.12, "o"), ("negatives", 0.12, "s")):
            rows = settings + shift
            ax.scatter(table[images], rows, s=18, marker=marker, alpha=0.6, label=images)
        ax.set(title=DATASETS[data].title, xlabel="test accuracy (%)")
        ax.set_yticks(range(len(positions)), list(positions))
        ax.set_ylim(len(positions) - 0.5, -0.5)
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(FIGURE, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    draw_figure()
    print("wrote", FIGURE.relative_to(ROOT))
