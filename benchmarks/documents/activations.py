"""Render ``docs/activations.md``, and draw its figure, from the study of activations.

python benchmarks/documents/activations.py  # draws docs/activations.png
"""

import pandas as pd
from origin import describe_runs
from rendering import DOCS, ROOT, read_results, render_template

from sklenet.datasets.registry import DATASETS
from sklenet.study.report.results import Results
from sklenet.study.report.statistics import adjust_p_values, compute_p_value, describe
from sklenet.study.report.text import format_interval, format_mean_sd, format_p_value

DOCUMENT = DOCS / "activations.md"
FIGURE = DOCS / "activations.png"

_STUDY = "activations"
_BASELINE = "relu"

# Marks of the learning rates in the figure, from the lowest to the highest.
_MARKERS = "v^s"


def render() -> str:
    """Return the document."""
    results = read_results(_STUDY)
    tables = {data: choose_rates(results, data) for data in results.study.data}
    return render_template(
        "activations.md",
        study=results.study,
        n_fits=len(results.fits),
        n_test=int(results.fits["n_test"].iloc[0]),
        hidden=_count_hidden(results, tables),
        rates=", ".join(f"{rate:g}" for rate in sorted(results.fits["lr"].unique())),
        datasets=[
            {"title": DATASETS[data].title, "rows": _format_rows(table)}
            for data, table in tables.items()
        ],
        mean_ranks=_format_ranks(tables),
        origin=describe_runs(results),
    )


def choose_rates(results: Results, data: str) -> pd.DataFrame:
    """Choose the learning rate of each activation by the mean validation accuracy.

    Parameters
    ----------
    results : Results
        Results of the study.
    data : str
        Name of the dataset.

    Returns
    -------
    DataFrame
        One row per activation, from the highest to the lowest mean validation accuracy:
        the learning rate, the validation and test accuracies over the seeds in percent,
        and the difference of the test accuracy from that of ReLU, paired over the seeds.
    """
    fits = results.fits[results.fits["data"] == data].copy()
    fits[["test", "valid"]] = 100 * fits[["test_accuracy", "valid_accuracy"]]
    means = fits.groupby(["activation", "lr"])["valid"].mean()
    best = means.loc[means.groupby("activation").idxmax()].sort_values(ascending=False)
    tests = {
        name: fits[(fits["activation"] == name) & (fits["lr"] == rate)].set_index("seed")
        for name, rate in best.index
    }
    rows = []
    for name, rate in best.index:
        test = describe(tests[name]["test"], (0, 100))
        row = {"activation": name, "init": tests[name]["init"].iloc[0], "lr": rate}
        row |= {"valid": best[name, rate], "mean": test["mean"], "sd": test["sd"]}
        row |= {"n": test["n"]}
        if name != _BASELINE:
            differences = (tests[name]["test"] - tests[_BASELINE]["test"]).dropna()
            paired = describe(differences, (-100, 100))
            row |= {"difference": paired["mean"], "low": paired["low"]}
            row |= {"high": paired["high"], "p": compute_p_value(differences)}
        rows.append(row)
    table = pd.DataFrame(rows)
    is_compared = table["p"].notna()
    table.loc[is_compared, "p"] = adjust_p_values(table.loc[is_compared, "p"].tolist())
    return table


def _format_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    rows = []
    for row in table.to_dict("records"):
        has_difference = not pd.isna(row["difference"])
        rows.append(
            {
                "activation": row["activation"],
                "init": row["init"],
                "learning rate": f"{row['lr']:g}",
                "validation (%)": f"{row['valid']:.2f}",
                "test accuracy (%)": format_mean_sd(
                    row["mean"], row["sd"], "{:.2f}".format
                ),
                "minus ReLU": f"{row['difference']:+.2f}" if has_difference else "",
                "95% CI": format_interval(row["low"], row["high"], "+.2f"),
                "p (Holm)": format_p_value(row["p"]) if has_difference else "",
            }
        )
    return rows


def _format_ranks(tables: dict[str, pd.DataFrame]) -> list[dict[str, str]]:
    """Return the rank of each activation on each dataset, and its mean rank."""
    ranks = pd.DataFrame(
        {
            DATASETS[data].title: table.set_index("activation")["mean"].rank(
                ascending=False
            )
            for data, table in tables.items()
        }
    )
    means = ranks.mean(axis=1).sort_values()
    return [
        {"activation": name, "mean rank": f"{mean:.1f}"}
        | {title: f"{rank:g}" for title, rank in ranks.loc[name].items()}
        for name, mean in means.items()
    ]


def find_limit(table: pd.DataFrame) -> float:
    """Return the test accuracy in percent at which the axis of the figure is cut.

    Some combinations do not learn at all; the others must remain distinguishable.

    Parameters
    ----------
    table : DataFrame
        Return value of `choose_rates`.
    """
    lowest = table["mean"].min()
    return lowest - 0.5 * (table["mean"].max() - lowest)


def _count_hidden(results: Results, tables: dict[str, pd.DataFrame]) -> str:
    """Return the number of fits outside of the figure on each dataset, as text."""
    counts = []
    for data, table in tables.items():
        accuracy = 100 * results.fits.loc[results.fits["data"] == data, "test_accuracy"]
        n_hidden = int((accuracy < find_limit(table)).sum())
        counts.append(f"{n_hidden} on {DATASETS[data].title}")
    return ", ".join(counts)


def draw_figure() -> None:
    """Draw the test accuracy of each fit, by activation and learning rate."""
    import matplotlib.pyplot as plt

    results = read_results(_STUDY)
    figure, axes = plt.subplots(
        1, len(results.study.data), figsize=(11, 4.4), layout="constrained"
    )
    for ax, data in zip(axes, results.study.data, strict=True):
        table = choose_rates(results, data)
        places = {name: k for k, name in enumerate(table["activation"])}
        fits = results.fits[results.fits["data"] == data]
        for marker, rate in zip(_MARKERS, sorted(fits["lr"].unique()), strict=True):
            of_rate = fits[fits["lr"] == rate]
            ax.scatter(
                100 * of_rate["test_accuracy"],
                of_rate["activation"].map(places),
                s=14,
                alpha=0.5,
                marker=marker,
                label=f"learning rate {rate:g}",
            )
        ax.plot(table["mean"], table.index, "|", color="black", markersize=14)
        ax.set_xlim(find_limit(table), None)
        ax.set(title=DATASETS[data].title, xlabel="test accuracy (%)")
        ax.set_yticks(range(len(places)), list(places))
        ax.invert_yaxis()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    figure.savefig(FIGURE, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    draw_figure()
    print("wrote", FIGURE.relative_to(ROOT))
