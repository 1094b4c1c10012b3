"""Render ``docs/conformance.md``: the outcomes of scikit-learn's checks and wrappers."""

import re
from collections import Counter

from origin import describe_run
from rendering import DOCS, read_records, render_template

DOCUMENT = DOCS / "conformance.md"

_MAX_LENGTH = 100


def render() -> str:
    """Return the document."""
    run, *outcomes = read_records("conformance")
    return render_template(
        "conformance.md",
        wrappers=_make_table([o for o in outcomes if o["kind"] == "wrapper"], "wrapper"),
        checks=_make_table([o for o in outcomes if o["kind"] == "check"], "check"),
        origin=describe_run(run),
    )


def _make_table(outcomes: list[dict], label: str) -> list[dict[str, str]]:
    """Return the totals per classifier, and a row for each wrapper or check."""
    by_cell: dict[tuple[str, str], list[dict]] = {}
    for outcome in outcomes:
        by_cell.setdefault((outcome["name"], outcome["classifier"]), []).append(outcome)
    names = dict.fromkeys(name for name, _ in by_cell)
    classifiers = dict.fromkeys(classifier for _, classifier in by_cell)
    totals = {
        classifier: "**"
        + _count([o for o in outcomes if o["classifier"] == classifier])
        + "**"
        for classifier in classifiers
    }
    rows = [
        {label: f"`{name}`"}
        | {
            classifier: _count(by_cell.get((name, classifier), []))
            + _describe_error(by_cell.get((name, classifier), []))
            for classifier in classifiers
        }
        for name in names
    ]
    return [{label: "**all**"} | totals, *rows]


def _count(outcomes: list[dict]) -> str:
    """Return the number of outcomes of each kind, such as "3 passed, 1 failed"."""
    if not outcomes:
        return "not run: excluded by its tags"
    counts = Counter(outcome["status"] for outcome in outcomes)
    names = {"xfail": "expected failure"}
    return ", ".join(f"{n} {names.get(status, status)}" for status, n in counts.items())


def _describe_error(outcomes: list[dict]) -> str:
    """Return the first error, shortened to one line, after a colon."""
    errors = [outcome["error"] for outcome in outcomes if outcome["status"] == "failed"]
    if not errors:
        return ""
    error = re.sub(r"\s+", " ", errors[0]).strip()
    return f": {error[:_MAX_LENGTH]}{'…' if len(error) > _MAX_LENGTH else ''}"
