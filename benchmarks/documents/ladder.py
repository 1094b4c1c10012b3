"""Make ``docs/ladder.md``, and draw its picture, from the records of the ladder's studies.

python benchmarks/documents/ladder.py            # docs/ladder.png
"""

import pandas as pd
from origin import describe_runs
from performance import RESULTS, ROOT

from sklenet.study.report.results import Results
from sklenet.study.report.statistics import describe
from sklenet.study.report.tables import render_search
from sklenet.study.report.text import spread, to_markdown_table

DOCUMENT = ROOT / "docs" / "ladder.md"
PICTURE = ROOT / "docs" / "ladder.png"

_TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}

_STUDIES = ("ladder", "ladder_colour")

# The studies that chose the rungs.
_CHOICES = ("ladder_choices", "ladder_choices_colour")

# The means over five seeds that were aimed at, in percent, by the data set and the rung.
TARGETS: dict[str, dict[str, float]] = {
    "mnist": {"AdamW, weight decay 0.2": 99.2, "60 epochs": 99.5},
    "fashion_mnist": {"60 epochs": 91.8},
    "cifar10": {"60 epochs": 74.0},
}

_HEAD = """# From a tutorial's recipe to the best of the same network

<!-- Made from the records by `make tables`; not to be edited. -->

How far does LeNet-5 go with what has been learnt since about training?
`benchmarks/studies/ladder.toml` and `benchmarks/studies/ladder_colour.toml` climb from the
recipe of a tutorial, one change per rung: each rung keeps what those before it changed. The
tutorial's network takes grey images without a border; from the second rung on it is that of
the paper's 32x32 canvas, with 61,706 weights and not one more. Colour images fill the
canvas, and there the network has 62,006 weights on every rung, the 300 more in the filters
of C1.

![Test accuracy by rung on each data set](ladder.png)

What a rung changes was chosen by cross-validation on the training sets, with thirty epochs:
the tables are at the end. That more epochs help then was assumed. Each rung was trained on
the whole training set with {n} seeds, and the test set was scored once per fit, after the
last epoch. Figures are percent of 10,000 test images, mean ± standard deviation over the
seeds; gains are paired over the seeds, with Student's 95 % interval of their mean: where it
contains 0, the rung does not help by more than the noise. Dots in the picture are seeds,
dotted lines what was aimed at. No seed was left out.
"""


def render() -> str:
    """Return the document."""
    ladders = [Results(RESULTS / name) for name in _STUDIES]
    parts = [_HEAD.format(n=len(ladders[0].study.seeds))]
    for results in ladders:
        for data in results.study.data:
            parts += [f"## {_TITLES[data]}\n", _rungs_as_text(results, data), ""]
        if results.study.notes:
            parts += [results.study.notes.strip(), ""]
    parts.append("## How the rungs were chosen\n")
    for name in _CHOICES:
        choices = Results(RESULTS / name)
        for data in choices.study.data:
            parts += [
                f"`benchmarks/studies/{name}.toml`, " + render_search(choices, data),
                "",
            ]
    for results in ladders:
        parts += [
            f"`benchmarks/studies/{results.folder.name}.toml`: {describe_runs(results)}",
            "",
        ]
    return "\n".join(parts)


def rungs(results: Results, data: str) -> pd.DataFrame:
    """Return each rung's test accuracy in percent, and its gain over the one before."""
    of_data = results.fits[results.fits["data"] == data]
    table = 100 * of_data.pivot(index="seed", columns="setting", values="test_accuracy")
    names = list(dict.fromkeys(of_data["setting"]))
    rows = []
    for below, name in zip([None, *names], names, strict=False):
        row = {"rung": name} | describe(table[name].dropna())
        if below is not None:
            gain = describe((table[name] - table[below]).dropna())
            row |= {f"gain_{key}": gain[key] for key in ("mean", "low", "high")}
        epochs = of_data.loc[of_data["setting"] == name, "epochs"]
        rows.append(row | {"epochs": int(epochs.max())})
    return pd.DataFrame(rows)


def _rungs_as_text(results: Results, data: str) -> str:
    rows = []
    for row in rungs(results, data).to_dict("records"):
        target = TARGETS[data].get(row["rung"])
        rows.append(
            {
                "rung": row["rung"],
                "test accuracy (%)": spread(row["mean"], row["sd"], "{:.2f}".format),
                "gain over the rung before, 95 %": ""
                if pd.isna(row["gain_mean"])
                else f"{row['gain_mean']:+.2f}, {row['gain_low']:+.2f}"
                f" to {row['gain_high']:+.2f}",
                "epochs": str(row["epochs"]),
                "seeds": str(row["n"]),
                "aimed at": "" if target is None else f"{target:.1f}",
            }
        )
    return to_markdown_table(pd.DataFrame(rows))


def draw() -> None:
    """Draw each fit's test accuracy, and the mean of its rung."""
    import matplotlib.pyplot as plt

    ladders = [Results(RESULTS / name) for name in _STUDIES]
    drawn = [(results, data) for results in ladders for data in results.study.data]
    figure, axes = plt.subplots(
        len(drawn), 1, figsize=(8, 2.9 * len(drawn)), layout="constrained"
    )
    for ax, (results, data) in zip(axes, drawn, strict=True):
        of_data = results.fits[results.fits["data"] == data]
        table = rungs(results, data)
        places = {name: k for k, name in enumerate(table["rung"])}
        ax.plot(table["mean"], table.index, color="0.7", zorder=1)
        ax.scatter(
            100 * of_data["test_accuracy"],
            of_data["setting"].map(places),
            s=14,
            alpha=0.6,
            zorder=2,
        )
        for target in TARGETS[data].values():
            ax.axvline(target, color="0.5", linestyle=":", linewidth=1)
        ax.set(title=_TITLES[data], xlabel="test accuracy (%)")
        ax.set_yticks(range(len(places)), list(places))
        ax.invert_yaxis()
    figure.savefig(PICTURE, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    draw()
    print("wrote", PICTURE.relative_to(ROOT))
