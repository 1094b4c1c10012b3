"""Reading a study file.

Everything about a study is checked before anything is trained. Errors name the file, the
line, the key, its value, and what is allowed.
"""

from collections.abc import Collection
from pathlib import Path

from pydantic import ValidationError

from sklenet.study.config.errors import BadKey, Key, StudyError, suggest
from sklenet.study.config.explain import explain_errors
from sklenet.study.config.spec import Study
from sklenet.study.config.toml_file import find_line, read_toml
from sklenet.study.config.values import find_problem, short_repr

_MAX_ERRORS = 20
_MAX_MESSAGE = 4000  # characters; a key may be as long as the file


def read_study(path, datasets: Collection[str] = ()) -> Study:
    """Read and check a study file.

    Parameters
    ----------
    path : str or path-like
        The file, in TOML. Paths of datasets in it are relative to its folder.
    datasets : collection of str, default=()
        Names of datasets that :func:`run_study` is given as arrays.

    Returns
    -------
    Study

    Raises
    ------
    StudyError
        If the file cannot be read, or the study in it is not valid.
    """
    path = Path(path)
    text, table = read_toml(path)
    problem = find_problem(table, finite=False)
    if problem is not None:
        key, message = problem
        raise StudyError(_locate(path, text, key, f"{'.'.join(key)} {message}."))
    try:
        context = {"folder": path.absolute().parent, "arrays": tuple(datasets)}
        return Study.model_validate(_replace_none(_inherit(table)), context=context)
    except ValidationError as error:
        errors = explain_errors(error)
    except BadKey as error:
        errors = [error]
    raise StudyError(
        "\n".join(_locate(path, text, one.key, str(one)) for one in errors[:_MAX_ERRORS])
    )


def locate_error(path, error: BadKey) -> StudyError:
    """Return an error with the file and the line of its key.

    Parameters
    ----------
    path : path-like
        The file from which the study has been read.
    error : BadKey
    """
    text, _ = read_toml(Path(path))
    return StudyError(_locate(Path(path), text, error.key, str(error)))


def _locate(path: Path, text: str, key: Key, message: str) -> str:
    line, message = find_line(text, key), message[:_MAX_MESSAGE]
    return f"{path}:{line}: {message}" if line else f"{path}: {message}"


def _inherit(table: dict) -> dict:
    """Return a study in which settings have the values of those they are ``like``."""
    settings = table.get("setting")
    if not isinstance(settings, list):
        return table  # rejected later, for its type
    # Settings of different datasets may have the same name: the last one above counts.
    above: dict[str, dict] = {}
    inherited = []
    for k, setting in enumerate(settings):
        if isinstance(setting, dict):
            own = dict(setting)
            if "like" in own:
                setting = _inherit_from(own.pop("like"), own, above, str(k))
            above[str(own.get("name"))] = setting
        inherited.append(setting)
    return table | {"setting": inherited}


def _inherit_from(name, own: dict, above: dict[str, dict], position: str) -> dict:
    if not isinstance(name, str) or name not in above:
        raise BadKey(
            ("setting", position, "like"),
            f"must be the name of a setting above. Got {short_repr(name)}."
            f"{suggest(str(name), above)}",
        )
    base = above[name]
    inherited, parameters = base.get("estimator"), own.get("estimator")
    if isinstance(inherited, dict) and isinstance(parameters, dict):
        own["estimator"] = inherited | parameters
    return base | own


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
