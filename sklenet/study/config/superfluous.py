"""Keys of a study file that would be ignored, and values that would be used twice.

They are errors in files only. Records of studies may be older than these checks.
"""

from collections.abc import Iterable, Iterator, Mapping

from sklenet.study.config.errors import BadKey, Key
from sklenet.study.config.searches import Distribution, HalvingSearch
from sklenet.study.config.spec import Study
from sklenet.study.config.tables import N_TRAIN
from sklenet.study.config.values import short_repr


def find_superfluous(study: Study) -> list[BadKey]:
    """Return an error for each key that the study ignores or that repeats a value.

    Parameters
    ----------
    study : Study
        A study that is valid otherwise.
    """
    errors = []
    if study.train_rows != "same" and not _has_subsets(study):
        errors.append(
            BadKey(("train_rows",), "requires 'n_train'. Set it, or remove this key.")
        )
    if study.validation_rows != "random" and not isinstance(study.validation, float):
        errors.append(
            BadKey(
                ("validation_rows",),
                "requires a fraction as 'validation'. Set it, or remove this key.",
            )
        )
    search = study.search
    if isinstance(search, HalvingSearch) and search.resource in study.estimator:
        errors.append(
            BadKey(
                ("estimator", search.resource),
                f"{search.resource!r} is the resource of the search, which sets it. Remove"
                " it here.",
            )
        )
    for key, values in _list_grids(study):
        repeated = _find_repeated(values)
        if repeated:
            errors.append(
                BadKey(
                    key,
                    f"{short_repr(repeated[0])} must not occur more than once. Got"
                    f" {short_repr(list(values))}.",
                )
            )
    return errors


def _has_subsets(study: Study) -> bool:
    """Return whether any fit uses a part of the training set."""
    return study.n_train is not None or any(
        table.n_train is not None or N_TRAIN in table.grid for table in study.setting_tables
    )


def _list_grids(study: Study) -> Iterator[tuple[Key, Iterable]]:
    """Yield the lists of values in all grids, with their keys."""
    grids: list[tuple[Key, Mapping]] = [
        (("setting", str(k), "grid"), table.grid)
        for k, table in enumerate(study.setting_tables)
    ]
    if study.search is not None:
        grids.append((("search", "grid"), study.search.grid))
    for key, grid in grids:
        for name, values in grid.items():
            if not isinstance(values, Distribution):
                yield (*key, name), values


def _find_repeated(values: Iterable) -> list:
    """Return the values that equal an earlier one, also if only one of them is an int."""
    seen: set = set()
    repeated = []
    for value in values:
        key = value if isinstance(value, int | float) else repr(value)
        if key in seen:
            repeated.append(value)
        seen.add(key)
    return repeated
