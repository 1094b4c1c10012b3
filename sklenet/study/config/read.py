"""Reading a study file.

Everything about a study is checked before anything is trained. Errors name the file, the
line, the key, its value, and what is allowed.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sklenet.study.config.errors import (
    BadKey,
    BadKeys,
    Key,
    StudyError,
    list_errors,
    suggest,
)
from sklenet.study.config.explain import explain_errors
from sklenet.study.config.factors import check_grids
from sklenet.study.config.overrides import apply_overrides, read_overrides
from sklenet.study.config.spec import Study, find_unknown_datasets
from sklenet.study.config.superfluous import find_superfluous
from sklenet.study.config.toml_file import find_key, find_line, read_toml
from sklenet.study.config.values import find_problem, short_repr

_MAX_ERRORS = 20
_MAX_LOCATED = 100  # a file may have a hundred thousand
_MAX_DATASETS = 5  # in a message
_MAX_MESSAGE = 4000  # characters; a key may be as long as the file

# The settings above another one, by name and dataset: settings on different datasets may
# have the same name.
_Above = dict[str, dict[str, dict]]
_ALL = "all datasets"


class _Source:
    """A study file with overrides, which locates errors.

    Parameters
    ----------
    path : Path
        The file.
    overrides : mapping of str to object, or iterable of str
        See `read_study`.
    """

    def __init__(self, path: Path, overrides: Mapping[str, Any] | Iterable[str]) -> None:
        self._path = path
        file = read_toml(path)
        self._text = file.text
        self._problems = file.problems
        self._problem_keys = [find_key(file.text, one.line) for one in file.problems]
        self._overrides = read_overrides(overrides)
        self._override_keys: list[Key] = []
        self.table = file.table
        if file.table is not None:
            self.table, self._override_keys = apply_overrides(file.table, self._overrides)

    def list_problems(self) -> list[str]:
        """Return the errors of TOML in the file, each with its line."""
        lines = []
        for line, message, is_explained in self._problems:
            key = ".".join(find_key(self._text, line))
            what = f"{key}: " if key and is_explained else ""
            kind = "" if is_explained else "not a TOML file: "
            lines.append(f"{self._path}:{line}: {kind}{what}{message}")
        return lines

    def is_in_problem(self, key: Key) -> bool:
        """Return whether a key, or the list or table that has it, is not valid TOML."""
        return any(key[: len(one)] == one for one in self._problem_keys)

    def find_line(self, key: Key) -> int:
        """Return the number of the line that sets a key, or 0."""
        return find_line(self._text, key) or 0

    def locate(self, key: Key, message: str) -> str:
        """Return a message with the line of its key in the file, or with its override."""
        message = message[:_MAX_MESSAGE]
        line = self.find_line(key)
        for override, path in zip(self._overrides, self._override_keys, strict=True):
            is_new = key and not line and path[: len(key)] == key
            if key[: len(path)] == path or is_new:
                return f"{override.source}: {message}"
        if self._overrides:
            message += f" (With {', '.join(one.source for one in self._overrides)}.)"
        return f"{self._path}:{line}: {message}" if line else f"{self._path}: {message}"


def read_study(
    path,
    datasets: Collection[str] = (),
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
) -> Study:
    """Read and check a study file.

    Parameters
    ----------
    path : str or path-like
        The file, in TOML. Paths of datasets in it are relative to its folder.
    datasets : collection of str, default=()
        Names of datasets that :func:`run_study` is given as arrays.
    overrides : mapping of str to object, or iterable of str, default=()
        Values that replace those of the file, or are added to them, by their dotted keys:
        ``{"estimator.max_epochs": 1, "setting.0.estimator.lr": 0.01}``. Tables in an array
        are given by their position or their name. They may also be texts ``KEY=VALUE``, as
        for the option ``--set`` of ``sklenet study``.

    Returns
    -------
    Study

    Raises
    ------
    StudyError
        If the file cannot be read, or the study in it is not valid. The message has a line
        for each error.
    """
    source = _Source(Path(path), overrides)
    messages, n_more = source.list_problems(), 0
    if source.table is not None:
        problem = find_problem(source.table, finite=False)
        if problem is not None:
            key, message = problem
            raise StudyError(source.locate(key, f"{'.'.join(key)} {message}."))
        table, errors = _inherit(source.table)
        table = _replace_none(table)
        context = {"folder": Path(path).absolute().parent, "arrays": tuple(datasets)}
        try:
            study = Study.model_validate(table, context=context)
        except ValidationError as error:
            errors += explain_errors(error)
            # If another value is not valid, these have not been checked.
            known = [one.key for one in errors]
            unchecked = check_grids(table) + find_unknown_datasets(table, datasets)
            errors += [one for one in unchecked if one.key not in known]
        else:
            errors += find_superfluous(study)
            if not messages and not errors:
                return study
        # An error about a value that is not TOML would be about one that was meant.
        errors = [error for error in errors if not source.is_in_problem(error.key)]
        n_errors, errors = len(errors), errors[:_MAX_LOCATED]
        errors.sort(key=lambda error: source.find_line(error.key))
        messages += [source.locate(error.key, str(error)) for error in errors]
        n_more = n_errors - len(errors)
    messages = list(dict.fromkeys(messages))
    n_more += max(0, len(messages) - _MAX_ERRORS)
    if n_more:
        messages[_MAX_ERRORS:] = [f"and {n_more:,} more errors"]
    raise StudyError("\n".join(messages))


def locate_error(
    path, error: BadKey | BadKeys, overrides: Mapping[str, Any] | Iterable[str] = ()
) -> StudyError:
    """Return an error with the file and the line of its key, or its override.

    Parameters
    ----------
    path : path-like
        The file from which the study has been read.
    error : BadKey or BadKeys
    overrides : mapping of str to object, or iterable of str, default=()
        The overrides with which it has been read.
    """
    source = _Source(Path(path), overrides)
    lines = [source.locate(one.key, str(one)) for one in list_errors(error)]
    return StudyError("\n".join(lines))


def _inherit(table: dict) -> tuple[dict, list[BadKey]]:
    """Return a study in which settings have the values of those they are ``like``."""
    settings = table.get("setting")
    if not isinstance(settings, list):
        return table, []  # rejected later, for its type
    above: _Above = {}
    inherited, errors = [], []
    for k, setting in enumerate(settings):
        if isinstance(setting, dict):
            own = dict(setting)
            if "like" in own:
                try:
                    setting = _inherit_from(own.pop("like"), own, above)
                except BadKey as error:
                    key = ("setting", str(k), "like")
                    errors.append(BadKey(key, error.message))
                    setting = own
            of_name = above.setdefault(str(own.get("name")), {})
            of_name |= dict.fromkeys(_list_datasets(setting) or [_ALL], setting)
        inherited.append(setting)
    return table | {"setting": inherited}, errors


def _inherit_from(name, own: dict, above: _Above) -> dict:
    if not isinstance(name, str) or name not in above:
        raise BadKey(
            (),
            f"must be the name of a setting above. Got {short_repr(name)}."
            f"{suggest(str(name), above)}",
        )
    base = _find_base(name, own, above[name])
    inherited, parameters = base.get("estimator"), own.get("estimator")
    if isinstance(inherited, dict) and isinstance(parameters, dict):
        own["estimator"] = inherited | parameters
    return base | own


def _find_base(name: str, own: dict, of_name: dict[str, dict]) -> dict:
    """Return the setting of a name; of several, the one that is on the own datasets."""
    found: list[dict | None] = list(of_name.values())
    if any(setting is not found[0] for setting in found):
        found = [of_name.get(d, of_name.get(_ALL)) for d in _list_datasets(own)]
    base = found[0] if found else None
    if base is None or any(setting is not base for setting in found):
        datasets = ", ".join(list(of_name)[:_MAX_DATASETS])
        raise BadKey(
            (),
            f"{short_repr(name)} is the name of several settings above, on {datasets}."
            " The 'data' of this setting must be datasets of one of them. Got"
            f" {short_repr(own.get('data'))}.",
        )
    return base


def _list_datasets(setting: dict) -> list[str]:
    """Return the names of a setting's own datasets; there are none if it is on all."""
    data = setting.get("data")
    return [str(name) for name in data] if isinstance(data, list) else []


def _replace_none(value, is_parameter: bool = False):
    """Return the table with None for "none" as the value of parameters.

    TOML has no value for None.
    """
    if isinstance(value, dict):
        return {
            key: _replace_none(item, is_parameter or key in ("estimator", "grid", "steps"))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_replace_none(item, is_parameter) for item in value]
    return None if is_parameter and value == "none" else value
