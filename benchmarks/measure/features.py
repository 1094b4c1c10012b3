"""Try what LeNet5Classifier, skorch's classifier and MLPClassifier can do.

    python benchmarks/measure/features.py

Each feature is tried on the embedded digits; it is missing if the attempt fails. The
outcomes are recorded in ``benchmarks/results/features/records.jsonl``, from which a table
of the README is generated. The first two classifiers train the same network.
"""

import argparse
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from conformance import SKORCH
from sklearn.neural_network import MLPClassifier

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.study.engine.journal import Journal
from sklenet.study.engine.provenance import collect_provenance

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "results" / "features" / "records.jsonl"

CLASSIFIERS = {
    "LeNet5Classifier": partial(
        LeNet5Classifier, max_epochs=8, batch_size=16, lr=0.003, random_state=0
    ),
    "skorch": partial(SKORCH, max_epochs=8, batch_size=16, lr=0.003, train_split=None),
    "MLPClassifier": partial(MLPClassifier, max_iter=30, batch_size=16, random_state=0),
}

FEATURES = {}


def feature(text):
    """Register a function by a description of the feature that it tries."""

    def register(function):
        FEATURES[text] = function
        return function

    return register


@feature("text as labels")
def use_text_labels(make, X, y):
    labels = np.array(list("abcdefghij"))[y]
    assert make().fit(X[:200], labels[:200]).score(X[200:], labels[200:]) > 0.6


@feature("sample weights in `fit`")
def use_sample_weights(make, X, y):
    weights = np.where(y == 3, 0.0, 1.0)
    assert 3 not in make().fit(X, y, sample_weight=weights).predict(X)


@feature("class weights as a parameter")
def use_class_weights(make, X, y):
    make(class_weight="balanced").fit(X, y)


@feature("augmentation as a parameter")
def augment_images(make, X, y):
    make(augment=[{"shift": 1}]).fit(X, y)


@feature("validation data in `fit`")
def use_validation_data(make, X, y):
    make().fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])


@feature("two fits of the same estimator are bitwise equal")
def repeat_fit(make, X, y):
    first, second = (make().fit(X, y).predict_proba(X) for _ in range(2))
    assert np.array_equal(first, second)


@feature("`fit` does not change the global random generators")
def keep_generators(make, X, y):
    estimator = make()
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    estimator.fit(X, y)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002


@feature("NaN in the images is rejected")
def reject_nan(make, X, y):
    _assert_rejected(lambda: make().fit(np.where(X > 0.5, np.nan, X), y))


def _assert_rejected(call) -> None:
    try:
        call()
    except ValueError:
        return
    raise AssertionError("no ValueError")


def measure() -> None:
    """Try everything, and write the records."""
    warnings.simplefilter("ignore")
    X, y = load_digits(return_X_y=True)
    X, y = (X[:300] / 16).astype(np.float32), y[:300]
    RECORDS.parent.mkdir(exist_ok=True)
    RECORDS.unlink(missing_ok=True)
    journal = Journal(RECORDS)
    journal.append({"kind": "run"} | collect_provenance())
    for name, make in CLASSIFIERS.items():
        for text, function in FEATURES.items():
            torch.manual_seed(0)
            error = None
            try:
                function(make, X, y)
            except Exception as problem:
                error = f"{type(problem).__name__}: {str(problem).strip()[:200]}"
            record = {"kind": "feature", "classifier": name, "name": text}
            journal.append(record | {"has": error is None, "error": error})
            print(name, text, error or "yes", sep=": ", flush=True)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    measure()
