"""A study file, read and checked.

A file with an unknown key, a wrong type or an unknown parameter value is refused with
the file, the line, the key and what would be right, before anything is trained.
"""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sklenet.study.config.rules import BadKey, check_study, suggest
from sklenet.study.config.search_rules import check_search
from sklenet.study.config.spec import Published, Search, Setting, Study, StudyError, Test
from sklenet.study.config.values import MAX_DEPTH, find_problem, short_repr

_MAX_BYTES = 2**20
# A dotted key of many parts, on which tomllib spends quadratic time.
_PART = r"""(?:[\w-]++|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*"""
_DEEP_KEY = re.compile(rf"(?<![\w-])(?:{_PART}){{50}}")
_MAX_ERRORS = 20
_MAX_MESSAGE = 4000  # characters; keys may be as long as the file


def read_study(path) -> Study:
    """Read and check a study file.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Study

    Raises
    ------
    StudyError
        Naming the file, the line, the key and what would be right.
    """
    path = Path(path)
    text, table = _parse(path)
    try:
        problem = find_problem(table, finite=False)
        if problem is not None:
            raise BadKey(problem[0], f"{'.'.join(problem[0])} {problem[1]}.")
        study = TypeAdapter(Study).validate_python(_with_none(_inherited(table)))
        check_study(study)
        check_search(study)
    except ValidationError as error:
        # Where a key may be of several types, each says what it would take.
        keys: dict[tuple[str, ...], list] = {}
        for one in error.errors(include_url=False):
            keys.setdefault(_key(one), []).append(one)
        shown = list(keys.items())[:_MAX_ERRORS]
        found = [(key, _explain(key, errors)) for key, errors in shown]
    except BadKey as error:
        found = [(error.key, str(error))]
    else:
        return study
    raise StudyError("\n".join(_locate(path, text, *one) for one in found))


def locate_error(path, error: BadKey) -> StudyError:
    """Return the error with the file and the line of its key.

    Parameters
    ----------
    path : path-like
        The file that the study was read from.
    error : BadKey
    """
    text, _ = _parse(Path(path))
    return StudyError(_locate(Path(path), text, error.key, str(error)))


def _locate(path: Path, text: str, key: tuple[str, ...], message: str) -> str:
    line, message = find_line(text, key), message[:_MAX_MESSAGE]
    return f"{path}:{line}: {message}" if line else f"{path}: {message}"


def _parse(path: Path) -> tuple[str, dict]:
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
            f"{path}: more than {_MAX_BYTES:,} bytes, which is the limit for a study file."
        )
    too_deep = f"{path}: tables or lists are nested more than {MAX_DEPTH} levels deep."
    try:
        text = content.decode("utf-8")
        if _DEEP_KEY.search(text):
            raise StudyError(too_deep)
        return text, tomllib.loads(text)
    except StudyError:
        raise
    except RecursionError as error:
        raise StudyError(too_deep) from error
    except ValueError as error:  # also integers of thousands of digits
        raise StudyError(f"{path}: not a TOML file: {error}") from error


def _inherited(table: dict) -> dict:
    """Return the table with each setting given what the one it is ``like`` has.

    What is not a table of settings is left to be refused for its type.
    """
    settings = table.get("setting")
    if not isinstance(settings, list):
        return table
    # Of two with one name, on different data sets, the nearer one is meant.
    before: dict[str, dict] = {}
    whole = []
    for k, setting in enumerate(settings):
        if isinstance(setting, dict):
            own = dict(setting)
            if "like" in own:
                setting = _like(own.pop("like"), own, before, ("setting", str(k), "like"))
            before[str(own.get("name"))] = setting
        whole.append(setting)
    return table | {"setting": whole}


def _like(name, own: dict, before: dict[str, dict], key: tuple[str, ...]) -> dict:
    if not isinstance(name, str) or name not in before:
        raise BadKey(
            key,
            f"{'.'.join(key)} is {short_repr(name)}, but must be the name of a setting"
            f" above.{suggest(str(name), before)}",
        )
    base = before[name]
    theirs, ours = base.get("estimator"), own.get("estimator")
    if isinstance(theirs, dict) and isinstance(ours, dict):
        own["estimator"] = theirs | ours
    return base | own


def _with_none(value, parameters: bool = False):
    """Return the table with None for "none", which TOML lacks, as parameters' values."""
    if isinstance(value, dict):
        return {
            key: _with_none(item, parameters or key in ("estimator", "grid", "steps"))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_with_none(item, parameters) for item in value]
    return None if parameters and value == "none" else value


_CLASSES = {"search": Search, "setting": Setting, "test": Test, "published": Published}


_TYPE = re.compile(r"constrained-.*|[a-z-]+\[.*\]", re.DOTALL)


def _key(error) -> tuple[str, ...]:
    """Return the key's path, without pydantic's names for the types it tried."""
    return tuple(str(p) for p in error["loc"] if not _TYPE.fullmatch(str(p)))


def _explain(path: tuple[str, ...], errors: list) -> str:
    key, error = ".".join(path), errors[0]
    if error["type"] == "missing":
        return f"the key {key!r} is missing."
    if error["type"] == "unexpected_keyword_argument":
        known = (
            _CLASSES.get(str(error["loc"][0]), Study) if len(error["loc"]) > 1 else Study
        )
        names = [field.name for field in fields(known)]
        names += ["like"] if known is Setting else []
        return f"unknown key {key!r}.{suggest(str(error['loc'][-1]), names)}"
    wanted = ", or: ".join(dict.fromkeys(one["msg"] for one in errors))
    return f"{key}: {wanted}. Got {short_repr(error['input'])}."


def find_line(text: str, key: tuple[str, ...]) -> int | None:
    """Return the number of the line in which the TOML `text` sets `key`.

    Of an inline table, or of a list, it is the line where the table or the list begins;
    of a key that is missing, that of its table's header; None where there is neither.

    Parameters
    ----------
    text : str
    key : tuple of str
        Its parts, numbers of tables in arrays among them: ``("test", "0", "name")``.
    """
    table: tuple[str, ...] = ()
    tables: dict[str, int] = {}
    best, length = None, 0
    for number, whole in enumerate(text.split("\n"), start=1):
        line = whole.strip()
        if header := _header(line):
            table = _parts(header)
            if line.startswith("[["):
                tables[header] = tables.get(header, -1) + 1
            # A table below an array's belongs to the array's last one.
            for depth in range(1, min(len(table), MAX_DEPTH) + 1):
                name = ".".join(table[:depth])
                if name in tables:
                    table = (*table[:depth], str(tables[name]), *table[depth:])
                    break
            found = table
        elif assigned := _assigned(line):
            found = table + _parts(assigned)
        else:
            continue
        if key[: len(found)] == found and len(found) > length:
            best, length = number, len(found)
    return best


def _header(line: str) -> str | None:
    """Return the name in a line that is the header of a table."""
    brackets = "]]" if line.startswith("[[") else "]"
    name, closing, rest = line.lstrip("[").partition(brackets)
    rest = rest.lstrip()
    is_header = line.startswith("[") and closing and (not rest or rest.startswith("#"))
    return name.strip() if is_header and "[" not in name else None


def _assigned(line: str) -> str | None:
    """Return the key that a line sets."""
    name, equals, _ = line.partition("=")
    return name.strip() if equals and "#" not in name and "[" not in name else None


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
