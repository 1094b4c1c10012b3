"""Tables in LaTeX, with the rules of the booktabs package."""

import re
from typing import NamedTuple

import pandas as pd

from sklenet._utils.printable import make_printable

_HEAD = "% Made from the records by `sklenet report`. Requires \\usepackage{booktabs}.\n"

# Characters that LaTeX interprets, or prints as others in its default font encoding.
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "×": r"$\times$",
} | {character: f"\\{character}" for character in "&%$#_{}"}

_SPECIAL = re.compile("|".join(map(re.escape, _ESCAPES)))
# A sign, which is longer than a hyphen.
_SIGN = re.compile(r"(?<![\w.])([+-])(?=\d)")
_NUMBER = re.compile(r"[+-]?[\d,.]+(?: ± [\d.]+)?$")


class LatexTable(NamedTuple):
    """A table with its caption.

    Parameters
    ----------
    caption : str
        Text above the table.
    label : str
        Label for references, without special characters.
    frame : DataFrame
        Cells of the table as text.
    """

    caption: str
    label: str
    frame: pd.DataFrame


def to_latex(tables: list[LatexTable]) -> str:
    """Convert tables to LaTeX, each to a float of the width of the page."""
    return "\n".join([_HEAD, *map(_convert, tables)])


def _convert(table: LatexTable) -> str:
    frame = table.frame.map(str)
    is_numeric = [all(_NUMBER.match(cell) or not cell for cell in frame[c]) for c in frame]
    frame = frame.map(escape_latex)
    frame.columns = [escape_latex(str(name)) for name in frame]
    return frame.style.hide(axis="index").to_latex(
        caption=escape_latex(table.caption),
        label=table.label,
        position="tbp",
        position_float="centering",
        column_format="".join("r" if numeric else "l" for numeric in is_numeric),
        environment="table*",
        hrules=True,
    )


def escape_latex(text: str) -> str:
    """Convert a name or a number to LaTeX that shows it literally, on one line."""
    text = _SPECIAL.sub(lambda match: _ESCAPES[match[0]], make_printable(text))
    return _SIGN.sub(r"$\1$", text)
