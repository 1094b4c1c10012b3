"""How many fits a study is, and about how long they take."""

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from sklearn.base import clone

from sklenet._utils.printable import printable
from sklenet.study.config.pipelines import CLASSIFIER, make_pipeline
from sklenet.study.config.rules import n_combinations
from sklenet.study.config.spec import Search, Study
from sklenet.study.engine.evaluate import train
from sklenet.study.engine.fit import clone_with_seed, load_data
from sklenet.study.engine.journal import count_fits_in
from sklenet.study.engine.plan import WINNER, plan_jobs
from sklenet.study.engine.records import RECORDS, StudyJournal


class Batch(NamedTuple):
    """Fits of the same kind: how many, on which part of the training set, how long.

    Parameters
    ----------
    what : str
    n_fits : int
    part : float
    epochs : int
    """

    what: str
    n_fits: int
    part: float
    epochs: int


def batches(study: Study, data: str) -> Iterator[Batch]:
    """Give the fits on a data set."""
    epochs = make_pipeline(study)[-1].max_epochs
    search = study.search
    whole = 1 - study.validation if isinstance(study.validation, float) else 1.0
    if search is None:
        for setting in study.settings_for(data):
            own = make_pipeline(study, setting)[-1].max_epochs
            seeds = setting.seeds or study.seeds
            yield Batch(f"setting {printable(setting.name)!r}", len(seeds), whole, own)
        return
    part = 1 - 1 / search.cv
    if search.kind == "settings":
        n = len(study.settings_for(data))
        yield Batch(f"{n} settings x {search.cv} folds", n * search.cv, part, epochs)
    elif search.kind == "random":
        n = search.n_iter or 0
        if not any(isinstance(values, Mapping) for values in search.grid.values()):
            n = min(n, n_combinations(search.grid))
        yield Batch(f"{n} drawn x {search.cv} folds", n * search.cv, part, epochs)
    elif search.kind == "optuna":
        n = search.n_iter or 0
        yield Batch(f"{n} tried x {search.cv} folds", n * search.cv, part, epochs)
    elif search.kind == "grid":
        n = n_combinations(search.grid)
        yield Batch(f"{n} candidates x {search.cv} folds", n * search.cv, part, epochs)
    else:
        for n, of_epochs, of_rows in _rounds(search, data, epochs):
            what = f"a round of {n} candidates x {search.cv} folds"
            yield Batch(what, n * search.cv, part * of_rows, of_epochs)
            epochs = of_epochs  # the winner's are those of its round
    yield Batch(f"the {WINNER}", len(study.seeds), whole, epochs)


def _rounds(search: Search, data: str, epochs: int) -> Iterator[tuple[int, int, float]]:
    """Give each round's candidates, epochs and part of the rows, as scikit-learn halves."""
    n = n_combinations(search.grid)
    factor = search.factor or 3
    n_rows = len(load_data(data, "train")[1])
    largest = search.max_resources or n_rows
    wanted = 1 + math.floor(math.log(n, factor))
    # "exhaust": the last round has all there is.
    smallest = search.min_resources or max(
        largest // factor ** (wanted - 1), search.cv * 2 * 10
    )
    possible = 1 + math.floor(math.log(max(1, largest // smallest), factor))
    for k in range(min(wanted, possible)):
        resource = min(smallest * factor**k, largest)
        if search.resource == "max_epochs":
            yield n, resource, 1.0
        else:
            yield n, epochs, resource / n_rows
        n = math.ceil(n / factor)


def count_planned_fits(study: Study) -> int:
    """Return the number of fits of the whole study."""
    return sum(batch.n_fits for data in study.data for batch in batches(study, data))


def count_finished_fits(study: Study, records: Iterable[dict]) -> int:
    """Return how many of the study's fits the records have."""
    if study.search:
        return sum(count_fits_in(one) for one in records if one.get("data") in study.data)
    done = {one.get("key") for one in records if count_fits_in(one)}
    if not done:
        return 0
    asked = {job.make_key(study) for data in study.data for job in plan_jobs(study, data)}
    return len(asked & done)


def estimate(study: Study, out, *, n_jobs: int = 1) -> tuple[list[str], dict]:
    """Return what a study would do, as lines of text and as values.

    The time is that of one epoch of the study's own parameters on each data set, trained
    here and now with the threads that one of `n_jobs` has.
    """
    at_once = max(1, n_jobs) if n_jobs > 0 else os.cpu_count() or 1
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // at_once))
    lines, seconds, values = [f"{study.name}: {printable(study.title)}"], 0.0, []
    errors: list[str] = []
    try:
        for data in study.data:
            X, y = load_data(data, "train")
            of_epoch, error = _time_epoch(study, X, y)
            lines.append(
                f"{data}: one epoch of {len(y):,} images takes {of_epoch:.1f} s"
                if error is None
                else f"{data}: one epoch of the study's own parameters failed: {error}"
            )
            errors += [] if error is None else [error]
            for batch in batches(study, data):
                images = round(batch.part * len(y))
                took = batch.n_fits * batch.part * batch.epochs * of_epoch
                seconds += took / min(at_once, batch.n_fits)
                lines.append(
                    f"  {batch.what}: {batch.n_fits} fits of {images:,} images,"
                    f" {batch.epochs} epochs"
                )
                values.append({"data": data} | batch._asdict() | {"images": images})
    finally:
        torch.set_num_threads(threads)
    done = count_finished_fits(study, StudyJournal(Path(out) / study.name / RECORDS))
    total = sum(value["n_fits"] for value in values)
    lines.append(
        f"{total} fits, {done} of them done; about {_duration(seconds)} for all of them"
        f" with --n-jobs {n_jobs}"
    )
    totals = {"fits": total, "done": done, "seconds": seconds, "errors": errors}
    return lines, {"name": study.name, "batches": values} | totals


def _time_epoch(study: Study, X, y) -> tuple[float, str | None]:
    """Return the seconds that an epoch takes; the error instead, if training fails."""
    pipeline = clone_with_seed(clone(make_pipeline(study)), 0)
    pipeline.set_params(
        **{f"{CLASSIFIER}__max_epochs": 1, f"{CLASSIFIER}__early_stopping": False}
    )
    few = min(len(y), 1000)
    for rows in (slice(few), slice(None)):  # the first time is always slower
        start = time.perf_counter()
        trained = train(pipeline, X[rows], y[rows])
        if "error" in trained.record:
            return 0.0, trained.record["error"]
    return time.perf_counter() - start, None


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
