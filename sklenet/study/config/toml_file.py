"""TOML files: read within limits, and the lines of their keys."""

import re
import tomllib
from pathlib import Path

from sklenet.study.config.errors import Key, StudyError
from sklenet.study.config.values import MAX_DEPTH

_MAX_BYTES = 2**20
# A dotted key of many parts, on which tomllib spends quadratic time.
_PART = r"""(?:[\w-]++|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*"""
_DEEP_KEY = re.compile(rf"(?<![\w-])(?:{_PART}){{50}}")


def read_toml(path: Path) -> tuple[str, dict]:
    """Return the text of a file and its content as TOML.

    Raises
    ------
    StudyError
        If the file cannot be read, is too large, or is not TOML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # a null byte in the path is a ValueError
        raise StudyError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > _MAX_BYTES:
        raise StudyError(
            f"{path}: the file has more than {_MAX_BYTES:,} bytes, the limit for a study"
            " file."
        )
    try:
        text = content.decode("utf-8")
        if _DEEP_KEY.search(text):
            raise RecursionError
        return text, tomllib.loads(text)
    except RecursionError as error:
        raise StudyError(
            f"{path}: tables or lists are nested more than {MAX_DEPTH} levels deep."
        ) from error
    except ValueError as error:  # also for integers of thousands of digits
        raise StudyError(f"{path}: not a TOML file: {error}") from error


def find_line(text: str, key: Key) -> int | None:
    """Return the number of the line in which the TOML `text` sets `key`.

    For a key within an inline table or a list, this is the line where the table or the
    list begins. For a missing key, it is the line of the header of its table.

    Parameters
    ----------
    text : str
    key : tuple of str
        Path of the key, including the positions of tables in arrays:
        ``("test", "0", "name")``.

    Returns
    -------
    int or None
        None if the file has neither the key nor its table.
    """
    table: Key = ()
    positions: dict[str, int] = {}  # of the last table in each array of tables
    best, length = None, 0
    for number, whole in enumerate(text.split("\n"), start=1):
        line = whole.strip()
        if header := _find_header(line):
            if line.startswith("[["):
                positions[header] = positions.get(header, -1) + 1
            found = table = _add_position(_split(header), positions)
        elif assigned := _find_assigned(line):
            found = table + _split(assigned)
        else:
            continue
        if key[: len(found)] == found and len(found) > length:
            best, length = number, len(found)
    return best


def _add_position(table: Key, positions: dict[str, int]) -> Key:
    """Return the path of a table, with its position if it belongs to an array of tables."""
    for depth in range(1, min(len(table), MAX_DEPTH) + 1):
        name = ".".join(table[:depth])
        if name in positions:
            return (*table[:depth], str(positions[name]), *table[depth:])
    return table


def _find_header(line: str) -> str | None:
    """Return the name of the table if a line is the header of one."""
    brackets = "]]" if line.startswith("[[") else "]"
    name, closing, rest = line.lstrip("[").partition(brackets)
    rest = rest.lstrip()
    is_header = line.startswith("[") and closing and (not rest or rest.startswith("#"))
    return name.strip() if is_header and "[" not in name else None


def _find_assigned(line: str) -> str | None:
    """Return the key that a line sets, if it sets one."""
    name, equals, _ = line.partition("=")
    return name.strip() if equals and "#" not in name and "[" not in name else None


def _split(dotted: str) -> Key:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
