"""Fill ``docs/lenet5_1998.rst``, and draw its pictures.

    python benchmarks/documents/lenet5_1998.py            # docs/lenet5_1998*.png

What stands in the document between ``.. KIND: NAME`` and ``.. end`` is made from the
committed records by ``benchmarks/documents/tables.py``.
"""

import re
from pathlib import Path

import numpy as np
from tabulate import tabulate

from sklenet.network.lecun1998.codes import digit_bitmaps
from sklenet.study.engine.evaluate import REJECTED
from sklenet.study.report.published import published_table
from sklenet.study.report.results import Results
from sklenet.study.report.statistics import describe
from sklenet.study.report.tables import difference_table, result_table
from sklenet.study.report.text import spread

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENT = ROOT / "docs" / "lenet5_1998.rst"
PICTURE = ROOT / "docs" / "lenet5_1998.png"
REJECTION = ROOT / "docs" / "lenet5_1998_rejection.png"

_MARKED = re.compile(r"(\.\. (\w+): ?(\w*)\n).*?(\.\. end\n)", re.DOTALL)
_REJECTED = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05)


def render() -> str:
    """Return the document with its figures."""
    return _MARKED.sub(_refill, DOCUMENT.read_text(encoding="utf-8"))


def _refill(match: re.Match) -> str:
    kind, name = match[2], match[3]
    make = {
        "bitmaps": lambda _: _bitmaps(),
        "records": lambda name: "\n\n".join(map(_as_rst, study_tables(name))),
        "differences": lambda name: _as_rst(difference_table(Results(RESULTS / name))),
        "passes": _passes,
        "rejection": _rejection,
    }[kind]
    return f"{match[1]}\n{make(name).rstrip()}\n\n{match[4]}"


def _bitmaps() -> str:
    """Return the ten bitmaps as text, five beside each other."""
    digits = [
        ["".join("#" if pixel > 0 else "." for pixel in row) for row in digit]
        for digit in digit_bitmaps()
    ]
    halves = [
        "\n".join("  ".join(rows) for rows in zip(*half, strict=True))
        for half in (digits[:5], digits[5:])
    ]
    lines = "\n\n".join(halves).splitlines()
    return "::\n\n" + "\n".join(f"   {line}" if line else "" for line in lines)


def study_tables(name: str) -> list[str]:
    """Return a study's tables of tests and of published figures, in Markdown."""
    results = Results(RESULTS / name)
    return [table for table in (result_table(results), published_table(results)) if table]


def _as_rst(markdown: str) -> str:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in markdown.splitlines()
    ]
    return tabulate(rows[2:], headers=rows[0], tablefmt="rst", disable_numparse=True)


def _passes(name: str) -> str:
    """Return the test error after each pass, per setting."""
    results = Results(RESULTS / name)
    by_setting: dict[str, list] = {}
    for record in results.fit_records:
        errors = [100 * (1 - row["valid_accuracy"]) for row in record["history"]]
        by_setting.setdefault(record["setting"], []).append(errors)
    n_passes = max(len(errors) for runs in by_setting.values() for errors in runs)
    rows = [
        [
            k + 1,
            *(
                _mean_and_sd([errors[k] for errors in runs if k < len(errors)])
                for runs in by_setting.values()
            ),
        ]
        for k in range(n_passes)
    ]
    headers = ["pass", *(f"{setting}, test error (%)" for setting in by_setting)]
    return tabulate(rows, headers=headers, tablefmt="rst", disable_numparse=True)


def _mean_and_sd(values: list[float]) -> str:
    if not values:
        return ""
    described = describe(values)
    return spread(described["mean"], described["sd"], "{:.2f}".format)


def _rejection_curves(name: str) -> dict[str, list[np.ndarray]]:
    """Return per setting the curve of each fit, in percent, at the parts `REJECTED`."""
    curves: dict[str, list[np.ndarray]] = {}
    for record in Results(RESULTS / name).fit_records:
        curve = 100 * np.array(record["tests"]["test"]["rejection"])
        curves.setdefault(record["setting"], []).append(curve)
    return curves


def _rejection(name: str) -> str:
    """Return the error on what is kept, in percent, per setting."""
    rows = []
    for setting, curves in _rejection_curves(name).items():
        shown = [
            [np.interp(part, REJECTED, curve) for curve in curves] for part in _REJECTED
        ]
        rows.append([setting, *map(_mean_and_sd, shown)])
    headers = ["error (%) with rejected:", *(f"{part:.1%}" for part in _REJECTED)]
    return tabulate(rows, headers=headers, tablefmt="rst", disable_numparse=True)


def draw_rejection() -> None:
    """Draw the error on the rest, the mean over seeds, against the part rejected."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for name in ("lecun1998", "lecun1998_modern"):
        for setting, rows in _rejection_curves(name).items():
            label = f"{setting} (n = {len(rows)})"
            (line,) = ax.plot(100 * REJECTED, np.mean(rows, axis=0), label=label)
            low, high = np.min(rows, axis=0), np.max(rows, axis=0)
            colour = line.get_color()
            ax.fill_between(100 * REJECTED, low, high, alpha=0.2, color=colour)
    ax.set(xlabel="rejected (%)", ylabel="error on the rest (%)", xlim=(0, 6), ylim=(0, 1))
    ax.legend()
    figure.savefig(REJECTION, dpi=110)
    plt.close(figure)


def draw() -> None:
    """Draw what each layer makes of a real digit, and the codes it is compared with."""
    import matplotlib.pyplot as plt
    import torch
    from matplotlib.gridspec import GridSpec

    from sklenet import LeNet5Classifier
    from sklenet.datasets import load_digits
    from sklenet.presets import lecun1998

    X, y = load_digits(return_X_y=True)
    model = LeNet5Classifier(**lecun1998(), random_state=0).fit(X, y)
    x = model._canvas()(torch.from_numpy(X[4:5]))
    figure = plt.figure(figsize=(11, 4.6))
    grid = GridSpec(1, 8, figure, width_ratios=[3, 3, 1.5, 4.6, 3.4, 0.7, 1.1, 3.4])
    grid.update(left=0.01, right=0.99, top=0.86, bottom=0.03, wspace=0.18)

    def column(k, title, images, n_columns, ratio=1.0):
        n_rows = -(-len(images) // n_columns)
        inner = grid[k].subgridspec(n_rows, n_columns, wspace=0.1, hspace=0.1)
        for n, image in enumerate(images):
            ax = figure.add_subplot(inner[n // n_columns, n % n_columns])
            ax.imshow(image, cmap="gray", aspect=ratio)
            ax.set_xticks([])
            ax.set_yticks([])
        box = grid[k].get_position(figure)
        figure.text((box.x0 + box.x1) / 2, 0.9, title, ha="center", fontsize=9)

    column(0, "input\n32x32", x[0], 1)
    shown = {"C1_activation": (1, "C1\n6@28x28", 2), "S2": (2, "S2\n6@14x14", 1)}
    shown |= {"C3_activation": (3, "C3\n16@10x10", 4), "S4": (4, "S4\n16@5x5", 4)}
    with torch.inference_mode():
        for name, layer in model.module_.features.named_children():
            x = layer(x)
            if name in shown:
                k, title, n_columns = shown[name]
                column(k, title, x[0], n_columns)
        for name, layer in model.module_.head.named_children():
            if name == "output":
                column(7, "codes\nof the ten digits", digit_bitmaps(), 5)
            x = layer(x)
            if name == "C5_activation":
                column(5, "C5\n120", [x[0].view(-1, 4)], 1, "auto")
            if name == "F6_activation":
                column(6, "F6\n84", [x[0].view(12, 7)], 1)
    figure.savefig(PICTURE, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    draw()
    draw_rejection()
    for path in (PICTURE, REJECTION):
        print("wrote", path.relative_to(ROOT))
