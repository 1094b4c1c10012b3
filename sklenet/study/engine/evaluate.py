"""Training and evaluating one pipeline, and what is recorded about it."""

import base64
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

# Fractions of rejected test images at which a record has the error of the other images.
REJECTED_FRACTIONS = np.arange(101) / 1000

# Number of misclassified images that are kept for figures, the most certain first.
_N_MISTAKES = 24

# Limit on the pixels in the record of a fit.
_MAX_IMAGE_BYTES = 100_000


class Trained(NamedTuple):
    """The result of training a pipeline.

    Parameters
    ----------
    record : dict
        What is recorded about the training.
    pipeline : Pipeline or None
        The fitted pipeline. None if training failed; the record then has the error.
    best : Pipeline or None
        The same with the weights of the epoch with the lowest validation loss. None without
        validation data.
    """

    record: dict
    pipeline: Pipeline | None = None
    best: Pipeline | None = None


class _BestEpoch:
    """Keep the classifier of the epoch with the lowest validation loss."""

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
    """Store the message of an exception in the block as the ``error`` of the record."""
    try:
        yield
    except Exception as error:
        record["error"] = f"{type(error).__name__}: {error}"


def describe_pipeline(pipeline: Pipeline) -> dict:
    """Return the parameters of the classifier and of the other steps of a pipeline."""
    params = pipeline[-1].get_params()
    del params["verbose"]
    return {
        "params": to_jsonable(params),
        "steps": [
            [name, to_jsonable(step.get_params())] for name, step in pipeline.steps[:-1]
        ],
    }


def train(pipeline: Pipeline, X, y, X_valid=None, y_valid=None) -> Trained:
    """Fit a clone of the pipeline. An exception is stored in the record."""
    pipeline = clone(pipeline)
    steps, classifier = pipeline[:-1], pipeline[-1]
    record = describe_pipeline(pipeline)
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


def compute_scores(fitted, metrics, X, y) -> dict:
    """Compute the metrics of a fitted pipeline on X and y."""
    return to_jsonable(check_scoring(fitted, scoring=list(metrics))(fitted, X, y))


def evaluate(fitted, metrics, X, y, probabilities) -> dict:
    """Compute the metrics of a fitted pipeline, and the data of the figures.

    Parameters
    ----------
    fitted : Pipeline
    metrics : sequence of str
        Names of scikit-learn's scorers.
    X, y : array-like
        The test set.
    probabilities : ndarray of shape (n_samples, n_classes)
        Probabilities that the pipeline predicts for X.

    Returns
    -------
    dict
        The metrics, and the keys

        - ``confusion``: the confusion matrix;
        - ``mistakes``: the most certain misclassified images, each as its index in X, the
          index of the predicted class, and the probability of this class;
        - ``rejection``: the error of the remaining images after the least certain ones are
          rejected, for rejected fractions of 0, 0.1, ... 10 %.
    """
    predicted = probabilities.argmax(axis=1)
    y_pred = fitted.classes_[predicted]
    certainty = probabilities.max(axis=1)
    mistakes = np.flatnonzero(y_pred != y)
    mistakes = mistakes[np.argsort(-certainty[mistakes], kind="stable")][:_N_MISTAKES]
    rejected, error = rejection_curve(y, y_pred, fitted.score_samples(X))
    figures = {
        "rejection": np.interp(REJECTED_FRACTIONS, rejected, error).round(6).tolist(),
        "confusion": confusion_matrix(y, y_pred, labels=fitted.classes_).tolist(),
        "mistakes": [[row, predicted[row], certainty[row]] for row in mistakes],
    }
    return compute_scores(fitted, metrics, X, y) | to_jsonable(figures)


def encode_images(X, rows: list[int]) -> list[str]:
    """Return images as text: their pixels from 0 to 255, in base64.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        All images, whose smallest and largest pixel become 0 and 255 unless they are bytes.
    rows : list of int
        Numbers of the images. Of large images, only the first ones are encoded.
    """
    n_kept = max(1, _MAX_IMAGE_BYTES // X.shape[1])
    pixels = X[rows[:n_kept]]
    if pixels.dtype != np.uint8:
        low, high = float(X.min()), float(X.max())
        scaled = (pixels.astype(np.float64) - low) / ((high - low) or 1.0)
        pixels = (255 * scaled).round().astype(np.uint8)
    return [base64.b64encode(image.tobytes()).decode() for image in pixels]


def decode_images(images: list[str], n_features: int) -> np.ndarray:
    """Return images that `encode_images` has encoded.

    Raises
    ------
    ValueError
        If an image does not have `n_features` pixels.
    """
    pixels = b"".join(base64.b64decode(one, validate=True) for one in images)
    if len(pixels) != len(images) * n_features:
        raise ValueError(f"the images of the record do not have {n_features} pixels.")
    return np.frombuffer(pixels, np.uint8).reshape(len(images), n_features)


def to_jsonable(value):
    """Return `value` with plain Python numbers for those of NumPy, for JSON.

    Numbers that are not finite become None, other objects their representation.
    """
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
