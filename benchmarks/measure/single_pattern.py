"""Measure a pass of single patterns through the 1998 network, against a plain torch loop.

    python benchmarks/measure/single_pattern.py

Both train the same network with the same loss on MNIST, one torch thread each, in turn.
The loop is the one anybody would write: forward, backward, and a step of plain gradient
descent, without second derivatives; it runs over a fifth of the images, and its time is
multiplied by five. The pass is a whole ``fit`` of ``LeNet5Classifier`` on 60,000 images,
with its checks and its estimate of second derivatives. It takes about two minutes, and
needs the data in ``$SKLENET_DATA``.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from sklenet import LeNet5Classifier
from sklenet.datasets import fetch_mnist
from sklenet.presets import lecun1998
from sklenet.study.engine.journal import Journal
from sklenet.study.engine.provenance import collect_provenance
from sklenet.training.runtime import keep_freed_memory

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "results" / "single_pattern" / "records.jsonl"
LOOP_FRACTION = 5  # the loop runs over one in so many images


def plain_loop(module, criterion, images, labels, lr) -> float:
    """Return the seconds that a step per pattern takes, written as usual."""
    optimizer = torch.optim.SGD(module.parameters(), lr=lr)
    start = time.perf_counter()
    for image, label in zip(images.split(1), labels.split(1), strict=True):
        optimizer.zero_grad()
        loss = criterion(module(image), label).mean()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - start


def measure(n_repeats: int) -> None:
    """Record the seconds of both, interleaved."""
    torch.set_num_threads(1)
    keep_freed_memory()
    X, y = fetch_mnist(return_X_y=True)
    model = LeNet5Classifier(**lecun1998() | {"max_epochs": 1}, random_state=0)
    model.fit(X[:100], y[:100])
    images = torch.from_numpy(X).view(-1, 1, 28, 28) / 255 * 1.275 - 0.1
    images = torch.nn.functional.pad(images, (2, 2, 2, 2), value=-0.1)
    seconds: dict[str, list[float]] = {"loop": [], "pass": []}
    for _ in range(n_repeats):
        module, criterion = model.net_.module_, model.net_.criterion_
        n = len(images) // LOOP_FRACTION
        taken = plain_loop(module, criterion, images[:n], torch.from_numpy(y[:n]), lr=1e-5)
        seconds["loop"].append(taken * LOOP_FRACTION)
        start = time.perf_counter()
        model = LeNet5Classifier(**lecun1998() | {"max_epochs": 1}, random_state=0)
        model.fit(X, y)
        seconds["pass"].append(time.perf_counter() - start)
        print({name: round(times[-1], 1) for name, times in seconds.items()}, flush=True)
    ratios = [a / b for a, b in zip(seconds["pass"], seconds["loop"], strict=True)]
    RECORDS.unlink(missing_ok=True)
    journal = Journal(RECORDS)
    journal.append({"kind": "run", "repeats": n_repeats} | collect_provenance())
    journal.append(
        {
            "kind": "pass",
            "patterns": len(X),
            "seconds": seconds,
            "median_ratio": statistics.median(ratios),
        }
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    measure(parser.parse_args().repeats)
