"""One fit of a study: done once, in whatever process, and journalled at once."""

import hashlib
import inspect
import json
import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from sklenet import datasets
from sklenet.study.config.pipelines import make_steps
from sklenet.study.engine.evaluate import Trained, record_errors, scores, test, train
from sklenet.study.engine.records import StudyJournal

LOADERS: dict[str, Callable] = {
    "digits": datasets.load_digits,
    "mnist": datasets.fetch_mnist,
    "fashion_mnist": datasets.fetch_fashion_mnist,
    "cifar10": datasets.fetch_cifar10,
}

# Parameters that change neither the weights nor the scores.
_IDLE = ("verbose",)


@lru_cache(maxsize=4)
def load_data(name: str, subset: str) -> tuple[np.ndarray, np.ndarray]:
    """Return X and y, read once per process."""
    return LOADERS[name](subset=subset, return_X_y=True)


def class_names(name: str) -> list[str]:
    """Return what the labels 0, 1, ... of a data set stand for."""
    return [str(one) for one in LOADERS[name](subset="test").target_names]


class Evaluation(NamedTuple):
    """How the fits of a study are scored.

    Parameters
    ----------
    metrics : tuple of str
        Names of scikit-learn's scorers.
    tests : tuple of (str, tuple of dict)
        Per test, its name and the steps before the fitted pipeline.
    validation : float or "test", optional
        The part of the training rows held out, or the test rows.
    validation_rows : {"random", "first"}
    """

    metrics: tuple[str, ...]
    tests: tuple[tuple[str, tuple], ...] = ()
    validation: float | str | None = None
    validation_rows: str = "random"


class JournalledFit(ClassifierMixin, BaseEstimator):
    """A pipeline that scikit-learn searches over without losing or repeating a fit.

    It is fitted on the numbers of rows, not on the rows: every process reads the data
    set itself, and a search sends nothing large around. A fit that the journal has is
    not done again: its score is taken from there. One that fails is a record too, with
    its error, and scores NaN.

    Parameters
    ----------
    pipeline : Pipeline
    data : str
        The data set of the rows.
    evaluation : Evaluation
    journal : Path
    run : int
        The number of the run, for the record.
    """

    def __init__(self, pipeline, data, evaluation, journal, run):
        self.pipeline = pipeline
        self.data = data
        self.evaluation = evaluation
        self.journal = journal
        self.run = run

    def fit(self, rows, y):
        """Train on the rows, unless the journal has it."""
        self.rows_ = np.asarray(rows).ravel()
        metrics = self.evaluation.metrics
        self.key_ = make_fit_key(self.pipeline, self.data, hash_rows(self.rows_), *metrics)
        self.record_ = StudyJournal(self.journal).find(self.key_)
        if self.record_ is None:
            X, labels = load_data(self.data, "train")
            self.trained_ = train(self.pipeline, X[self.rows_], labels[self.rows_])
        return self

    def score(self, rows, y):
        """Return the first metric on the rows; journal all of them."""
        if self.record_ is None:
            X, labels = load_data(self.data, "train")
            rows = np.asarray(rows).ravel()
            record = {
                "key": self.key_,
                "kind": "fold",
                "run": self.run,
                "data": self.data,
                "n_train": len(self.rows_),
            } | self.trained_.record
            with record_errors(record):
                if self.trained_.pipeline is not None:
                    record["scores"] = scores(
                        self.trained_.pipeline,
                        self.evaluation.metrics,
                        X[rows],
                        labels[rows],
                    )
            StudyJournal(self.journal).append(record)
            self.record_ = record
        score = self.record_.get("scores", {}).get(self.evaluation.metrics[0])
        return math.nan if score is None else score


def fit_and_evaluate(
    data: str,
    setting: str,
    pipeline: Pipeline,
    seed: int,
    evaluation: Evaluation,
    journal,
    run: int,
) -> None:
    """Train on the training set, test, and journal it, unless that has been done.

    Parameters
    ----------
    data, setting : str
        The data set, and the name of the setting.
    pipeline : Pipeline
        Its ``random_state`` is set to `seed`.
    seed : int
    evaluation : Evaluation
    journal : Path
    run : int
    """
    pipeline = clone_with_seed(pipeline, seed)
    key = make_evaluation_key(pipeline, data, evaluation)
    if StudyJournal(journal).find(key) is not None:
        return
    X, y = load_data(data, "train")
    X_valid = y_valid = None
    if evaluation.validation == "test":
        X_valid, y_valid = load_data(data, "test")
    elif evaluation.validation is not None:
        held_out = make_validation_mask(
            y, float(evaluation.validation), evaluation.validation_rows, seed
        )
        X_valid, y_valid = X[held_out], y[held_out]
        X, y = X[~held_out], y[~held_out]
    trained = train(pipeline, X, y, X_valid, y_valid)
    record = {
        "key": key,
        "kind": "fit",
        "run": run,
        "data": data,
        "setting": setting,
        "seed": seed,
        "n_train": len(y),
        "n_valid": 0 if y_valid is None else len(y_valid),
    } | trained.record
    if evaluation.validation == "test":
        # The best of epochs on the test images would be no honest figure.
        record["best_epoch"] = None
    if trained.pipeline is not None:
        if record["best_epoch"] is None:
            trained = trained._replace(best=None)
        with record_errors(record):
            record |= _test(trained, data, X, y, evaluation)
    StudyJournal(journal).append(record)


def _test(trained: Trained, data: str, X, y, evaluation: Evaluation) -> dict:
    """Return the number of test images, and each test's scores."""
    X_test, y_test = load_data(data, "test")
    tests = {}
    for name, steps in evaluation.tests:
        before = Pipeline(make_steps(steps)).fit(X, y) if steps else None

        def around(pipeline, before=before):
            frozen = ("fitted", FrozenEstimator(pipeline))
            return Pipeline([*before.steps, frozen]) if before else pipeline

        tests[name] = test(around(trained.pipeline), evaluation.metrics, X_test, y_test)
        if trained.best is not None:
            tests[name]["best_epoch"] = scores(
                around(trained.best), evaluation.metrics, X_test, y_test
            )
    return {"n_test": len(y_test), "tests": tests}


def clone_with_seed(pipeline: Pipeline, seed: int) -> Pipeline:
    """Return the pipeline with every ``random_state`` in it set to `seed`."""
    pipeline = clone(pipeline)
    names = [n for n in pipeline.get_params() if n.split("__")[-1] == "random_state"]
    return pipeline.set_params(**dict.fromkeys(names, seed))


def make_validation_mask(y, part: float, which: str, seed: int) -> np.ndarray:
    """Return a mask of the training images that are held out for validation.

    Raises
    ------
    ValueError
        If a random part is too small or too large to have every class in both.
    """
    n = len(y)
    held_out = np.zeros(n, dtype=bool)
    if which == "first":
        held_out[: round(n * part)] = True
    else:
        _, rows = train_test_split(
            np.arange(n), test_size=part, stratify=y, random_state=seed
        )
        held_out[rows] = True
    return held_out


def hash_rows(rows: np.ndarray) -> str:
    """Return a short text that is another one for other rows."""
    return hashlib.sha256(np.asarray(rows, dtype=np.int64).tobytes()).hexdigest()[:16]


def make_fit_key(pipeline: Pipeline, data: str, *more: str) -> str:
    """Return what identifies a fit: its pipeline, data set, and whatever else decides.

    Of the parameters only those that are not the default count, so that records stay
    known when a class gets a further parameter.
    """
    described = [[type(step).__name__, _given(step)] for _, step in pipeline.steps]
    text = json.dumps([described, data, *more], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _given(step) -> dict:
    """Return the parameters that are not the default, without idle ones."""
    signature = inspect.signature(type(step)).parameters
    return {
        name: value
        for name, value in step.get_params(deep=False).items()
        if name not in _IDLE
        and json.dumps(value, default=repr)
        != json.dumps(signature[name].default, default=repr)
    }


def make_evaluation_key(pipeline: Pipeline, data: str, evaluation: Evaluation) -> str:
    """Return what identifies a fit on the training set with its tests."""
    return make_fit_key(pipeline, data, "test", json.dumps(evaluation))
