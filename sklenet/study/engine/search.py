"""The search of a study, by scikit-learn or Optuna. Every fit is journalled."""

import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from sklearn.pipeline import Pipeline

from sklenet.study.config.pipelines import make_pipeline, to_search_name, to_study_name
from sklenet.study.config.searches import OptunaSearch, SettingsSearch
from sklenet.study.config.spec import Study
from sklenet.study.engine.data import find_fingerprint, load_rows, make_sample
from sklenet.study.engine.evaluate import to_jsonable
from sklenet.study.engine.fit import (
    Evaluation,
    JournalledFit,
    clone_with_seed,
    make_folds,
)
from sklenet.study.engine.plan import hash_search, make_winner
from sklenet.study.engine.records import StudyJournal
from sklenet.study.engine.trials import FitByEpochs, search_by_trials


def search(
    study: Study,
    data: str,
    journal: Path,
    run: int,
    n_jobs: int | None,
    echo: Callable[[str], None],
) -> Pipeline | None:
    """Search on the training set of a dataset, and journal the result.

    Parameters
    ----------
    study : Study
        A study with a search.
    data : str
        Name of the dataset.
    journal : Path
    run : int
        Number of the run, for the records.
    n_jobs : int or None
        Number of fits in parallel.
    echo : callable
        Called with a line of text if every candidate has failed.

    Returns
    -------
    Pipeline or None
        The winner, unfitted. None if every candidate has failed.
    """
    dataset = study.get_dataset(data)
    pipeline = clone_with_seed(make_pipeline(study, None, dataset), study.seeds[0])
    fit_type = FitByEpochs if isinstance(study.search, OptunaSearch) else JournalledFit
    evaluation = Evaluation(study.metrics)
    candidate = fit_type(pipeline, dataset, evaluation, journal, run, study)
    # scikit-learn prints to stdout, which is for the table.
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One or more of the test scores are non-finite")
        cv_results, best = _compare(study, candidate, n_jobs)
    has_winner = bool(np.isfinite(cv_results["mean_test_score"][best]))
    results = _to_record(cv_results)
    record = {
        "kind": "search",
        "of": hash_search(study, data),
        "data": data,
        "best": best if has_winner else None,
        "cv_results": results,
    }
    # Records of older versions have no fingerprint.
    known = [one | {"fingerprint": None} for one in StudyJournal(journal)]
    if record | {"fingerprint": None} not in known:
        StudyJournal(journal).append(record | {"fingerprint": find_fingerprint(dataset)})
    if not has_winner:
        echo(f"{data}: every candidate failed")
        return None
    return make_winner(study, data, results["params"][best])


def _compare(
    study: Study, candidate: JournalledFit, n_jobs: int | None
) -> tuple[dict, int]:
    """Compare the candidates; return ``cv_results_`` and the index of the best."""
    if isinstance(study.search, OptunaSearch):
        results = search_by_trials(study, study.search, candidate, n_jobs)
        return results, int(results["rank_test_score"].argmin())
    if isinstance(study.search, SettingsSearch):
        return _compare_settings(study, study.search, candidate, n_jobs)
    assert study.search is not None
    found = study.search.make_search(
        candidate,
        to_search_name,
        seed=study.seeds[0],
        cv=make_folds(study),
        n_jobs=n_jobs,
    ).fit(*_load_rows(study, candidate))
    return found.cv_results_, int(found.best_index_)


def _load_rows(study: Study, candidate: JournalledFit):
    """Return the numbers of the training images of a search, and their labels."""
    sample = make_sample(study, study.get_n_train(), study.seeds[0])
    return load_rows(candidate.dataset, sample)


def _compare_settings(
    study: Study, spec: SettingsSearch, candidate: JournalledFit, n_jobs: int | None
) -> tuple[dict, int]:
    """Compare the settings of the study; in the result they are known by their names."""
    settings = study.list_settings(candidate.dataset.name)
    pipelines = [
        clone_with_seed(make_pipeline(study, setting, candidate.dataset), study.seeds[0])
        for setting in settings
    ]
    found = spec.make_comparison(candidate, pipelines, cv=make_folds(study), n_jobs=n_jobs)
    found.fit(*_load_rows(study, candidate))
    names = [setting.name for setting in settings]
    results = {
        name: values
        for name, values in found.cv_results_.items()
        if name != "param_pipeline"
    }
    results["param_setting"] = names
    results["params"] = [{"setting": name} for name in names]
    return results, int(found.best_index_)


def _to_record(cv_results: dict) -> dict:
    """Return ``cv_results_`` by the names in the study, for JSON.

    Times are left out: they are not those of fits that were already in the journal. The
    records of the folds have the times.
    """
    record = {
        to_study_name(name): np.ma.asarray(values, dtype=object).tolist()
        for name, values in cv_results.items()
        if not name.endswith("_time") and name != "params"
    }
    record["params"] = [
        {to_study_name(name): value for name, value in params.items()}
        for params in cv_results["params"]
    ]
    return to_jsonable(record)
