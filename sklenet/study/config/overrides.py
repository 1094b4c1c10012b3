"""Overrides: values that replace those of a study file."""

import copy
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sklenet.study.config.errors import Key, StudyError, suggest
from sklenet.study.config.syntax import parse_toml
from sklenet.study.config.values import find_problem, short_repr

_OPTION = "--set"
# The key and the value of an option; the key may have quoted parts with any characters.
_ASSIGNMENT = re.compile(
    r"""\s*((?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^"'=\n])+)=(.*)""", re.DOTALL
)
# Text that can only be meant as such, so that it needs no quotes.
_PLAIN_TEXT = re.compile(r"[^\W\d][^\n\"'\[\]{}=,#()]*")
_NOT_PLAIN = ("none", "null", "nil", "true", "false", "nan", "inf")

# Tables of a study file that are arrays.
_ARRAYS = ("setting", "test", "published")


class Override(NamedTuple):
    """A value that replaces one of a study file.

    Parameters
    ----------
    source : str
        How it was given, for messages: ``--set seeds=[0]``.
    key : tuple of str
        Path of the key. Tables in an array are given by their position or their name.
    value : object
    """

    source: str
    key: Key
    value: Any


def read_overrides(overrides: Mapping[str, Any] | Iterable[str]) -> list[Override]:
    """Read overrides.

    Parameters
    ----------
    overrides : mapping of str to object, or iterable of str
        Values by their dotted keys, or the text of options, ``KEY=VALUE``.

    Raises
    ------
    StudyError
        If a key or a value is not one of TOML.
    """
    if isinstance(overrides, Mapping):
        return [_read_item(key, value) for key, value in overrides.items()]
    if isinstance(overrides, str):
        raise StudyError(
            "overrides must be a mapping such as {'estimator.max_epochs': 1}, or a list of"
            f" texts 'KEY=VALUE'. Got {short_repr(overrides)}."
        )
    return [_read_option(option) for option in overrides]


def _read_item(key, value) -> Override:
    source = f"the override {short_repr(key)}"
    if not isinstance(key, str):
        raise StudyError(f"{source}: a key must be text, such as 'estimator.max_epochs'.")
    return Override(source, _read_key(source, key), _check_plain(source, value))


def _read_option(option: str) -> Override:
    source = f"{_OPTION} {option}"[:200]
    found = _ASSIGNMENT.fullmatch(option)
    if found is None:
        raise StudyError(
            f"{source}: must be KEY=VALUE, such as estimator.max_epochs=1 or 'seeds=[0]'."
        )
    key = _read_key(source, found[1].strip())
    return Override(source, key, _check_plain(source, _read_value(source, found[2])))


def _read_key(source: str, text: str) -> Key:
    """Return the path of a dotted key of TOML."""
    try:
        table = tomllib.loads(f"{text} = 0") if "\n" not in text else {}
    except (ValueError, RecursionError):
        table = {}
    path = []
    node: Any = table
    while isinstance(node, dict) and len(node) == 1:
        ((part, node),) = node.items()
        path.append(part)
    if not path or node != 0:
        raise StudyError(
            f"{source}: {text[:200]!r} is not a key. Separate its parts with points, and"
            " put parts with other characters than letters, digits, '_' and '-' into"
            ' quotes: setting."Adam, 0.001".estimator.lr.'
        )
    return tuple(path)


def _read_value(source: str, text: str):
    """Return the value of an option: a value of TOML, or text without quotes."""
    text = text.strip()
    if not text:
        raise StudyError(f'{source}: there is no value. Write "" for empty text.')
    try:
        table, problems, _ = parse_toml(f"value = {text}\n")
    except RecursionError:
        raise StudyError(f"{source}: the value is nested too deeply.") from None
    if not problems and table is not None and len(table) == 1:
        return table["value"]
    is_constant = text.lower() in _NOT_PLAIN and text != "none"
    if _PLAIN_TEXT.fullmatch(text) and not is_constant:
        return text
    reasons = [problem.message for problem in problems] or ["more than one value."]
    if text[0] in "[{":
        reasons.append(
            "A shell keeps the quotes of text in lists and tables if the option is in"
            f" single quotes: {_OPTION} 'data=[\"digits\"]'."
        )
    raise StudyError(f"{source}: {' '.join(reasons)}")


def _check_plain(source: str, value):
    problem = find_problem(value, finite=False)
    if problem is not None:
        raise StudyError(f"{source}: {short_repr(value)} {problem[1]}.")
    return value


def apply_overrides(table: dict, overrides: Iterable[Override]) -> tuple[dict, list[Key]]:
    """Return the content of a study file with overrides.

    Parameters
    ----------
    table : dict
        The content. It is not changed.
    overrides : iterable of Override

    Returns
    -------
    table : dict
        The content, in which the values of the overrides replace those of the file.
    keys : list of tuple of str
        The path of each override, in which tables in arrays have their positions.

    Raises
    ------
    StudyError
        If the file does not have an array, or a table in it.
    """
    table = copy.deepcopy(table)
    return table, [_apply(table, override) for override in overrides]


def _apply(table: dict, override: Override) -> Key:
    path: list[str] = []
    node: Any = table
    for depth, part in enumerate(override.key, start=1):
        is_last = depth == len(override.key)
        if isinstance(node, list):
            position = _find_position(override, tuple(path), node, part)
            path.append(str(position))
            if is_last:
                node[position] = override.value
            node = node[position]
        elif isinstance(node, dict):
            path.append(part)
            if is_last:
                node[part] = override.value
            elif part not in node and depth == 1 and part in _ARRAYS:
                raise StudyError(f"{override.source}: the file has no [[{part}]].")
            else:
                node = node.setdefault(part, {})
        else:
            raise StudyError(
                f"{override.source}: {'.'.join(path)} is {short_repr(node)}, not a table or"
                " a list."
            )
    return tuple(path)


def _find_position(override: Override, path: Key, values: list, part: str) -> int:
    """Return the position in a list that a part of a key names."""
    key = ".".join(path)
    if part.isascii() and part.isdigit():
        if int(part) < len(values):
            return int(part)
        allowed = f"from 0 to {len(values) - 1}" if values else "none, since it is empty"
        raise StudyError(
            f"{override.source}: positions in {key} are {allowed}. Got {part}."
        )
    names = [str(v.get("name")) if isinstance(v, dict) else "" for v in values]
    if names.count(part) == 1:
        return names.index(part)
    if part in names:
        raise StudyError(
            f"{override.source}: {key} has {names.count(part)} tables with the name"
            f" {part!r}. Give its position, which begins with 0."
        )
    raise StudyError(
        f"{override.source}: {key} is a list, of which a part is given by its position,"
        f" which begins with 0, or by its name. Got {part!r}."
        f"{suggest(part, filter(None, names)) if any(names) else ''}"
    )
