"""The candidate that a record of a search belongs to."""

from typing import Any

from sklenet.study.config.pipelines import make_pipeline
from sklenet.study.config.searches import SettingsSearch
from sklenet.study.config.spec import Study
from sklenet.study.config.values import format_label
from sklenet.study.engine.evaluate import describe_pipeline

# Parameters that the engine sets.
_SET_BY_ENGINE = ("random_state", "image_shape")


def describe_candidate(study: Study, record: dict) -> dict[str, str]:
    """Return the values of the factors by which a candidate differs from the others.

    Parameters
    ----------
    study : Study
    record : dict
        Record of kind "fold" or "trial".

    Returns
    -------
    dict of str to str
        Values by the names of the factors in the study, or the name of the setting; empty
        if the record does not belong to the search of the study.
    """
    search = study.search
    if search is None:
        return {}
    if isinstance(search, SettingsSearch):
        return _find_setting(study, record)
    steps = dict(record.get("steps", []))
    values = {name: _get_value(name, record["params"], steps) for name in search.grid}
    return {name: format_label(v) for name, v in values.items() if v is not _MISSING}


_MISSING = object()


def _get_value(name: str, params: dict, steps: dict[str, dict]) -> Any:
    """Return the value of a factor: a parameter, or that of a step, or the step."""
    if name in params:  # those of a trial include steps
        return params[name]
    step, separator, parameter = name.partition("__")
    if separator:
        return steps.get(step, {}).get(parameter, _MISSING)
    return "on" if step in steps else "passthrough"


def _find_setting(study: Study, record: dict) -> dict[str, str]:
    """Return the name of the setting that a fold of a search belongs to."""
    wanted = _drop_set(record["params"]), record.get("steps", [])
    for setting in study.list_settings(record["data"]):
        found = describe_pipeline(make_pipeline(study, setting))
        if (_drop_set(found["params"]), found["steps"]) == wanted:
            return {"setting": setting.name}
    return {}


def _drop_set(params: dict) -> dict:
    return {name: v for name, v in params.items() if name not in _SET_BY_ENGINE}
