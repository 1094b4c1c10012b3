"""Render ``docs/pages.md``: the accuracy on photos and scans."""

from collections import Counter

from origin import describe_run
from rendering import DOCS, read_records, render_template

from sklenet.datasets.decoder import FORMATS, MAX_DECODED_BYTES, MAX_JPEG_PIXELS

DOCUMENT = DOCS / "pages.md"

_OUTCOMES = ("correct", "wrong", "rejected")


def render() -> str:
    """Return the document."""
    run, *pages = read_records("pages")
    single = [page for page in pages if page["page"] != "number"]
    outcomes = Counter(map(_get_outcome, single))
    wrong = [page for page in single if _get_outcome(page) == "wrong"]
    return render_template(
        "pages.md",
        test_accuracy=run["test_accuracy"],
        outcomes=_make_table(pages),
        n_single=len(single),
        fractions={name: outcomes[name] / len(single) for name in _OUTCOMES},
        n_wrong=len(wrong),
        n_wrong_in_mnist=sum(page["of_itself"] != page["label"] for page in wrong),
        formats=", ".join(FORMATS),
        max_jpeg_megapixels=MAX_JPEG_PIXELS / 1e6,
        max_decoded_mb=MAX_DECODED_BYTES / 1e6,
        max_png_megapixels=MAX_DECODED_BYTES / 4e6,
        origin=describe_run(run),
    )


def _get_outcome(page: dict) -> str:
    if page["predicted"] is None:
        return "rejected"
    return "correct" if page["predicted"] == page["label"] else "wrong"


def _make_table(pages: list[dict]) -> list[dict[str, str]]:
    """Return the numbers of outcomes for each kind of page and framing."""
    counts: dict[tuple[str, str], Counter] = {}
    for page in pages:
        key = (page["page"], page["framing"])
        counts.setdefault(key, Counter())[_get_outcome(page)] += 1
    return [
        {"page": page, "framing": framing, "n": str(count.total())}
        | {name: f"{count[name]} ({count[name] / count.total():.1%})" for name in _OUTCOMES}
        for (page, framing), count in counts.items()
    ]
