"""A study's search, by scikit-learn's own classes, over fits that are journalled."""

import sys
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import replace

import numpy as np
import scipy.stats
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
)
from sklearn.pipeline import Pipeline

from sklenet.study.config.pipelines import PREFIX, make_pipeline, qualified, short
from sklenet.study.config.spec import Search, Study
from sklenet.study.engine.evaluate import to_jsonable
from sklenet.study.engine.fit import Evaluation, JournalledFit, clone_with_seed, load_data
from sklenet.study.engine.plan import hash_search, make_winner
from sklenet.study.engine.records import StudyJournal
from sklenet.study.engine.trials import FitByEpochs, search_by_trials

# The winner is trained by its seeds, later; a fit that fails is a record, not an error.
_JOURNALLED: dict = {"refit": False, "error_score": "raise"}


def search(study: Study, data: str, journal, run: int, n_jobs, echo) -> Pipeline | None:
    """Search on the training set of `data`, and journal the result.

    Returns
    -------
    Pipeline or None
        The winner, unfitted; None where every candidate failed.
    """
    spec = study.search
    assert spec is not None
    _, y = load_data(data, "train")
    rows = np.arange(len(y)).reshape(-1, 1)
    folds = StratifiedKFold(spec.cv, shuffle=True, random_state=study.seeds[0])
    kind = FitByEpochs if spec.kind == "optuna" else JournalledFit
    candidate = kind(
        clone_with_seed(make_pipeline(study), study.seeds[0]),
        data,
        Evaluation(study.metrics),
        journal,
        run,
    )
    # scikit-learn prints to stdout, which is the table's.
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One or more of the test scores are non-finite")
        if spec.kind == "settings":
            settings = study.settings_for(data)
            pipelines = [
                clone_with_seed(make_pipeline(study, setting), study.seeds[0])
                for setting in settings
            ]
            found = GridSearchCV(
                candidate, {"pipeline": pipelines}, cv=folds, n_jobs=n_jobs, **_JOURNALLED
            ).fit(rows, y)
            results, best = found.cv_results_, int(found.best_index_)
            del results["param_pipeline"]
            results["param_setting"] = [setting.name for setting in settings]
            results["params"] = [{"setting": setting.name} for setting in settings]
            winner = pipelines[best]
        elif spec.kind == "optuna":
            # With more of them, the first are the same.
            any_number = replace(study, search=replace(spec, n_iter=None))
            seed, of = study.seeds[0], hash_search(any_number)
            results = search_by_trials(spec, candidate, folds, rows, y, seed, of, n_jobs)
            best = int(results["rank_test_score"].argmin())
            winner = make_winner(study, data, results["params"][best])
            winner = clone_with_seed(winner, seed)
        else:
            found = make_search(spec, candidate, folds, n_jobs, study.seeds[0]).fit(rows, y)
            results, best = found.cv_results_, int(found.best_index_)
            winner = clone(candidate).set_params(**found.best_params_).pipeline
    failed = bool(np.isnan(results["mean_test_score"][best]))
    record = {
        "kind": "search",
        "of": hash_search(study),
        "data": data,
        "best": None if failed else best,
        "cv_results": _without_times_and_prefixes(results),
    }
    if record not in list(StudyJournal(journal)):
        StudyJournal(journal).append(record)
    if failed:
        echo(f"{data}: every candidate failed")
    return None if failed else winner


def make_search(spec: Search, candidate: JournalledFit, folds, n_jobs, seed: int):
    """Return scikit-learn's search, unfitted."""
    options = {"cv": folds, "n_jobs": n_jobs, **_JOURNALLED}
    grid = {PREFIX + qualified(name): _values(values) for name, values in spec.grid.items()}
    if spec.kind == "grid":
        return GridSearchCV(candidate, grid, **options)
    if spec.kind == "random":
        return RandomizedSearchCV(
            candidate, grid, n_iter=spec.n_iter, random_state=seed, **options
        )
    given = {
        key: getattr(spec, key)
        for key in ("min_resources", "max_resources", "factor")
        if getattr(spec, key) is not None
    }
    resource: str | None = spec.resource
    if resource == "max_epochs":
        resource = PREFIX + qualified(resource)
    return HalvingGridSearchCV(
        candidate,
        grid,
        resource=resource,
        return_train_score=False,
        random_state=seed,
        **given,
        **options,
    )


def _values(values):
    """Return a grid's list, or scipy's distribution of that name."""
    if not isinstance(values, Mapping):
        return list(values)
    ((name, (low, high)),) = values.items()
    if name == "uniform":
        return scipy.stats.uniform(low, high - low)
    return getattr(scipy.stats, name)(low, high)


def _without_times_and_prefixes(results) -> dict:
    """Return ``cv_results_`` under the study's own names, for JSON.

    The times are left out: of fits that the journal had they say nothing. The journal's
    records of the folds have them.
    """
    plain_results = {
        short(name): np.ma.asarray(values, dtype=object).tolist()
        for name, values in results.items()
        if not name.endswith("_time") and name != "params"
    }
    plain_results["params"] = [
        {short(name): value for name, value in params.items()}
        for params in results["params"]
    ]
    return to_jsonable(plain_results)
