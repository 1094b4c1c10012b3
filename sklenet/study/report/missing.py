"""The fits of a study that are not in its journal yet."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.pipeline import Pipeline

from sklenet.study.config.pipelines import make_candidate, make_pipeline
from sklenet.study.config.searches import (
    HalvingSearch,
    OptunaSearch,
    RandomSearch,
    SettingsSearch,
    make_param_grid,
)
from sklenet.study.config.spec import Study
from sklenet.study.engine.data import load_rows, make_sample
from sklenet.study.engine.fit import (
    clone_with_seed,
    hash_rows,
    make_fit_key,
    make_folds,
)
from sklenet.study.engine.plan import WINNER, hash_trials, plan_jobs
from sklenet.study.report.results import Results


class MissingFits(NamedTuple):
    """Fits that are not in the journal of a study.

    Parameters
    ----------
    data : str
        Name of the dataset.
    what : str
        What is missing, and how much of it.
    n_fits : int
        Number of fits.
    """

    data: str
    what: str
    n_fits: int


def list_missing_fits(results: Results) -> list[MissingFits]:
    """Return the fits that a study requests and its journal does not have.

    Parameters
    ----------
    results : Results

    Returns
    -------
    list of MissingFits
        Empty if the study is finished. Of a search by successive halving, and of one on
        images that are not available, the records are counted; its missing fits are those
        of the plan.
    """
    return [one for data in results.study.data for one in _iter_missing(results, data)]


def _iter_missing(results: Results, data: str) -> Iterator[MissingFits]:
    study = results.study
    if study.search is not None and data not in results.searches:
        done, total = _count_search(results, data)
        yield MissingFits(
            data, f"{total - done} of {total} fits of the search", total - done
        )
        n_seeds = len(study.seeds)
        yield MissingFits(data, f"{n_seeds} of {n_seeds} fits of the {WINNER}", n_seeds)
        return
    finished = {record.get("key") for record in results.records if record["kind"] == "fit"}
    missing: dict[str, list[int]] = {}
    for job in plan_jobs(study, data, results.winner(data)):
        if job.make_key(study) not in finished:
            missing.setdefault(job.setting, []).append(job.seed)
    for setting, seeds in missing.items():
        word = "seed" if len(seeds) == 1 else "seeds"
        what = f"{setting!r}, {word} {', '.join(map(str, seeds))}"
        yield MissingFits(data, what, len(seeds))


def _count_search(results: Results, data: str) -> tuple[int, int]:
    """Return the number of finished fits of a search, and of all of its fits."""
    study, search = results.study, results.study.search
    assert search is not None
    records = [record for record in results.records if record.get("data") == data]
    if isinstance(search, OptunaSearch):
        own = hash_trials(study, data)
        n_trials = sum(
            record["kind"] == "trial"
            and record["of"] == own
            and record["number"] < search.n_iter
            for record in records
        )
        return n_trials * search.cv, search.n_iter * search.cv
    finished = {record["key"] for record in records if record["kind"] == "fold"}
    dataset = study.get_dataset(data)
    sample = make_sample(study, study.get_n_train(), study.seeds[0])
    try:
        rows, y = load_rows(dataset, sample)
    except (OSError, ValueError):  # the images are not there, only the records
        if isinstance(search, SettingsSearch):
            n = len(study.list_settings(data))
        else:
            n = search.n_candidates
        return min(len(finished), n * search.cv), n * search.cv
    if isinstance(search, HalvingSearch):
        rounds = search.list_rounds(len(y), len(np.unique(y)))
        total = sum(n * search.cv for n, _ in rounds)
        return min(len(finished), total), total
    folds = [hash_rows(train.ravel()) for train, _ in _split(study, rows, y)]
    pipelines = [
        clone_with_seed(one, study.seeds[0]) for one in _iter_pipelines(study, data)
    ]
    keys = {
        make_fit_key(pipeline, data, fold, *study.metrics)
        for pipeline in pipelines
        for fold in folds
    }
    return len(keys & finished), len(keys)


def _split(study: Study, rows: np.ndarray, y: np.ndarray) -> Iterator[tuple]:
    for train, test in make_folds(study).split(rows, y):
        yield rows[train], rows[test]


def _iter_pipelines(study: Study, data: str) -> Iterator[Pipeline]:
    """Yield the pipelines of the candidates of a search whose candidates are known."""
    search, dataset = study.search, study.get_dataset(data)
    if isinstance(search, SettingsSearch):
        for setting in study.list_settings(data):
            yield make_pipeline(study, setting, dataset)
        return
    assert search is not None
    grid = make_param_grid(search.grid, str)
    if isinstance(search, RandomSearch):
        candidates = ParameterSampler(grid, search.n_iter, random_state=study.seeds[0])
    else:
        candidates = ParameterGrid(grid)
    for params in candidates:
        yield make_candidate(study, params, dataset)
