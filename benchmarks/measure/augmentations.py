"""Draw each augmentation on real digits, and measure what it costs.

    python benchmarks/measure/augmentations.py            # docs/augmentations.png
    python benchmarks/measure/augmentations.py --cost  # and the record of the epochs' times

The cost is the time of an epoch with each augmentation over that of one without, on the
whole MNIST training set, epochs interleaved: per repeat one epoch of each, in turn. It
needs the data in ``$SKLENET_DATA``.
"""

import argparse
import statistics
from pathlib import Path

import torch

from sklenet import LeNet5Classifier
from sklenet.datasets import fetch_mnist, load_digits
from sklenet.images.canvas import Canvas
from sklenet.study.engine.journal import Journal
from sklenet.study.engine.provenance import collect_provenance
from sklenet.training.augment import AUGMENTATIONS, make_augmenter

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "augmentations.png"
RECORDS = ROOT / "benchmarks" / "results" / "augmentations" / "records.jsonl"


def draw(n_samples: int = 8) -> None:
    """Write the picture: a row per augmentation, one digit changed several times."""
    import matplotlib.pyplot as plt

    canvas = Canvas((1, 8, 8), 0, 16)
    digit = canvas(torch.from_numpy(load_digits().data[4:5])).repeat(n_samples, 1, 1, 1)
    rows = {"none": digit}
    for name, amount in AUGMENTATIONS.items():
        rows[f"{name} ({amount.default:g})"] = make_augmenter(name, canvas, seed=0)(digit)
    figure, axes = plt.subplots(
        len(rows), n_samples, figsize=(n_samples * 0.8 + 1.6, len(rows) * 0.8)
    )
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        row[0].text(-4, 16, name, ha="right", va="center", fontsize=9)
        for ax, image in zip(row, images, strict=True):
            ax.imshow(image[0], cmap="gray", vmin=0, vmax=1)
            ax.set_axis_off()
    figure.subplots_adjust(
        left=0.2, right=0.99, top=0.99, bottom=0.01, wspace=0.05, hspace=0.05
    )
    figure.savefig(PICTURE, dpi=100)
    plt.close(figure)
    print("wrote", PICTURE.relative_to(ROOT))


def measure(n_repeats: int) -> None:
    """Record the time of an epoch with each augmentation, against none."""
    X, y = fetch_mnist(return_X_y=True)
    names = [None, *AUGMENTATIONS]
    fits = {
        name: LeNet5Classifier(augment=name, max_epochs=1, warm_start=True, random_state=0)
        for name in names
    }
    for _ in range(n_repeats):
        for name, fit in fits.items():
            fit.fit(X, y)
            print(name, f"{fit.history_[-1]['seconds']:.2f} s", flush=True)
    journal = Journal(RECORDS)
    RECORDS.unlink(missing_ok=True)
    journal.append({"kind": "run", "repeats": n_repeats} | collect_provenance())
    seconds = {name: [row["seconds"] for row in fit.history_] for name, fit in fits.items()}
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(times, seconds[None], strict=True)]
        journal.append(
            {
                "kind": "epochs",
                "augment": name,
                "seconds": times,
                "median_ratio": statistics.median(ratios),
            }
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--cost", action="store_true", help="measure the cost, too")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    draw()
    if arguments.cost:
        measure(arguments.repeats)
