"""Run a study: scikit-learn searches, the winner is refitted per seed and tested once."""

import math
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from sklenet import datasets
from sklenet.estimator import LeNet5Classifier
from sklenet.study.journal import Journal
from sklenet.study.provenance import provenance
from sklenet.study.spec import Study

LOADERS: dict[str, Callable] = {
    "digits": datasets.load_digits,
    "mnist": datasets.fetch_mnist,
    "fashion_mnist": datasets.fetch_fashion_mnist,
    "cifar10": datasets.fetch_cifar10,
}

RECORDS = "records.jsonl"


def run_study(
    study: Study, out: Path, *, n_jobs: int | None = None, echo=lambda line: None
) -> Path:
    """Run `study` and write its records.

    Parameters
    ----------
    study : Study
    out : Path
        The folder of results; the study's own is ``out/<name>``.
    n_jobs : int, optional
        Of GridSearchCV.
    echo : callable
        Told a line of text at each step of progress.

    Returns
    -------
    Path
        The study's folder.

    Raises
    ------
    OSError
        If a data set is missing or the folder cannot be written.
    """
    # All data is read before any of it is trained on.
    data = {
        name: [
            LOADERS[name](subset=subset, return_X_y=True) for subset in ("train", "test")
        ]
        for name in study.data
    }
    folder = Path(out) / study.name
    journal = Journal(folder / RECORDS)
    journal.clear()
    journal.append(
        {"kind": "run", "study": TypeAdapter(Study).dump_python(study, mode="json")}
        | provenance()
    )
    for name, (train, test) in data.items():
        _run_one(study, name, train, test, journal, n_jobs, echo)
    return folder


def _run_one(study, name, train, test, journal, n_jobs, echo):
    base = LeNet5Classifier(**study.estimator, random_state=study.seeds[0])
    chosen, refitted, refit_seconds = base, None, 0.0
    if study.search:
        search = _search(study, base, train, n_jobs, echo, name)
        for record in _candidates(search):
            journal.append({"kind": "candidate", "data": name} | record)
        chosen = clone(base).set_params(**search.best_params_)
        # GridSearchCV has already trained the winner with the first seed.
        refitted, refit_seconds = search.best_estimator_, search.refit_time_

    for seed in study.seeds:
        if refitted is None:
            fitted = clone(chosen).set_params(random_state=seed, verbose=1)
            echo(f"{name}: training with seed {seed} on {len(train[1])} images")
            start = time.perf_counter()
            # The epochs are printed to stdout, which is the table's.
            with redirect_stdout(sys.stderr):
                fitted.fit(*train)
            seconds = time.perf_counter() - start
        else:
            fitted, seconds, refitted = refitted, refit_seconds, None
        record = {
            "kind": "fit",
            "data": name,
            "seed": seed,
            "params": _plain(
                {
                    key: value
                    for key, value in chosen.get_params().items()
                    if key not in ("random_state", "verbose")
                }
            ),
            "n_parameters": sum(p.numel() for p in fitted.module_.parameters()),
            "device": str(fitted.device_),
            "n_train": len(train[1]),
            "n_test": len(test[1]),
            "test_accuracy": fitted.score(*test),
            "seconds": seconds,
            "history": _plain(fitted.history_),
        }
        journal.append(record)
        echo(
            f"{name}: seed {seed}, {fitted.n_iter_} epochs in {seconds:.1f} s,"
            f" test accuracy {record['test_accuracy']:.4f}"
        )


def _search(study, base, train, n_jobs, echo, name):
    cv = StratifiedKFold(study.search.cv, shuffle=True, random_state=study.seeds[0])
    search = GridSearchCV(
        base, study.search.grid, cv=cv, n_jobs=n_jobs, verbose=3, error_score="raise"
    )
    echo(f"{name}: search on {len(train[1])} images")
    # scikit-learn prints a line per fit to stdout, which is the table's.
    with redirect_stdout(sys.stderr):
        search.fit(*train)
    return search


def _candidates(search):
    results = search.cv_results_
    for k, params in enumerate(results["params"]):
        folds = [results[f"split{i}_test_score"][k] for i in range(search.n_splits_)]
        yield _plain(
            {
                "params": params,
                "seed": search.estimator.random_state,
                "fold_accuracy": folds,
                "mean_accuracy": results["mean_test_score"][k],
                "rank": results["rank_test_score"][k],
                "fit_seconds": results["mean_fit_time"][k],
            }
        )


def _plain(value):
    """Return `value` with numpy's numbers as Python's, for JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    # JSON has no number for what diverged.
    return None if isinstance(value, float) and not math.isfinite(value) else value
