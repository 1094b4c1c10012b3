"""Numbers, names and tables in Markdown and CSV."""

import re

import pandas as pd

from sklenet._utils.printable import printable


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


def to_markdown_table(
    frame: pd.DataFrame, right=frozenset(), *, literal: bool = True
) -> str:
    """Return a frame of words as a Markdown table.

    Parameters
    ----------
    frame : DataFrame
    right : set of str
        Columns to align to the right.
    literal : bool, default=True
        Whether cells are shown as they are. Otherwise they are Markdown, such as links.
    """

    def cell(value) -> str:
        text = escape_markdown(str(value)) if literal else str(value)
        return text.replace("|", "\\|")

    align = ["right" if column in right else "left" for column in frame]
    frame = frame.map(cell).rename(columns=cell)
    return frame.to_markdown(index=False, colalign=align, disable_numparse=True)


# The beginning of an HTML tag, comment or entity.
_MARKUP = re.compile(r"<|&(?=#?\w+;)")


def escape_markdown(text: str) -> str:
    """Return a name or a message as Markdown that shows it literally, in one line.

    HTML, code spans and links are disarmed. What only changes the type face is left, so
    that names such as ``max_epochs`` stay readable in the file itself.
    """
    text = escape_html(printable(text))
    return text.replace("`", "\\`").replace("](", "]\\(")


def escape_html(text: str) -> str:
    """Return Markdown without HTML and control characters."""
    text = printable(text, keep="\n")
    return _MARKUP.sub(lambda match: {"<": "&lt;", "&": "&amp;"}[match[0]], text)


# A spreadsheet takes text that begins with one of these for a formula.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def to_csv(frame: pd.DataFrame) -> str:
    """Return a frame as CSV, with text that no spreadsheet takes for a formula.

    Such text gets an apostrophe before it. Numbers are as they are.
    """
    frame = frame.map(_csv_cell)
    frame.columns = [_csv_cell(name) for name in frame]
    return frame.to_csv(index=False)


def _csv_cell(value):
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
