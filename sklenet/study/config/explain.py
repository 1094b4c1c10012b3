"""Errors of pydantic in the words of a study file."""

import re

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sklenet._utils.names import suggest_similar
from sklenet.study.config.datasets import KINDS
from sklenet.study.config.errors import BadKey, BadKeys, Key, list_errors, suggest
from sklenet.study.config.fields import Table
from sklenet.study.config.searches import SEARCHES
from sklenet.study.config.spec import Study
from sklenet.study.config.tables import AdditionalTest, Published, Setting
from sklenet.study.config.values import short_repr

_KINDS: dict[str, type[Table]] = {
    search.model_fields["kind"].default: search for search in SEARCHES
}
_TABLES: dict[str, type[Table]] = {
    "setting": Setting,
    "test": AdditionalTest,
    "published": Published,
}


def explain_errors(error: ValidationError) -> list[BadKey]:
    """Return the errors in a study, each with its key."""
    explained: list[BadKey] = []
    found: dict[Key, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        cause, key = details.get("ctx", {}).get("error"), _find_key(details)
        if isinstance(cause, BadKey | BadKeys):
            explained += list_errors(cause, key)
        else:
            found.setdefault(key, []).append(details)
    explained += [_explain(key, errors) for key, errors in found.items()]
    # A list without its invalid values may also be too short: this is not reported.
    parents = {one.key[:depth] for one in explained for depth in range(len(one.key))}
    return [one for one in explained if one.key not in found or one.key not in parents]


def _find_key(details: ErrorDetails) -> Key:
    """Return the path of a key, without what pydantic adds to it."""
    path = tuple(map(str, details["loc"]))
    if path[0:1] == ("validation",):
        path = path[:1]  # then comes the type that was tried
    if path[0:1] == ("search",):
        if details["type"].startswith("union_tag"):
            return ("search", "kind")
        path = (path[0], *path[2:])  # without the kind of search
        if path[1:2] == ("grid",):
            path = path[:3] + path[4:]  # without the kind of values: list or distribution
    if path[0:1] == ("dataset",):
        path = (*path[:2], *path[3:])  # without the kind of source
    return path


def _explain(key: Key, errors: list[ErrorDetails]) -> BadKey:
    details = errors[0]
    if details["type"] == "missing":
        return BadKey(key, f"this key is required{_name_kind(details)}.")
    if details["type"] == "extra_forbidden":
        known = suggest(key[-1], _list_keys(details))
        return BadKey(key, f"unknown key {key[-1]!r}{_name_kind(details)}.{known}")
    if details["type"] == "union_tag_invalid":
        tag = details["ctx"]["tag"]
        return BadKey(key, f"unknown kind {tag!r}.{suggest(tag, _KINDS)}")
    if details["type"] == "too_short":
        return BadKey(key, f"must not be empty. Got {short_repr(details['input'])}.")
    cause = details.get("ctx", {}).get("error")
    if cause is not None:
        return BadKey(key, str(cause))
    wanted = ", or: ".join(dict.fromkeys(_name_types(one["msg"]) for one in errors))
    similar = _suggest_literal(details["input"], errors)
    return BadKey(key, f"{wanted}. Got {short_repr(details['input'])}.{similar}")


def _suggest_literal(value, errors: list[ErrorDetails]) -> str:
    """Return the end of a message about text that must be one of several names."""
    names = [
        name
        for error in errors
        if error["type"] == "literal_error"
        for name in re.findall("'([^']*)'", error["ctx"]["expected"])
    ]
    return suggest_similar(value, names) if isinstance(value, str) else ""


def _name_kind(details: ErrorDetails) -> str:
    """Return " in a search of kind ..." for a key of a search."""
    path = details["loc"]
    return f" in a search of kind {path[1]!r}" if path[0] == "search" else ""


def _list_keys(details: ErrorDetails) -> list[str]:
    """Return the keys that a table with an unknown key may have."""
    path = tuple(map(str, details["loc"]))
    model: type[Table] = Study
    if path[0] == "dataset":
        model = KINDS[path[2]]
    elif len(path) > 1:
        model = _KINDS[path[1]] if path[0] == "search" else _TABLES[path[0]]
    keys = [field.alias or name for name, field in model.model_fields.items()]
    return [*keys, "like"] if model is Setting else keys


def _name_types(message: str) -> str:
    """Return a message of pydantic with the types as TOML names them."""
    for ours, theirs in (("list", "tuple"), ("table", "dictionary")):
        message = message.replace(theirs, ours).replace(theirs.title(), ours.title())
    return re.sub("valid table or .*", "valid table", message)
