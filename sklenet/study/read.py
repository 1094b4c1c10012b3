"""A study file, read and checked.

A file with an unknown key, a wrong type or an unknown parameter value is refused with
the file, the line, the key and what would be right, before anything is trained.
"""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sklenet.study.check_search import check_search
from sklenet.study.checks import BadKey, check_study, suggest
from sklenet.study.spec import Published, Search, Setting, Study, StudyError, Test


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
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not a TOML file: {error}") from error
    try:
        study = TypeAdapter(Study).validate_python(_with_none(_inherited(table)))
        check_study(study)
        check_search(study)
    except ValidationError as error:
        # Where a key may be of several types, each says what it would take.
        keys: dict[tuple[str, ...], list] = {}
        for one in error.errors():
            keys.setdefault(_key(one), []).append(one)
        found = [(key, _explain(key, errors)) for key, errors in keys.items()]
    except BadKey as error:
        found = [(error.key, str(error))]
    else:
        return study
    lines = []
    for key, message in found:
        line = find_line(text, key)
        lines.append(f"{path}:{line}: {message}" if line else f"{path}: {message}")
    raise StudyError("\n".join(lines))


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
    if name not in list(before):  # a list: it may be anything
        raise BadKey(
            key,
            f"{'.'.join(key)} is {name!r}, but must be the name of a setting above."
            f"{suggest(str(name), before)}",
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


def _key(error) -> tuple[str, ...]:
    """Return the key's path, without pydantic's names for the types it tried."""
    return tuple(str(p) for p in error["loc"] if not re.search(r"\[|^constrained-", str(p)))


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
    return f"{key}: {wanted}. Got {error['input']!r}."


_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_ASSIGNMENT = re.compile(r"^\s*([^=#\[]+?)\s*=")


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
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header[2])
            if header[1] == "[[":
                tables[header[2]] = tables.get(header[2], -1) + 1
            # A table below an array's belongs to the array's last one.
            for depth in range(1, len(table) + 1):
                name = ".".join(table[:depth])
                if name in tables:
                    table = (*table[:depth], str(tables[name]), *table[depth:])
                    break
            found = table
        elif assignment := _ASSIGNMENT.match(line):
            found = table + _parts(assignment[1])
        else:
            continue
        if key[: len(found)] == found and len(found) > length:
            best, length = number, len(found)
    return best


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
