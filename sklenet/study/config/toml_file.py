"""TOML files: read within limits, and the lines of their keys."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from sklenet.study.config.errors import Key, StudyError
from sklenet.study.config.syntax import Parsed, parse_toml
from sklenet.study.config.values import MAX_DEPTH

_MAX_BYTES = 2**20
_BYTE_ORDER_MARKS = {  # that of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# A dotted key of many parts, on which tomllib spends quadratic time.
_PART = r"""(?:[\w-]++|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*"""
_DEEP_KEY = re.compile(rf"(?<![\w-])(?:{_PART}){{50}}")


def read_toml(path: Path) -> Parsed:
    """Read a TOML file, in UTF-8 or, with or without a byte order mark, in UTF-16.

    Raises
    ------
    StudyError
        If the file cannot be read, is too large, is not text, or is nested too deeply.
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
    text = _decode(path, content)
    try:
        if _DEEP_KEY.search(text):
            raise RecursionError
        return parse_toml(text)
    except RecursionError as error:
        raise StudyError(
            f"{path}: tables or lists are nested more than {MAX_DEPTH} levels deep."
        ) from error


def _decode(path: Path, content: bytes) -> str:
    """Return the text of a file, with ``"\\n"`` at the end of its lines."""
    encoding = _find_encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        where = f"byte {error.start + 1:,}"
        if encoding == "utf-8-sig":
            line = content[: error.start].count(b"\n") + 1
            where = f"byte 0x{content[error.start]:02x} in line {line:,}"
        raise StudyError(
            f"{path}: not a TOML file: {where} is not {encoding.removesuffix('-sig')} text."
            " Save the file with the encoding UTF-8."
        ) from error
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    return text if "\n" in text else text.replace("\r", "\n")


def _find_encoding(content: bytes) -> str:
    """Return the encoding of a text, by its byte order mark or its null bytes.

    UTF-16 is what some editors of Windows write, and ``>`` in its PowerShell.
    """
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return encoding
    # Every other byte of keys and numbers in UTF-16 is null.
    if content[1:2] == b"\0" and content[:1] != b"\0":
        return "utf-16-le"
    if content[:1] == b"\0" and content[1:2] != b"\0":
        return "utf-16-be"
    return "utf-8-sig"


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
    best, length = None, 0
    for number, found in _iter_keys(text):
        if key[: len(found)] == found and len(found) > length:
            best, length = number, len(found)
    return best


def find_key(text: str, line: int) -> Key:
    """Return the path of the key that is set in a line, or whose value it continues."""
    found: Key = ()
    for number, key in _iter_keys(text):
        if number > line:
            break
        found = key
    return found


def _iter_keys(text: str) -> Iterator[tuple[int, Key]]:
    """Yield the number of each line that begins a table or sets a key, with its path."""
    table: Key = ()
    positions: dict[str, int] = {}  # of the last table in each array of tables
    for number, whole in enumerate(text.split("\n"), start=1):
        line = whole.strip()
        if header := _find_header(line):
            if line.startswith("[["):
                positions[header] = positions.get(header, -1) + 1
            table = _add_position(_split(header), positions)
            yield number, table
        elif assigned := _find_assigned(line):
            yield number, table + _split(assigned)


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
