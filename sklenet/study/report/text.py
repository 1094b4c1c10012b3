"""Numbers, names and tables as text, in Markdown and CSV."""

import re

import pandas as pd

from sklenet._utils.printable import make_printable
from sklenet.study.config.values import format_label


def format_score(value) -> str:
    """Format a score with four decimals; the score of a failed fit is "failed"."""
    return "failed" if pd.isna(value) else f"{value:.4f}"


def format_mean_sd(mean, sd, format_number=format_score) -> str:
    """Format a mean with its standard deviation, if it has one.

    Parameters
    ----------
    mean, sd : float
        Mean and standard deviation; NaN if undefined.
    format_number : callable
        Function that formats each of the two.
    """
    return format_number(mean) + ("" if pd.isna(sd) else f" ± {format_number(sd)}")


def format_value(value) -> str:
    """Format the value of a parameter."""
    return f"{value:.3g}" if isinstance(value, float) else format_label(value)


def format_difference(value) -> str:
    """Format a difference with its sign; an undefined one is empty."""
    return "" if pd.isna(value) else f"{value:+.4f}"


def format_p_value(value) -> str:
    """Format a p-value with four decimals; a smaller one as "< 0.0001"."""
    if pd.isna(value):
        return ""
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def format_duration(seconds: float) -> str:
    """Format a time in the largest unit, from seconds to hours, of which it has some."""
    for unit, n_seconds in (("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * n_seconds:
            return f"{seconds / n_seconds:.{1 if unit == 'hour' else 0}f} {unit}s"
    return f"{seconds:.1f} seconds"


def format_interval(low, high, spec: str = ".4f") -> str:
    """Format a confidence interval; an undefined one is empty.

    Parameters
    ----------
    low, high : float
        Limits of the interval.
    spec : str, default=".4f"
        Format specification of the limits.
    """
    return "" if pd.isna(low) else f"{low:{spec}} to {high:{spec}}"


def to_markdown_table(
    frame: pd.DataFrame, right=frozenset(), *, literal: bool = True
) -> str:
    """Convert a data frame of text to a Markdown table.

    Parameters
    ----------
    frame : DataFrame
        Cells of the table; they are converted to str.
    right : set of str
        Names of the columns that are aligned to the right.
    literal : bool, default=True
        Whether cells are shown literally. If False, they are interpreted as Markdown.
    """

    def to_cell(value) -> str:
        text = escape_markdown(str(value)) if literal else str(value)
        return text.replace("|", "\\|")

    align = ["right" if column in right else "left" for column in frame]
    frame = frame.map(to_cell).rename(columns=to_cell)
    return frame.to_markdown(index=False, colalign=align, disable_numparse=True)


# The beginning of an HTML tag, comment or entity.
_MARKUP = re.compile(r"<|&(?=#?\w+;)")


def escape_markdown(text: str) -> str:
    """Convert a name or a message to one line of Markdown that shows it literally.

    HTML, code spans and links are escaped. Emphasis is not, so that names such as
    ``max_epochs`` remain readable in the source.
    """
    text = escape_html(make_printable(text))
    return text.replace("`", "\\`").replace("](", "]\\(")


def escape_html(text: str) -> str:
    """Escape HTML and control characters in a Markdown text, but keep its Markdown."""
    text = make_printable(text, keep="\n")
    return _MARKUP.sub(lambda match: {"<": "&lt;", "&": "&amp;"}[match[0]], text)


# Spreadsheets interpret text that begins with one of these as a formula.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def to_csv(frame: pd.DataFrame) -> str:
    """Convert a data frame to CSV in which spreadsheets find no formulas.

    Text that a spreadsheet would interpret as a formula is preceded by an apostrophe.
    Numbers are unchanged.
    """
    frame = frame.map(_to_csv_cell)
    frame.columns = [_to_csv_cell(name) for name in frame]
    return frame.to_csv(index=False)


def _to_csv_cell(value):
    if not isinstance(value, str):
        return value
    text = make_printable(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
