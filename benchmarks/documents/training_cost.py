"""The cost of training a setting: floating-point operations and time."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.isotonic import isotonic_regression
from sklearn.pipeline import Pipeline

from sklenet.datasets.registry import ImageDataset
from sklenet.study.report.results import Results

# Distance of two labels in the figure, as a fraction of its height.
_LABEL_DISTANCE = 0.09


def count_operations(pipeline: Pipeline, dataset: ImageDataset) -> int:
    """Count the floating-point operations of a training step per image.

    They are those of the convolutions and the fully connected layers, where a
    multiplication and an addition are two operations. The backward pass has twice those of
    the forward pass, for the gradients of the weights and of the inputs, except that the
    first layer needs no gradient of its inputs, the images.

    Parameters
    ----------
    pipeline : Pipeline
        Unfitted pipeline of a setting.
    dataset : ImageDataset
        Its dataset, of which the shape of the images and the number of classes are used.
    """
    rng = np.random.default_rng(0)
    y = np.arange(dataset.n_classes)
    X = rng.integers(256, size=(len(y), int(np.prod(dataset.image_shape))), dtype=np.uint8)
    fitted = clone(pipeline)
    fitted[-1].set_params(max_epochs=1)
    multiply_adds = fitted.fit(X, y)[-1].summary()["multiply_adds"]
    return int(6 * multiply_adds["all"] - 2 * multiply_adds.iloc[0])


def compute_costs(results: Results, data: str) -> pd.DataFrame:
    """Compute the cost of one fit of each setting on a dataset, and its test accuracy.

    Parameters
    ----------
    results : Results
        Results of a study.
    data : str
        Name of the dataset.

    Returns
    -------
    DataFrame
        One row per setting: ``setting``; ``operations`` of training; ``cpu_seconds``, the
        mean over the seeds; ``revisions`` of the code that trained it; and the ``mean``,
        ``low`` (smallest) and ``high`` (largest) test accuracy in percent.
    """
    dataset = results.study.get_dataset(data)
    pipelines = {job.setting: job.pipeline for job in results.jobs if job.data == data}
    revisions = {run["run"]: (run["revision"] or "unknown")[:12] for run in results.runs}
    rows = []
    fits = results.fits[results.fits["data"] == data]
    for setting, group in fits.groupby("setting", sort=False):
        per_image = count_operations(pipelines[setting], dataset)
        accuracy = 100 * group["test_accuracy"].dropna()
        rows.append(
            {
                "setting": setting,
                "operations": per_image * (group["n_train"] * group["epochs"]).mean(),
                "cpu_seconds": group["cpu_seconds"].mean(),
                "revisions": list(dict.fromkeys(group["run"].map(revisions))),
                "mean": accuracy.mean(),
                "low": accuracy.min(),
                "high": accuracy.max(),
            }
        )
    return pd.DataFrame(rows)


def format_costs(table: pd.DataFrame) -> list[dict[str, str]]:
    """Return the rows of `compute_costs` as text."""
    return [
        {
            "rung": row["setting"],
            "test accuracy (%)": f"{row['mean']:.2f}",
            "operations (TFLOP)": f"{row['operations'] / 1e12:.2f}",
            "CPU time (s)": f"{row['cpu_seconds']:.0f}",
            "revision": ", ".join(f"`{one}`" for one in row["revisions"]),
        }
        for row in table.to_dict("records")
    ]


def draw_costs(ax: Any, table: pd.DataFrame) -> None:
    """Draw the test accuracy of settings against the operations of their training.

    Parameters
    ----------
    ax : matplotlib Axes
    table : DataFrame
        Return value of `compute_costs`.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    operations = table["operations"] / 1e12
    errors = [table["mean"] - table["low"], table["high"] - table["mean"]]
    ax.errorbar(operations, table["mean"], yerr=errors, fmt="o", markersize=4, capsize=2)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set(xlabel="operations of training (TFLOP)", ylabel="test accuracy (%)")
    ax.grid(alpha=0.3)
    low, high = ax.get_ylim()
    heights = spread((table["mean"] - low) / (high - low), _LABEL_DISTANCE)
    for name, x, y, height in zip(
        table["setting"], operations, table["mean"], heights, strict=True
    ):
        ax.annotate(
            name,
            (x, y),
            (1.03, height),
            textcoords="axes fraction",
            va="center",
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6},
        )


def spread(places, distance: float) -> np.ndarray:
    """Move places apart until neighbours have at least a distance.

    Parameters
    ----------
    places : array-like of shape (n,)
    distance : float

    Returns
    -------
    ndarray of shape (n,)
        The new places, in the same order as the old ones, and with about the same mean.
    """
    places = np.asarray(places, dtype=float)
    order = np.argsort(places, kind="stable")
    steps = distance * np.arange(len(places))
    # The nearest places that increase by at least the distance: isotonic regression.
    moved = np.empty_like(places)
    moved[order] = isotonic_regression(places[order] - steps) + steps
    return moved
