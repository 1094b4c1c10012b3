"""Plain values: those that TOML and JSON files may hold for the parameters of a study."""

import reprlib
from collections.abc import Mapping
from math import isfinite
from typing import Any

MAX_DEPTH = 20
_LARGEST = 2**63

_shorten = reprlib.Repr()
_shorten.maxlevel = 3
_shorten.maxlist = _shorten.maxtuple = _shorten.maxdict = 8
_shorten.maxstring = _shorten.maxother = 200


def short_repr(value) -> str:
    """Return the representation of a value, shortened where it is long."""
    try:
        return _shorten.repr(value)
    except ValueError:  # Python does not print integers of thousands of digits
        return "a number of thousands of digits"


def format_label(value) -> str:
    """Return the value of a parameter as a label in names, tables and figures.

    Parameters
    ----------
    value : object
        A plain value. Text in lists and tables is shown without quotes, and a step of a
        pipeline as a call: ``[flip, {shift: 2}]``, ``{0: 2.0}``, ``PixelScaler(to=unit)``.
    """
    if isinstance(value, Mapping):
        words = {str(key): format_label(item) for key, item in value.items()}
        if "transformer" in words:
            name = words.pop("transformer").rpartition(".")[2]
            return f"{name}({', '.join(f'{key}={word}' for key, word in words.items())})"
        return f"{{{', '.join(f'{key}: {word}' for key, word in words.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(format_label, value))}]"
    return str(value)


def find_problem(value, *, finite: bool = True) -> tuple[tuple[str, ...], str] | None:
    """Find a value that is not plain.

    Plain values are text, booleans, None, numbers, and lists and tables of plain values.
    Whole numbers must fit 64 bits. The search is iterative, since files may be nested
    deeper than the stack of Python allows.

    Parameters
    ----------
    value : object
        A value that a parser of TOML or JSON has returned.
    finite : bool, default=True
        Whether numbers must be finite.

    Returns
    -------
    (tuple of str, str) or None
        The path of the first value that is not plain, and what is wrong with it.
    """
    stack: list[tuple[tuple[str, ...], Any]] = [((), value)]
    while stack:
        path, one = stack.pop()
        if len(path) > MAX_DEPTH:
            return path, f"is nested more than {MAX_DEPTH} levels deep"
        if isinstance(one, dict):
            stack += [((*path, str(key)), item) for key, item in one.items()]
        elif isinstance(one, list | tuple):
            stack += [((*path, str(k)), item) for k, item in enumerate(one)]
        elif problem := _find_scalar_problem(one, finite):
            return path, problem
    return None


def _find_scalar_problem(value, finite: bool) -> str | None:
    if value is None or isinstance(value, bool | str):
        return None
    if isinstance(value, int):
        fits = -_LARGEST <= value < _LARGEST
        return None if fits else "is a whole number that does not fit 64 bits"
    if isinstance(value, float):
        return (
            f"is {value!r}, not a finite number" if finite and not isfinite(value) else None
        )
    return f"is a {type(value).__name__}, not text, a number, a boolean, a list or a table"
