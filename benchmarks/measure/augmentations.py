"""Draw the augmentations of a digit, and measure the time that they take.

    python benchmarks/measure/augmentations.py
    SKLENET_DATA=FOLDER python benchmarks/measure/augmentations.py --cost

The first command draws ``docs/augmentations.png``. The second one also measures the time of
an epoch on the whole MNIST training set with each augmentation, relative to an epoch
without. Each repeat trains one epoch with every augmentation in turn.
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
FIGURE = ROOT / "docs" / "augmentations.png"
RECORDS = ROOT / "benchmarks" / "results" / "augmentations" / "records.jsonl"


def draw_figure(n_samples: int = 8) -> None:
    """Draw one row per augmentation, with random transformations of the same digit."""
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
    figure.savefig(FIGURE, dpi=100)
    plt.close(figure)
    print("wrote", FIGURE.relative_to(ROOT))


def measure(n_repeats: int) -> None:
    """Record the time of an epoch with each augmentation and without augmentation."""
    X, y = fetch_mnist(return_X_y=True)
    names = [None, *AUGMENTATIONS]
    classifiers = {
        name: LeNet5Classifier(augment=name, max_epochs=1, warm_start=True, random_state=0)
        for name in names
    }
    for _ in range(n_repeats):
        for name, classifier in classifiers.items():
            classifier.fit(X, y)
            print(name, f"{classifier.history_[-1]['seconds']:.2f} s", flush=True)
    journal = Journal(RECORDS)
    RECORDS.unlink(missing_ok=True)
    journal.append({"kind": "run", "repeats": n_repeats} | collect_provenance())
    seconds = {
        name: [row["seconds"] for row in classifier.history_]
        for name, classifier in classifiers.items()
    }
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
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("--cost", action="store_true", help="also measure the time")
    parser.add_argument("--repeats", type=int, default=5, help="default: 5")
    arguments = parser.parse_args()
    draw_figure()
    if arguments.cost:
        measure(arguments.repeats)
