"""Figures and tables as Markdown has them."""

import pandas as pd


def number(value) -> str:
    """Return a score with four places."""
    return "failed" if pd.isna(value) else f"{value:.4f}"


def spread(mean, sd, shown=number) -> str:
    """Return a mean, as `shown` has it, and its standard deviation where it has one."""
    return shown(mean) + ("" if pd.isna(sd) else f" ± {shown(sd)}")


def word(value) -> str:
    """Return a parameter's value."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def difference(value) -> str:
    """Return a difference with its sign; of what failed, nothing."""
    return "" if pd.isna(value) else f"{value:+.4f}"


def intervals(frame: pd.DataFrame) -> list[str]:
    """Return the intervals ``low`` to ``high`` of the frame's differences."""
    return [
        "" if pd.isna(low) else f"{low:+.4f} to {high:+.4f}"
        for low, high in frame[["low", "high"]].to_numpy()
    ]


def as_table(frame: pd.DataFrame, right=frozenset()) -> str:
    """Return a frame of words as a table, the columns `right` set to the right."""
    frame = frame.map(lambda cell: str(cell).replace("|", "\\|"))
    align = ["right" if column in right else "left" for column in frame]
    return frame.to_markdown(index=False, colalign=align, disable_numparse=True)
