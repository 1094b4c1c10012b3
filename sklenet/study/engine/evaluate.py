"""Training and testing one pipeline, and what is recorded of it."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import check_scoring, confusion_matrix
from sklearn.pipeline import Pipeline

from sklenet.display.rejection import rejection_curve

# The parts of a test set at which a record has the error of what is not rejected.
REJECTED_FRACTIONS = np.arange(101) / 1000

# How many of the most certain mistakes on a test are kept, for pictures.
_MISTAKES = 24


class Trained(NamedTuple):
    """What came of training: what to record, and the fitted pipelines.

    Parameters
    ----------
    record : dict
    pipeline : Pipeline or None
        None where training failed; then the record has the error.
    best : Pipeline or None
        The same with the weights of the epoch with the lowest validation loss.
    """

    record: dict
    pipeline: Pipeline | None = None
    best: Pipeline | None = None


class _BestEpoch:
    """Keep the classifier as it was after the epoch with the lowest validation loss."""

    def __init__(self) -> None:
        self.classifier = None

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        now = fitted_estimator
        if context.task_name == "epoch" and now.best_epoch_ == now.n_iter_:
            self.classifier = now


@contextmanager
def record_errors(record: dict) -> Iterator[None]:
    """Make an exception in the block the record's ``error``."""
    try:
        yield
    except Exception as error:
        record["error"] = f"{type(error).__name__}: {error}"


def train(pipeline: Pipeline, X, y, X_valid=None, y_valid=None) -> Trained:
    """Fit a clone of the pipeline; an exception becomes part of the record."""
    pipeline = clone(pipeline)
    steps, classifier = pipeline[:-1], pipeline[-1]
    record = {
        "params": to_jsonable(
            {k: v for k, v in classifier.get_params().items() if k != "verbose"}
        ),
        "steps": [[name, to_jsonable(step.get_params())] for name, step in steps.steps],
    }
    best = _BestEpoch()
    wall, cpu = time.perf_counter(), time.process_time()
    with record_errors(record):
        X = steps.fit_transform(X, y) if len(steps) else X
        if X_valid is not None:
            X_valid = steps.transform(X_valid) if len(steps) else X_valid
            classifier.set_callbacks(best)
        classifier.fit(X, y, X_val=X_valid, y_val=y_valid)
    if "error" in record:
        return Trained(record)
    record |= {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "n_parameters": sum(p.numel() for p in classifier.module_.parameters()),
        "device": str(classifier.device_),
        "threads": torch.get_num_threads(),
        "best_epoch": classifier.best_epoch_,
        "history": to_jsonable(classifier.history_),
    }
    if best.classifier is None:
        return Trained(record, pipeline)
    name, _ = pipeline.steps[-1]
    return Trained(record, pipeline, Pipeline([*steps.steps, (name, best.classifier)]))


def scores(fitted, metrics, X, y) -> dict:
    """Return each metric on X and y."""
    return to_jsonable(check_scoring(fitted, scoring=list(metrics))(fitted, X, y))


def test(fitted, metrics, X, y) -> dict:
    """Return each metric, the confusion matrix, the most certain mistakes, the rejection.

    A mistake is the row of the image, the network's guess, and its probability. The
    rejection is the error that is left after 0, 0.1, ... 10 % of the images are rejected,
    the least certain first.
    """
    probabilities = fitted.predict_proba(X)
    classes = fitted.classes_
    guesses = probabilities.argmax(axis=1)
    certainty = probabilities.max(axis=1)
    wrong = np.flatnonzero(classes[guesses] != y)
    wrong = wrong[np.argsort(-certainty[wrong], kind="stable")][:_MISTAKES]
    return scores(fitted, metrics, X, y) | to_jsonable(
        {
            "rejection": _rejection(fitted, X, y, classes[guesses]),
            "confusion": confusion_matrix(y, classes[guesses], labels=classes).tolist(),
            "mistakes": [[row, classes[guesses[row]], certainty[row]] for row in wrong],
        }
    )


def _rejection(fitted, X, y, guesses) -> list[float]:
    rejected, error = rejection_curve(y, guesses, fitted.score_samples(X))
    return np.interp(REJECTED_FRACTIONS, rejected, error).round(6).tolist()


def to_jsonable(value):
    """Return `value` with numpy's numbers as Python's, for JSON."""
    if isinstance(value, dict):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_jsonable(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):  # JSON has no number for what diverged
        return value if math.isfinite(value) else None
    return repr(value)
