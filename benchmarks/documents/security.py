"""Render ``docs/security.md``: the files that are safe to open, and how this is tested."""

from origin import describe_run
from rendering import DOCS, read_records, render_template

DOCUMENT = DOCS / "security.md"

_KINDS = {"models": "saved models", "pictures": "images", "studies": "study files"}

# Column of the table: key in the records.
_COLUMNS = {
    "inputs": "inputs",
    "read": "read",
    "rejected": "refused",
    "violations": "escaped",
}


def render() -> str:
    """Return the document."""
    run, *rows = read_records("fuzz")
    counts = {
        _KINDS.get(row["kind"], row["kind"]): {
            name: row[key] for name, key in _COLUMNS.items()
        }
        for row in rows
    }
    counts["**all**"] = {name: sum(c[name] for c in counts.values()) for name in _COLUMNS}
    return render_template(
        "security.md",
        counts=[
            {"files": kind} | {name: f"{n:,}" for name, n in count.items()}
            for kind, count in counts.items()
        ],
        origin=describe_run(run),
        slowest=max(row["slowest"] for row in rows),
    )
