"""Render ``docs/augmentation.md``: the augmentations and their cost."""

from origin import describe_run
from rendering import DOCS, read_records, render_template

from sklenet.training.augment import AUGMENTATIONS

DOCUMENT = DOCS / "augmentation.md"


def render() -> str:
    """Return the document."""
    run, *records = read_records("augmentations")
    seconds = {record["augment"]: record["seconds"] for record in records}
    ratios = {
        name: [a / b for a, b in zip(times, seconds[None], strict=True)]
        for name, times in seconds.items()
    }
    return render_template(
        "augmentation.md",
        n_repeats=run["repeats"],
        augmentations=[
            {
                "name": f"`{record['augment']}`",
                "default": f"{AUGMENTATIONS[record['augment']].default:g}",
                "amount": AUGMENTATIONS[record["augment"]].what,
                "relative time": f"{record['median_ratio']:.2f}"
                f" ({min(ratios[record['augment']]):.2f}"
                f" to {max(ratios[record['augment']]):.2f})",
            }
            for record in records
            if record["augment"] is not None
        ],
        origin=describe_run(run),
    )
