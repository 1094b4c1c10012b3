"""Render ``docs/lenet5_1998.md``, and draw its figures.

python benchmarks/documents/lenet5_1998.py  # draws docs/lenet5_1998*.png
"""

import numpy as np
from rendering import (
    DOCS,
    ROOT,
    format_sample,
    join_words,
    read_results,
    render_template,
)

from sklenet.network.lecun1998.codes import make_digit_bitmaps
from sklenet.study.engine.evaluate import REJECTED_FRACTIONS
from sklenet.study.report.results import Results
from sklenet.study.report.text import format_p_value

DOCUMENT = DOCS / "lenet5_1998.md"
FIGURE = DOCS / "lenet5_1998.png"
REJECTION_FIGURE = DOCS / "lenet5_1998_rejection.png"

_SIGNIFICANT = 0.05

# The passes in the table of learning rates.
_SOME_PASSES = (1, 2, 3, 5, 10, 20)

# The fractions of rejected images in the table.
_FRACTIONS = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05)


def render() -> str:
    """Return the document."""
    return render_template(
        "lenet5_1998.md",
        bitmaps=_format_bitmaps(),
        passes=_make_pass_table("lecun1998", "test"),
        rates=_make_pass_table("lecun1998_rates", "validation", _SOME_PASSES),
        rejection=_make_rejection_table("lecun1998"),
        parts=describe_parts(read_results("lecun1998_parts")),
    )


def describe_parts(results: Results) -> str:
    """Describe which replaced components make a significant difference.

    Parameters
    ----------
    results : Results
        Results of a study in which each setting is compared with the first one.
    """
    table = results.compare("test_accuracy").sort_values("p_holm")
    is_significant = table["p_holm"] < _SIGNIFICANT
    found = [
        f"{row['setting']} ({100 * row['mean']:+.2f} percentage points)"
        for row in table[is_significant].to_dict("records")
    ]
    others = table[~is_significant]
    text = (
        f"With {table['n'].min()} seeds and {len(table)} comparisons, the adjusted p-value"
        f" is below {_SIGNIFICANT} for {join_words(found) if found else 'none of them'}."
    )
    if len(others):
        text += (
            f" The lowest one of the others is {format_p_value(others['p_holm'].min())}."
        )
    means = results.fits.groupby("setting")["test_accuracy"].mean()
    return (
        f"{text} The network with the highest mean is '{means.idxmax()}', the one with the"
        f" lowest is '{means.idxmin()}'."
    )


def _format_bitmaps() -> str:
    """Return the ten bitmaps as text, in two rows of five."""
    digits = [
        ["".join("#" if pixel > 0 else "." for pixel in row) for row in digit]
        for digit in make_digit_bitmaps()
    ]
    halves = [
        "\n".join("  ".join(rows) for rows in zip(*half, strict=True))
        for half in (digits[:5], digits[5:])
    ]
    return "\n\n".join(halves)


def _make_pass_table(name: str, images: str, passes=None) -> list[dict[str, str]]:
    """Return the error of each setting after some passes, or after each pass.

    Parameters
    ----------
    name : str
        Name of the study.
    images : str
        What the images are on which the study evaluates after each pass.
    passes : sequence of int, optional
        The passes of the table. If None, all of them.
    """
    errors_by_setting: dict[str, list] = {}
    for record in read_results(name).fit_records:
        errors = [100 * (1 - row["valid_accuracy"]) for row in record["history"]]
        errors_by_setting.setdefault(record["setting"], []).append(errors)
    if passes is None:
        n_passes = max(len(e) for errors in errors_by_setting.values() for e in errors)
        passes = range(1, n_passes + 1)
    return [
        {"pass": str(number)}
        | {
            f"{images} error (%), {setting}": format_sample(
                [e[number - 1] for e in errors if number <= len(e)]
            )
            for setting, errors in errors_by_setting.items()
        }
        for number in passes
    ]


def _read_rejection_curves(name: str) -> dict[str, list[np.ndarray]]:
    """Return the rejection curve of each fit in percent, by setting."""
    curves: dict[str, list[np.ndarray]] = {}
    for record in read_results(name).fit_records:
        curve = 100 * np.array(record["tests"]["test"]["rejection"])
        curves.setdefault(record["setting"], []).append(curve)
    return curves


def _make_rejection_table(name: str) -> list[dict[str, str]]:
    """Return the error of each setting on the images that are not rejected."""
    return [
        {"error (%) with rejected images:": setting}
        | {
            f"{fraction:.1%}": format_sample(
                [np.interp(fraction, REJECTED_FRACTIONS, curve) for curve in curves]
            )
            for fraction in _FRACTIONS
        }
        for setting, curves in _read_rejection_curves(name).items()
    ]


def draw_rejection() -> None:
    """Draw the error on accepted images against the fraction that is rejected."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for name in ("lecun1998", "lecun1998_modern"):
        for setting, curves in _read_rejection_curves(name).items():
            label = f"{setting} (n = {len(curves)})"
            (line,) = ax.plot(
                100 * REJECTED_FRACTIONS, np.mean(curves, axis=0), label=label
            )
            low, high = np.min(curves, axis=0), np.max(curves, axis=0)
            colour = line.get_color()
            ax.fill_between(100 * REJECTED_FRACTIONS, low, high, alpha=0.2, color=colour)
    ax.set(
        xlabel="rejected images (%)",
        ylabel="error on accepted images (%)",
        xlim=(0, 6),
        ylim=(0, 1),
    )
    ax.legend()
    figure.savefig(REJECTION_FIGURE, dpi=110)
    plt.close(figure)


def draw_layers() -> None:
    """Draw the outputs of each layer for a digit, and the codes of the output layer."""
    import matplotlib.pyplot as plt
    import torch
    from matplotlib.gridspec import GridSpec

    from sklenet import LeNet5Classifier
    from sklenet.datasets import load_digits
    from sklenet.images.canvas import Canvas
    from sklenet.presets import lecun1998

    X, y = load_digits(return_X_y=True)
    model = LeNet5Classifier(**lecun1998(), random_state=0).fit(X, y)
    canvas = Canvas(model.image_shape_, *model.pixel_range_, model.feature_range)
    x = canvas(torch.from_numpy(X[4:5]))
    figure = plt.figure(figsize=(11, 4.6))
    grid = GridSpec(1, 8, figure, width_ratios=[3, 3, 1.5, 4.6, 3.4, 0.7, 1.1, 3.4])
    grid.update(left=0.01, right=0.99, top=0.86, bottom=0.03, wspace=0.18)

    def draw_column(k, title, images, n_columns, ratio=1.0):
        n_rows = -(-len(images) // n_columns)
        inner = grid[k].subgridspec(n_rows, n_columns, wspace=0.1, hspace=0.1)
        for n, image in enumerate(images):
            ax = figure.add_subplot(inner[n // n_columns, n % n_columns])
            ax.imshow(image, cmap="gray", aspect=ratio)
            ax.set_xticks([])
            ax.set_yticks([])
        box = grid[k].get_position(figure)
        figure.text((box.x0 + box.x1) / 2, 0.9, title, ha="center", fontsize=9)

    draw_column(0, "input\n32x32", x[0], 1)
    shown = {"C1_activation": (1, "C1\n6@28x28", 2), "S2": (2, "S2\n6@14x14", 1)}
    shown |= {"C3_activation": (3, "C3\n16@10x10", 4), "S4": (4, "S4\n16@5x5", 4)}
    with torch.inference_mode():
        for name, layer in model.module_.features.named_children():
            x = layer(x)
            if name in shown:
                k, title, n_columns = shown[name]
                draw_column(k, title, x[0], n_columns)
        for name, layer in model.module_.head.named_children():
            if name == "output":
                draw_column(7, "codes\nof the ten digits", make_digit_bitmaps(), 5)
            x = layer(x)
            if name == "C5_activation":
                draw_column(5, "C5\n120", [x[0].view(-1, 4)], 1, "auto")
            if name == "F6_activation":
                draw_column(6, "F6\n84", [x[0].view(12, 7)], 1)
    figure.savefig(FIGURE, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    draw_layers()
    draw_rejection()
    for path in (FIGURE, REJECTION_FIGURE):
        print("wrote", path.relative_to(ROOT))
