"""The number of fits of a study, and an estimate of their time."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from sklearn.base import clone

from sklenet._utils.printable import make_printable
from sklenet.study.config.pipelines import CLASSIFIER, make_pipeline
from sklenet.study.config.searches import HalvingSearch, SettingsSearch
from sklenet.study.config.spec import Study
from sklenet.study.config.tables import Setting
from sklenet.study.engine.data import load_training_data, make_sample
from sklenet.study.engine.evaluate import train
from sklenet.study.engine.fit import clone_with_seed
from sklenet.study.engine.journal import count_fits_in
from sklenet.study.engine.plan import WINNER, plan_jobs
from sklenet.study.engine.records import RECORDS, StudyJournal


class FitGroup(NamedTuple):
    """A number of fits that take about the same time.

    Parameters
    ----------
    what : str
        What is fitted.
    n_fits : int
    fraction : float
        Fraction of the training set on which each is trained.
    epochs : int
    """

    what: str
    n_fits: int
    fraction: float
    epochs: int


def group_fits(study: Study, data: str) -> Iterator[FitGroup]:
    """Yield the fits on a dataset, by groups that take about the same time."""
    held_out = study.validation if isinstance(study.validation, float) else 0.0
    share = _find_share(study, data)
    if study.search is None:
        for setting in study.list_settings(data):
            epochs = make_pipeline(study, setting)[-1].max_epochs
            n_seeds = len(setting.seeds or study.seeds)
            name = f"setting {make_printable(setting.name)!r}"
            fraction = _find_share(study, data, setting) * (1 - held_out)
            yield FitGroup(name, n_seeds, fraction, epochs)
        return
    epochs = make_pipeline(study)[-1].max_epochs
    for group in _group_candidates(study, data, share, epochs):
        yield group
        epochs = group.epochs  # the winner of a halving search has those of the last round
    yield FitGroup(f"the {WINNER}", len(study.seeds), share * (1 - held_out), epochs)


def _group_candidates(
    study: Study, data: str, share: float, epochs: int
) -> Iterator[FitGroup]:
    """Yield the fits of the search, by rounds if it halves."""
    search = study.search
    assert search is not None
    fraction = 1 - 1 / search.cv
    if isinstance(search, HalvingSearch):
        n_images = study.get_dataset(data).n_images["train"]
        n_classes = study.get_dataset(data).n_classes
        for n, resource in search.list_rounds(round(share * n_images), n_classes):
            name = f"a round of {n} candidates x {search.cv} folds"
            if search.resource == "max_epochs":
                yield FitGroup(name, n * search.cv, fraction * share, resource)
            else:
                yield FitGroup(name, n * search.cv, fraction * resource / n_images, epochs)
        return
    if isinstance(search, SettingsSearch):
        n, what = len(study.list_settings(data)), "settings"
    else:
        n, what = search.n_candidates, "candidates"
    name = f"{n} {what} x {search.cv} folds"
    yield FitGroup(name, n * search.cv, fraction * share, epochs)


def count_planned_fits(study: Study) -> int:
    """Return the number of fits of the whole study."""
    return sum(group.n_fits for data in study.data for group in group_fits(study, data))


def count_finished_fits(study: Study, records: Iterable[dict]) -> int:
    """Return the number of fits of the study that are in the records."""
    if study.search:
        return sum(count_fits_in(one) for one in records if one.get("data") in study.data)
    finished = {one.get("key") for one in records if count_fits_in(one)}
    if not finished:
        return 0
    planned = {job.make_key(study) for data in study.data for job in plan_jobs(study, data)}
    return len(planned & finished)


def estimate(study: Study, out, *, n_jobs: int = 1) -> tuple[list[str], dict]:
    """Estimate the time that the fits of a study take.

    The estimate is based on one epoch with the parameters of the study itself on each data
    set, which is trained now, with as many threads as each of `n_jobs` parallel fits has.

    Parameters
    ----------
    study : Study
    out : path-like
        Folder of all results.
    n_jobs : int, default=1
        Number of fits in parallel.

    Returns
    -------
    lines : list of str
        The fits and their time, as text.
    values : dict
        The same as values.
    """
    n_parallel = max(1, n_jobs) if n_jobs > 0 else os.cpu_count() or 1
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // n_parallel))
    lines, groups = [f"{study.name}: {make_printable(study.title)}"], []
    seconds, errors = 0.0, []
    try:
        for data in study.data:
            n_images = study.get_dataset(data).n_images["train"]
            X, y = _load_largest(study, data)
            epoch, error = _time_epoch(study, X, y)
            if error is None:
                lines.append(f"{data}: one epoch of {len(y):,} images takes {epoch:.1f} s")
            else:
                lines.append(
                    f"{data}: one epoch with the parameters of the study failed: {error}"
                )
                errors.append(error)
            for group in group_fits(study, data):
                images = round(group.fraction * n_images)
                total = group.n_fits * images / len(y) * group.epochs * epoch
                seconds += total / min(n_parallel, group.n_fits)
                lines.append(
                    f"  {group.what}: {group.n_fits} fits of {images:,} images,"
                    f" {group.epochs} epochs"
                )
                groups.append(_to_values(data, group, images))
    finally:
        torch.set_num_threads(threads)
    n_fits = sum(group["n_fits"] for group in groups)
    done = count_finished_fits(study, StudyJournal(Path(out) / study.name / RECORDS))
    lines.append(
        f"{n_fits} fits, {done} of them done; about {_format_duration(seconds)} for all"
        f" of them with --n-jobs {n_jobs}"
    )
    return lines, {
        "name": study.name,
        "batches": groups,
        "fits": n_fits,
        "done": done,
        "seconds": seconds,
        "errors": errors,
    }


def _find_share(study: Study, data: str, setting: Setting | None = None) -> float:
    """Return the fraction of the training set that a setting uses."""
    n_train = study.get_n_train(setting)
    return 1.0 if n_train is None else n_train / study.get_dataset(data).n_images["train"]


def _load_largest(study: Study, data: str):
    """Return X and y of the largest number of training images that fits use."""
    if study.search:
        sizes = [study.get_n_train()]
    else:
        sizes = [study.get_n_train(setting) for setting in study.list_settings(data)]
    n_train = None if None in sizes else max(filter(None, sizes), default=None)
    return load_training_data(study.get_dataset(data), make_sample(study, n_train, 0))


def _to_values(data: str, group: FitGroup, images: int) -> dict:
    """Return a group of fits as the command prints it in JSON."""
    return {
        "data": data,
        "what": group.what,
        "n_fits": group.n_fits,
        "part": group.fraction,
        "epochs": group.epochs,
        "images": images,
    }


def _time_epoch(study: Study, X, y) -> tuple[float, str | None]:
    """Return the seconds of an epoch, and the error if training fails."""
    pipeline = clone_with_seed(clone(make_pipeline(study)), 0)
    pipeline.set_params(
        **{f"{CLASSIFIER}__max_epochs": 1, f"{CLASSIFIER}__early_stopping": False}
    )
    n_few = min(len(y), 1000)
    for rows in (slice(n_few), slice(None)):  # the first fit is slower than all others
        start = time.perf_counter()
        trained = train(pipeline, X[rows], y[rows])
        if "error" in trained.record:
            return 0.0, trained.record["error"]
    return time.perf_counter() - start, None


def _format_duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
