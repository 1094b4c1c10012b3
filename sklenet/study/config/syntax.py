"""Text as TOML, with errors that say what TOML requires.

`tomllib` stops at the first error. Values that are written as in Python or JSON are
replaced here by what was probably meant, so that all errors of a file can be reported at
once.
"""

import re
import tomllib
from typing import NamedTuple

_MAX_PROBLEMS = 20
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_TOKEN = re.compile(r"[\w.+\-/*%^]*")
_TEXT = re.compile(r"""[^\s,\]}#'"=\[({][^,\]}#'"=\n]*""")
_SMART_QUOTES = "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
_EXPLANATIONS = {
    "Cannot overwrite a value": "this key is set a second time. Remove one of the two.",
    "Illegal character '\\n'": "text must be closed by a quote in the same line.",
    "Unclosed array": "a list is not closed by ']', or it lacks a comma.",
    "Unclosed inline table": "a table is not closed by '}', or it lacks a comma.",
    "Expected '=' after a key in a key/value pair": "there is no '=' after the key.",
}
_NULLS = ("none", "null", "nil")
_CONSTANTS = ("true", "false", "nan", "inf", "+nan", "+inf", "-nan", "-inf")


class Problem(NamedTuple):
    """An error in a TOML text.

    Parameters
    ----------
    line : int
        Number of its line.
    message : str
    is_explained : bool
        Whether the message says what is right. If False, it is that of `tomllib`.
    """

    line: int
    message: str
    is_explained: bool


class _Mended(NamedTuple):
    """A message about an error, and the text without it."""

    message: str
    text: str


class Parsed(NamedTuple):
    """The result of parsing a text as TOML.

    Parameters
    ----------
    table : dict or None
        The content. If the text is not valid, the content that was probably meant; None if
        that is unknown.
    problems : list of Problem
        The errors in the text, in the order of its lines. Empty if it is valid.
    text : str
        The text with what was probably meant, on the same lines.
    """

    table: dict | None
    problems: list[Problem]
    text: str


def parse_toml(text: str) -> Parsed:
    """Parse a text as TOML.

    Parameters
    ----------
    text : str
        The text, with ``"\\n"`` at the end of its lines.

    Raises
    ------
    RecursionError
        If lists or tables are nested too deeply.
    """
    problems: list[Problem] = []
    while len(problems) < _MAX_PROBLEMS:
        try:
            return Parsed(tomllib.loads(text), problems, text)
        except tomllib.TOMLDecodeError as error:
            message, offset = _find_offset(text, str(error))
            mended = _mend(text, message, offset)
            line = text.count("\n", 0, offset) + 1
            if mended is None:
                problems.append(_explain(text, message, line, offset))
                break
            problems.append(Problem(line, mended.message, True))
            text = mended.text
        except ValueError as error:  # for integers of thousands of digits
            problems.append(Problem(1, str(error), False))
            break
    return Parsed(None, problems, text)


def _explain(text: str, message: str, line: int, offset: int) -> Problem:
    """Return an error after which nothing is known about the rest of the text."""
    if message == "Invalid statement" and text.lstrip()[:1] == "{":
        message = 'this looks like JSON. TOML has lines such as name = "pooling".'
    elif message == "Invalid value" and not text[offset:].strip():
        message = "a list, a table or text is not closed at the end of the file."
    elif message in _EXPLANATIONS:
        return Problem(line, _EXPLANATIONS[message], True)
    return Problem(line, f"{message.rstrip('.')}.", False)


def _find_offset(text: str, message: str) -> tuple[str, int]:
    """Return the message of an error without its position, and the position."""
    found = _POSITION.search(message)
    if found is None or found[1] is None:
        return message.partition(" (at ")[0], len(text.rstrip())
    line, column = int(found[1]), int(found[2])
    start = sum(len(one) + 1 for one in text.split("\n")[: line - 1])
    return message[: found.start()], start + column - 1


def _mend(text: str, message: str, offset: int) -> _Mended | None:
    """Return what TOML requires at a position, if the error is a common one."""
    if text[offset : offset + 1] == ":" and message.startswith("Expected '='"):
        wrong = "TOML sets a key with '=', not with ':'."
        return _Mended(wrong, text[:offset] + "=" + text[offset + 1 :])
    if message == "Invalid value":
        return _mend_value(text, offset)
    start = offset
    while start and _TOKEN.fullmatch(text[start - 1]) and text[start - 1]:
        start -= 1
    token = text[start:offset] + _match(_TOKEN, text, offset)
    mended = _mend_number(token)
    if mended is None:
        return _mend_line(text, message, offset)
    wrong = f"{token} is not a number in TOML. Write {mended}."
    return _Mended(wrong, text[:start] + mended + text[start + len(token) :])


def _mend_line(text: str, message: str, offset: int) -> _Mended | None:
    """Return the text with a quoted value in a line whose value is an expression."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[start : end if end >= 0 else len(text)]
    name, equals, value = line.partition("=")
    value = value.strip()
    if not message.startswith("Expected newline") or not equals or '"' in value:
        return None
    wrong = (
        f"{value[:200]} is not a value in TOML, which has no arithmetic and no decimal"
        " comma. Text requires quotes."
    )
    quoted = value.replace("\\", "/")
    return _Mended(wrong, f'{text[:start]}{name}= "{quoted}"{text[start + len(line) :]}')


def _mend_value(text: str, offset: int) -> _Mended | None:
    if text[offset : offset + 1] == "(":
        return _mend_tuple(text, offset)
    value = _match(_TEXT, text, offset).strip()
    if not value:
        return None
    number = _mend_number(value)
    if number is not None:
        mended, wrong = number, f"{value} is not a number in TOML. Write {number}."
    elif value.lower() in _NULLS:
        mended = '"none"'
        wrong = f'TOML has no {value}. For None as the value of a parameter, write "none".'
    elif value.lower() in _CONSTANTS:
        mended = value.lower()
        wrong = f"{value} is not a value in TOML. Write {mended}."
    else:
        mended = '"' + value.strip(_SMART_QUOTES).replace("\\", "/") + '"'
        wrong = f"{value} is not a value in TOML. Text requires quotes: {mended}."
    return _Mended(wrong, text[:offset] + mended + text[offset + len(value) :])


def _mend_tuple(text: str, offset: int) -> _Mended | None:
    """Return the text with brackets for the parentheses at a position."""
    depth, inside = 0, ""
    for end in range(offset, min(len(text), offset + 10_000)):
        if not inside and text[end] in "\"'":
            inside = text[end]
        elif text[end] == inside:
            inside = ""
        elif not inside:
            depth += (text[end] == "(") - (text[end] == ")")
        if depth == 0 and not inside:
            mended = f"[{text[offset + 1 : end]}]"
            shown = " ".join(mended.split())[:200]
            wrong = f"TOML has no tuples. Write a list: {shown}."
            return _Mended(wrong, text[:offset] + mended + text[end + 1 :])
    return None


def _mend_number(token: str) -> str | None:
    """Return a number as TOML writes it, if Python accepts it but TOML does not."""
    found = re.fullmatch(r"([+-]?)(\d*)\.(\d*)((?:[eE][+-]?\d+)?)", token)
    if found and (found[2] or found[3]) and not (found[2] and found[3]):
        return f"{found[1]}{found[2] or 0}.{found[3] or 0}{found[4]}"
    found = re.fullmatch(r"([+-]?)0+(\d[\d.]*(?:[eE][+-]?\d+)?)", token)
    return found[1] + found[2] if found else None


def _match(pattern: re.Pattern, text: str, offset: int) -> str:
    found = pattern.match(text, offset)
    return found[0] if found else ""
