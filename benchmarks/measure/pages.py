"""Measure how accurately photos and scans are read, on synthetic pages.

    SKLENET_DATA=FOLDER python benchmarks/measure/pages.py

trains a network on training images of MNIST, writes synthetic pages with test images as PNG
files, reads them with `sklenet.framing`, and records every prediction in
``benchmarks/results/pages/records.jsonl``, from which ``docs/pages.md`` is generated.

    python benchmarks/measure/pages.py --tune

reads pages with training images that the network was not trained on, generated with another
seed, and only prints the results. All choices were made on these pages. ``--figure`` draws
``docs/pages.png``.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

from sklenet import LeNet5Classifier
from sklenet.datasets import fetch_mnist
from sklenet.framing import read_image, read_line
from sklenet.study.engine.journal import Journal
from sklenet.study.engine.provenance import collect_provenance

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "results" / "pages" / "records.jsonl"
FIGURE = ROOT / "docs" / "pages.png"

SIDE = 300  # side length of a page, in pixels
N_PAGES = 150  # per kind
N_NUMBERS = 100
N_TRAIN = 50_000  # training images of the network; the others are used for tuning
MODEL = {"max_epochs": 12, "lr_schedule": "one_cycle", "lr": 0.003, "random_state": 0}
MODEL |= {"augment": "lecun1998", "optimizer": "adamw", "weight_decay": 0.01}
TEST_SEED, TUNING_SEED = 3, 1

PAPER = 255  # grey level


def put_digit(page: np.ndarray, digit: np.ndarray, side: int, top, left, ink) -> None:
    """Draw a digit of MNIST on a page, enlarged to a square of `side` pixels."""
    image = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    drawn = np.asarray(image, dtype=float) / 255 * ink
    area = page[top : top + side, left : left + side]
    area[:] = np.minimum(area, PAPER - drawn)


def draw_line(page: np.ndarray, start, end, grey: int, width: int) -> None:
    """Draw a straight line with antialiased edges between two points (x, y)."""
    y, x = np.mgrid[: page.shape[0], : page.shape[1]]
    start, direction = np.array(start, float), np.subtract(end, start)
    length = np.hypot(*direction)
    direction = direction / length
    distance = np.abs((x - start[0]) * direction[1] - (y - start[1]) * direction[0])
    position = (x - start[0]) * direction[0] + (y - start[1]) * direction[1]
    inside = np.minimum(position, length - position)
    drawn = (width / 2 + 0.5 - distance).clip(0, 1) * (inside + 0.5).clip(0, 1)
    page[:] = np.minimum(page, PAPER - drawn * (PAPER - grey))


def draw_box(page: np.ndarray, left, top, right, bottom, grey: int, width: int) -> None:
    """Draw the outline of a rectangle."""
    half = width / 2
    for x in (left, right):
        draw_line(page, (x, top - half), (x, bottom + half), grey, width)
    for y in (top, bottom):
        draw_line(page, (left - half, y), (right + half, y), grey, width)


def add_nothing(page, box, rng):
    """Leave the page as it is."""


def add_underline(page, box, rng):
    """Draw a line below the digit, with a slope of up to 1/40; it may touch the digit."""
    left, _, right, bottom = box
    y = bottom + rng.integers(-2, 25)
    ends = (left - rng.integers(15, 40), right + rng.integers(15, 40))
    if rng.random() < 0.3:
        ends = (0, SIDE - 1)
    tilt = rng.uniform(-1 / 80, 1 / 80) * (ends[1] - ends[0])
    grey, width = int(rng.integers(0, 140)), int(rng.integers(2, 7))
    draw_line(page, (ends[0], y - tilt), (ends[1], y + tilt), grey, width)


def add_ruling(page, box, rng):
    """Draw a grey line every 45 pixels, also through the digit."""
    start, tilt = rng.integers(5, 45), rng.uniform(-4, 4)
    width = int(rng.integers(1, 4))
    for y in range(start, SIDE, 45):
        draw_line(page, (-5, y - tilt), (SIDE + 5, y + tilt), 120, width)


def add_box(page, box, rng):
    """Draw a box around the digit."""
    left, top, right, bottom = box
    margins = rng.integers(6, 30, 4)
    draw_box(
        page,
        left - margins[0],
        top - margins[1],
        right + margins[2],
        bottom + margins[3],
        int(rng.integers(0, 120)),
        int(rng.integers(2, 7)),
    )


def add_form(page, box, rng):
    """Draw the boxes of a form, one of them around the digit; it may touch its box."""
    left, top, right, bottom = box
    side = max(right - left, bottom - top) + int(rng.integers(0, 30))
    x, y = (left + right - side) / 2, (top + bottom - side) / 2
    grey, width = int(rng.integers(60, 190)), int(rng.integers(1, 4))
    for k in range(-4, 5):
        draw_box(page, x + k * side, y, x + (k + 1) * side, y + side, grey, width)


KINDS = {
    "plain": add_nothing,
    "underlined": add_underline,
    "ruled": add_ruling,
    "boxed": add_box,
    "form": add_form,
}


def draw_page(digit: np.ndarray, kind: str, rng) -> np.ndarray:
    """Return a page of 300x300 pixels with one digit, an image of 28x28 pixels."""
    side = int(rng.integers(110, 210))
    page = np.full((SIDE, SIDE), float(PAPER))
    top, left = rng.integers(10, SIDE - side - 10, 2)
    rows, columns = (np.flatnonzero((digit > 64).any(axis=axis)) for axis in (1, 0))
    scale = side / 28
    box = (
        left + columns[0] * scale,
        top + rows[0] * scale,
        left + (columns[-1] + 1) * scale,
        top + (rows[-1] + 1) * scale,
    )
    KINDS[kind](page, box, rng)
    put_digit(page, digit, side, top, left, rng.uniform(120, 255))
    return _photograph(page, rng)


def draw_number(digits: np.ndarray, rng) -> np.ndarray:
    """Return a page with a row of digits of similar size that do not touch."""
    ink, size = rng.uniform(120, 255), rng.integers(80, 120)
    squares, width = [], 20
    for digit in digits:
        columns = np.flatnonzero((digit > 0).any(axis=0))
        cut = digit[:, columns[0] : columns[-1] + 1]
        side = int(size * rng.uniform(0.9, 1.1))
        squares.append((cut, side, width))
        width += round(side * cut.shape[1] / 28) + int(rng.integers(10, 35))
    page = np.full((220, width + 10), float(PAPER))
    for cut, side, left in squares:
        top = (220 - side) // 2 + int(rng.integers(-8, 9))
        size_ = (round(side * cut.shape[1] / 28), side)
        image = Image.fromarray(cut).resize(size_, Image.Resampling.BICUBIC)
        area = page[top : top + side, left : left + size_[0]]
        area[:] = np.minimum(area, PAPER - np.asarray(image, dtype=float) / 255 * ink)
    return _photograph(page, rng)


def _photograph(page: np.ndarray, rng) -> np.ndarray:
    """Add blur and noise to a page, and invert it with a probability of one fifth."""
    image = Image.fromarray(page.clip(0, 255).astype(np.uint8))
    blurred = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1)))
    noisy = np.asarray(blurred, dtype=float) + rng.normal(0, rng.uniform(0, 4), page.shape)
    pixels = noisy.clip(0, 255).astype(np.uint8)
    return 255 - pixels if rng.random() < 0.2 else pixels


def read_pages(model, X, y, seed: int, folder: Path):
    """Yield a record for each page of each kind, and two for each number."""
    for index, kind in enumerate(KINDS):
        rng = np.random.default_rng([seed, index])
        chosen = rng.choice(len(y), N_PAGES, replace=False)
        for k in chosen.tolist():
            page = draw_page(X[k].reshape(28, 28), kind, rng)
            yield _read_page(model, page, folder, "digit", kind, [k], X, y)
    rng = np.random.default_rng([seed, len(KINDS)])
    for _ in range(N_NUMBERS):
        chosen = rng.choice(len(y), rng.integers(2, 6), replace=False)
        page = draw_number(X[chosen].reshape(-1, 28, 28), rng)
        for framing in ("line", "digit"):
            yield _read_page(model, page, folder, framing, "number", chosen.tolist(), X, y)


def _read_page(model, page, folder, framing, kind, chosen, X, y) -> dict:
    """Read a page with the digits `chosen` of X, and return its record."""
    path = folder / "page.png"
    Image.fromarray(page).save(path)
    record = {
        "kind": "page",
        "page": kind,
        "framing": framing,
        "digits": chosen,
        "label": "".join(str(y[k]) for k in chosen),
        # Predictions for the original images of MNIST.
        "of_itself": "".join(str(label) for label in model.predict(X[chosen])),
        "predicted": None,
        "probabilities": [],
        "error": None,
    }
    try:
        if framing == "line":
            rows = read_line(path, model.image_shape_)
        else:
            rows = read_image(path, model.image_shape_, framing=framing)[None]
    except ValueError as error:
        return record | {"error": str(error).removeprefix(f"{path}: ")}
    probabilities = model.predict_proba(rows)
    best = probabilities.argmax(axis=1)
    return record | {
        "predicted": "".join(str(label) for label in model.classes_[best]),
        "probabilities": probabilities.max(axis=1).round(4).tolist(),
    }


def count_outcomes(records: list[dict]) -> pd.DataFrame:
    """Return how many pages of each kind were read correctly, wrongly or not at all."""
    pages = pd.DataFrame([record for record in records if record["kind"] == "page"])
    outcome = (pages["predicted"] == pages["label"]).map({True: "correct", False: "wrong"})
    outcome = outcome.mask(pages["predicted"].isna(), "rejected").rename("outcome")
    return pd.crosstab([pages["page"], pages["framing"]], outcome)


def train():
    """Return the fitted network, and the training images that it was not fitted on."""
    X, y = fetch_mnist(return_X_y=True)
    model = LeNet5Classifier(framing="digit", **MODEL).fit(X[:N_TRAIN], y[:N_TRAIN])
    return model, X[N_TRAIN:], y[N_TRAIN:]


def draw_figure(X, seed: int) -> Image.Image:
    """Return an image with one page of each kind and five numbers."""
    rng = np.random.default_rng(seed)
    pages = [draw_page(X[k].reshape(28, 28), kind, rng) for k, kind in enumerate(KINDS)]
    images = X.reshape(-1, 28, 28)
    numbers = [draw_number(images[k : k + 4], rng) for k in (10, 20, 30, 40, 50)]
    width = len(pages) * (SIDE + 10) - 10
    figure = Image.new("L", (width, SIDE + 240), 128)
    for k, page in enumerate(pages):
        figure.paste(Image.fromarray(page), (k * (SIDE + 10), 0))
    left = 0
    for page in numbers:
        figure.paste(Image.fromarray(page), (left, SIDE + 10))
        left += page.shape[1] + 10
    return figure


def main():
    """Read all pages, print the outcomes and, without ``--tune``, write the records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tune", action="store_true", help="read the pages for tuning, without recording"
    )
    parser.add_argument("--figure", action="store_true", help="draw docs/pages.png")
    arguments = parser.parse_args()
    if arguments.figure:
        X, _ = fetch_mnist(return_X_y=True)
        draw_figure(X[N_TRAIN:], TUNING_SEED).save(FIGURE, optimize=True)
        return
    model, X, y = train()
    X_test, y_test = fetch_mnist(subset="test", return_X_y=True)
    accuracy = float(model.score(X_test, y_test))
    print(f"test accuracy {accuracy:.4f}", flush=True)
    seed = TUNING_SEED
    if not arguments.tune:
        X, y, seed = X_test, y_test, TEST_SEED
    run = {"kind": "run", "test_accuracy": accuracy, "seed": seed} | collect_provenance()
    with tempfile.TemporaryDirectory() as folder:
        records = [run, *read_pages(model, X, y, seed, Path(folder))]
    print(count_outcomes(records))
    if not arguments.tune:
        RECORDS.unlink(missing_ok=True)
        journal = Journal(RECORDS)
        for record in records:
            journal.append(record)


if __name__ == "__main__":
    main()
