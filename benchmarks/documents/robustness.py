"""Render ``docs/robustness.md``, and draw its figures, from the study of robustness.

    python benchmarks/documents/robustness.py

draws ``docs/robustness.png`` and ``docs/disturbances.png``. The latter needs the images of
the study's dataset.
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

from sklenet.study.config.spec import TEST_SET
from sklenet.study.config.steps import make_steps
from sklenet.study.engine.data import load_data
from sklenet.study.report.figures import STYLE
from sklenet.study.report.results import Results
from sklenet.study.report.series import draw_series, summarize_series

DOCUMENT = DOCS / "robustness.md"
FIGURE = DOCS / "robustness.png"
EXAMPLES = DOCS / "disturbances.png"

_STUDY = "robustness"

# Two settings that differ in the distortions of the training images.
_WITHOUT = "modern, without distortions"
_WITH = "modern, with lecun1998's distortions"

# The units of the strengths, by the name of the series.
_UNITS = {
    "rotation": "degrees",
    "shift": "pixels",
    "scale": "fractions of the size",
    "squeeze": "fractions of the width",
    "stroke width": "pixels at each edge",
    "noise": "fractions of the pixel range",
    "occlusion": "pixels of each side",
}


def render() -> str:
    """Return the document."""
    results = read_results(_STUDY)
    (data,) = results.study.data
    return render_template(
        "robustness.md",
        study=results.study,
        n_seeds=len(results.study.seeds),
        n_epochs=int(results.fits.loc[results.fits["setting"] == _WITH, "epochs"].max()),
        means=_format_means(results),
        series=[
            {
                "name": series.name,
                "unit": _UNITS[series.name],
                "rows": _format_series(results, data, series),
            }
            for series in results.study.series
        ],
        origin=describe_runs(results),
    )


def compute_means(results: Results) -> pd.DataFrame:
    """Compute the mean accuracy of each fit over the strengths of each series.

    Parameters
    ----------
    results : Results

    Returns
    -------
    DataFrame
        Accuracies in percent. One row per setting and seed, one column per series, after
        ``unchanged``.
    """
    fits = results.fits.set_index(["setting", "seed"])
    table = {"unchanged": 100 * fits[f"{TEST_SET}_accuracy"]}
    for series in results.study.series:
        scores = fits[[f"{test}_accuracy" for test in series.tests]]
        table[series.name] = 100 * scores.mean(axis="columns")
    return pd.DataFrame(table)


def _format_means(results: Results) -> list[dict[str, str]]:
    """Return the mean accuracies of each series, and what distortions change."""
    means = compute_means(results)
    settings = list(dict.fromkeys(means.index.get_level_values("setting")))
    rows = []
    for name in means:
        row = {"disturbance": name}
        for setting in settings:
            row[setting] = format_sample(means.loc[setting, name])
        gains = means.loc[_WITH, name] - means.loc[_WITHOUT, name]
        row["gain by distortions"], row["95% CI of the gain"] = format_differences(gains)
        rows.append(row)
    return rows


def _format_series(results: Results, data: str, series) -> list[dict[str, str]]:
    """Return the accuracy of each setting by the strength, in percent."""
    table = summarize_series(results, data)
    table = table[table["series"] == series.name]
    return [
        {"setting": setting}
        | {
            f"{value:g}": f"{100 * mean:.2f}"
            for value, mean in zip(group["value"], group["mean"], strict=True)
        }
        for setting, group in table.groupby("setting", sort=False)
    ]


def draw_figures() -> None:
    """Draw the accuracies by strength, and a test image in all tests."""
    import matplotlib.pyplot as plt

    results = read_results(_STUDY)
    (data,) = results.study.data
    table = summarize_series(results, data)
    table[["mean", "low", "high"]] *= 100
    with plt.rc_context(STYLE):
        figure = draw_series(table, "accuracy (%)", _UNITS)
        figure.savefig(FIGURE, dpi=140)
    plt.close(figure)
    _draw_examples(results, data)


def _draw_examples(results: Results, data: str) -> None:
    import matplotlib.pyplot as plt

    dataset = results.study.get_dataset(data)
    X, _ = load_data(dataset, "test")
    steps = {test.name: test.steps for test in results.study.additional_tests}
    series = results.study.series
    n_columns = 1 + max(len(one.tests) for one in series)
    figure, axes = plt.subplots(
        len(series), n_columns, figsize=(6.5, len(series)), layout="constrained"
    )
    for row, one in zip(axes, series, strict=True):
        images = {"unchanged": X[0]}
        for test, value in one.tests.items():
            ((_, disturber),) = make_steps(steps[test])
            (images[f"{value:g}"],) = disturber.fit(X).transform(X[:1])
        for ax, (label, image) in zip(row, images.items(), strict=True):
            pixels = image.reshape(dataset.image_shape)[0]
            ax.imshow(pixels, cmap="gray", vmin=X.min(), vmax=X.max())
            ax.set_title(label, fontsize="small")
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(one.name, rotation="horizontal", ha="right", va="center")
    figure.savefig(EXAMPLES, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    draw_figures()
    for path in (FIGURE, EXAMPLES):
        print("wrote", path.relative_to(ROOT))
