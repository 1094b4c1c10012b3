"""Read pages that are synthesised from MNIST digits, as `sklenet predict` would.

    SKLENET_DATA=ROOT python benchmarks/measure/pages.py

trains a network on MNIST's training digits, writes pages of test digits as PNG files, reads
them with `sklenet.framing`, and records every prediction in
``benchmarks/results/pages/records.jsonl``; ``make tables`` makes ``docs/pages.md`` of them.

    python benchmarks/measure/pages.py --tune

reads pages of training digits that the network was not trained on, with another seed, and
only prints: everything that was chosen was chosen on these. ``--figure`` draws
``docs/pages.png``.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from origin import describe_run
from PIL import Image, ImageFilter
from tabulate import tabulate

from sklenet import LeNet5Classifier
from sklenet.datasets import fetch_mnist
from sklenet.datasets.decoder import FORMATS, MAX_DECODED_BYTES, MAX_JPEG_PIXELS
from sklenet.framing import read_image, read_line
from sklenet.study.engine.journal import Journal
from sklenet.study.engine.provenance import provenance

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "results" / "pages" / "records.jsonl"
DOCUMENT = ROOT / "docs" / "pages.md"
FIGURE = ROOT / "docs" / "pages.png"

SIDE = 300
N_PAGES, N_NUMBERS = 150, 100
N_TRAINED = 50_000  # of the training digits; the others are for tuning
MODEL = {"max_epochs": 12, "lr_schedule": "one_cycle", "lr": 0.003, "random_state": 0}
MODEL |= {"augment": "lecun1998", "optimizer": "adamw", "weight_decay": 0.01}
TEST_SEED, TUNING_SEED = 3, 1

PAPER = 255


def put_digit(page: np.ndarray, digit: np.ndarray, side: int, top, left, ink) -> None:
    """Draw a digit of MNIST, enlarged to a square of `side`, on a page."""
    image = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    drawn = np.asarray(image, dtype=float) / 255 * ink
    area = page[top : top + side, left : left + side]
    area[:] = np.minimum(area, PAPER - drawn)


def draw_line(page: np.ndarray, start, end, grey: int, width: int) -> None:
    """Draw a straight line with smooth edges; places are (x, y)."""
    y, x = np.mgrid[: page.shape[0], : page.shape[1]]
    start, along = np.array(start, float), np.subtract(end, start)
    length = np.hypot(*along)
    along = along / length
    distance = np.abs((x - start[0]) * along[1] - (y - start[1]) * along[0])
    place = (x - start[0]) * along[0] + (y - start[1]) * along[1]
    inside = np.minimum(place, length - place)
    drawn = (width / 2 + 0.5 - distance).clip(0, 1) * (inside + 0.5).clip(0, 1)
    page[:] = np.minimum(page, PAPER - drawn * (PAPER - grey))


def draw_box(page: np.ndarray, left, top, right, bottom, grey: int, width: int) -> None:
    """Draw the outline of a rectangle."""
    half = width / 2
    for x in (left, right):
        draw_line(page, (x, top - half), (x, bottom + half), grey, width)
    for y in (top, bottom):
        draw_line(page, (left - half, y), (right + half, y), grey, width)


def plain(page, box, rng):
    """Leave the page as it is."""


def underlined(page, box, rng):
    """A line below the digit, up to one part in 40 askew; it may touch the digit."""
    left, _, right, bottom = box
    y = bottom + rng.integers(-2, 25)
    ends = (left - rng.integers(15, 40), right + rng.integers(15, 40))
    if rng.random() < 0.3:
        ends = (0, SIDE - 1)
    tilt = rng.uniform(-1 / 80, 1 / 80) * (ends[1] - ends[0])
    grey, width = int(rng.integers(0, 140)), int(rng.integers(2, 7))
    draw_line(page, (ends[0], y - tilt), (ends[1], y + tilt), grey, width)


def ruled(page, box, rng):
    """A grey line every 45 pixels, through the digit."""
    start, tilt = rng.integers(5, 45), rng.uniform(-4, 4)
    width = int(rng.integers(1, 4))
    for y in range(start, SIDE, 45):
        draw_line(page, (-5, y - tilt), (SIDE + 5, y + tilt), 120, width)


def boxed(page, box, rng):
    """A box drawn around the digit."""
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


def form(page, box, rng):
    """A row of boxes as on a form, the digit in one of them; it may touch the box."""
    left, top, right, bottom = box
    side = max(right - left, bottom - top) + int(rng.integers(0, 30))
    x, y = (left + right - side) / 2, (top + bottom - side) / 2
    grey, width = int(rng.integers(60, 190)), int(rng.integers(1, 4))
    for k in range(-4, 5):
        draw_box(page, x + k * side, y, x + (k + 1) * side, y + side, grey, width)


KINDS = {
    "plain": plain,
    "underlined": underlined,
    "ruled": ruled,
    "boxed": boxed,
    "form": form,
}


def draw_page(digit: np.ndarray, kind: str, rng) -> np.ndarray:
    """Return a page of 300x300 pixels with one digit of 28x28."""
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
    """Return a page with digits in a row, of about one size, that do not touch."""
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
    """Return a page as bytes, a little blurred and noisy; a fifth of them as negatives."""
    image = Image.fromarray(page.clip(0, 255).astype(np.uint8))
    blurred = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1)))
    noisy = np.asarray(blurred, dtype=float) + rng.normal(0, rng.uniform(0, 4), page.shape)
    pixels = noisy.clip(0, 255).astype(np.uint8)
    return 255 - pixels if rng.random() < 0.2 else pixels


def read_pages(model, X, y, seed: int, folder: Path):
    """Yield a record for each page of each kind, and for each number."""
    for number, kind in enumerate(KINDS):
        rng = np.random.default_rng([seed, number])
        chosen = rng.choice(len(y), N_PAGES, replace=False)
        for k in chosen.tolist():
            page = draw_page(X[k].reshape(28, 28), kind, rng)
            yield _read(model, page, folder, "digit", kind, [k], X, y)
    rng = np.random.default_rng([seed, len(KINDS)])
    for _ in range(N_NUMBERS):
        chosen = rng.choice(len(y), rng.integers(2, 6), replace=False)
        page = draw_number(X[chosen].reshape(-1, 28, 28), rng)
        for framing in ("line", "digit"):
            yield _read(model, page, folder, framing, "number", chosen.tolist(), X, y)


def _read(model, page, folder, framing, kind, chosen, X, y) -> dict:
    """Return the record of a page; X and y are those of all digits."""
    path = folder / "page.png"
    Image.fromarray(page).save(path)
    record = {
        "kind": "page",
        "page": kind,
        "framing": framing,
        "digits": chosen,
        "label": "".join(str(y[k]) for k in chosen),
        # What the network makes of MNIST's own images of the digits.
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


def count(records: list[dict]) -> list[dict]:
    """Return a row of the table per kind of page."""
    rows = []
    pages = [record for record in records if record["kind"] == "page"]
    for kind, framing in dict.fromkeys((r["page"], r["framing"]) for r in pages):
        of_kind = [r for r in pages if (r["page"], r["framing"]) == (kind, framing)]
        right = sum(r["predicted"] == r["label"] for r in of_kind)
        refused = sum(r["predicted"] is None for r in of_kind)
        n = len(of_kind)
        rows.append(
            {
                "page": kind,
                "framing": framing,
                "n": n,
                "right": f"{right} ({right / n:.1%})",
                "wrong": f"{n - right - refused} ({(n - right - refused) / n:.1%})",
                "refused": f"{refused} ({refused / n:.1%})",
            }
        )
    return rows


def train():
    """Return the fitted network, and the training digits it has not seen."""
    X, y = fetch_mnist(return_X_y=True)
    model = LeNet5Classifier(framing="digit", **MODEL).fit(X[:N_TRAINED], y[:N_TRAINED])
    return model, X[N_TRAINED:], y[N_TRAINED:]


def draw_figure(X, seed: int) -> Image.Image:
    """Return a page of each kind, and five numbers."""
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


_HEAD = """# Reading photos and scans

<!-- Made from the records by `make tables`; not to be edited. -->

`sklenet predict MODEL IMAGE` reads an image file as the images that the model was trained
on. How it does so is part of the model, the parameter `framing` of
`LeNet5Classifier`, and is saved with it:

| framing | what is read | models |
| --- | --- | --- |
| `whole` | the whole image, fitted into the size of the model, its pixels as they are | \
of `sklenet fit` on folders, Fashion-MNIST and CIFAR-10 |
| `digit` | the one figure on a plain page, dark on bright or bright on dark, cut out and \
framed like MNIST's digits | of `sklenet fit` on MNIST and the embedded digits |

`--framing` overrides it. `--framing line` reads several figures that do not touch, from
left to right, and prints the whole number with the probability of each figure. Files on
which nothing, or something else, is found are refused with a message.

Lines of the page are removed before the figure is looked for: underlines, ruled and
squared paper, boxes and forms. A line is long, straight, thin and of even width. Strokes
that cross it stay, because it is removed only where nothing but the line is found.

## How often it is right

![A page of each kind, and five numbers](pages.png)

`python benchmarks/measure/pages.py` trains a network on {trained:,} of MNIST's training
digits, with a test accuracy of {accuracy:.2%}, and reads pages that are drawn from MNIST's
test digits: their size, place, pen, blur and noise vary, as do the lines' place, width,
grey and slope, and a fifth of the pages are bright on dark. Ruled paper has a line of grey
120 every 45 of 300 pixels. Everything that was chosen was chosen on pages of training
digits, drawn with another seed (`--tune`). *Wrong* is a wrong answer, *refused* a message
instead of an answer.

{table}

A number of two to five digits is right if all of its digits are. Read with `--framing
digit`, which expects one figure, numbers must be refused.

{remark}

## What is read

Files may be {formats}; the content of a file decides, not its name. HEIC files are read
where pillow-heif is installed. Images are turned upright by their EXIF orientation. An
image of 10, 12 or 16 bits is that of 8 bits with the same brightness, and numbers from 0
to 1 are read from floating-point files. A transparent image is put on white if its ink is
dark, on black if it is bright. Photos of up to {photo:.0f} megapixels are read as
baseline JPEGs, in less than 500 MB; other images may take {bytes:.0f} MB when decoded,
{pixels:.0f} megapixels of RGB in a PNG, and larger ones are refused before they are
decoded. `load_image_folder` reads files in the same way, so that a model's score on a
folder is that of `sklenet predict` on its files.

{where}
"""

_REMARK = """The digits on {single} pages with one digit were right in {right:.1%}, wrong in
{wrong:.1%} and refused in {refused:.1%}. {missed} of the {all_wrong} digits that were wrong
there are also wrong when the network is given MNIST's own image."""


def render() -> str:
    """Return the document."""
    run, *pages = Journal(RECORDS)
    single = [page for page in pages if page["page"] != "number"]
    wrong = [p for p in single if p["predicted"] not in (None, p["label"])]
    refused = [p for p in single if p["predicted"] is None]
    remark = _REMARK.format(
        single=len(single),
        right=1 - (len(wrong) + len(refused)) / len(single),
        wrong=len(wrong) / len(single),
        refused=len(refused) / len(single),
        missed=sum(page["of_itself"] != page["label"] for page in wrong),
        all_wrong=len(wrong),
    )
    return _HEAD.format(
        trained=N_TRAINED,
        accuracy=run["test_accuracy"],
        table=tabulate(
            count(pages), headers="keys", tablefmt="pipe", disable_numparse=True
        ),
        remark=remark,
        formats=", ".join(FORMATS),
        photo=MAX_JPEG_PIXELS / 1e6,
        bytes=MAX_DECODED_BYTES / 1e6,
        pixels=MAX_DECODED_BYTES / 4e6,
        where=describe_run(run),
    )


def main():
    """Read all pages; record them, or with --tune only count them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tune", action="store_true", help="read digits for tuning")
    parser.add_argument("--figure", action="store_true", help="draw docs/pages.png")
    arguments = parser.parse_args()
    if arguments.figure:
        X, _ = fetch_mnist(return_X_y=True)
        draw_figure(X[N_TRAINED:], TUNING_SEED).save(FIGURE, optimize=True)
        return
    model, X, y = train()
    X_test, y_test = fetch_mnist(subset="test", return_X_y=True)
    accuracy = float(model.score(X_test, y_test))
    print(f"test accuracy {accuracy:.4f}", flush=True)
    seed = TUNING_SEED
    if not arguments.tune:
        X, y, seed = X_test, y_test, TEST_SEED
    run = {"kind": "run", "test_accuracy": accuracy, "seed": seed} | provenance()
    with tempfile.TemporaryDirectory() as folder:
        records = [run, *read_pages(model, X, y, seed, Path(folder))]
    print(tabulate(count(records), headers="keys"))
    if not arguments.tune:
        RECORDS.unlink(missing_ok=True)
        journal = Journal(RECORDS)
        for record in records:
            journal.append(record)


if __name__ == "__main__":
    main()
