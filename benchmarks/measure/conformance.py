"""Run scikit-learn's checks and wrappers on LeNet5Classifier and on skorch's classifier.

    python benchmarks/measure/conformance.py

Both classifiers train the same network in the same process. The outcomes are recorded in
``benchmarks/results/conformance/records.jsonl``, from which ``docs/conformance.md`` is
generated.
"""

import os

# Without it, checks of array API input are skipped. It is read when scipy is imported.
os.environ["SCIPY_ARRAY_API"] = "1"

import argparse
import time
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.utils.estimator_checks import check_estimator
from skorch import NeuralNetClassifier
from wrappers import EXPECTED_FAILED_CHECKS, WRAPPERS

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.images.canvas import Canvas
from sklenet.images.shapes import infer_image_shape
from sklenet.network import LeNet5
from sklenet.study.engine.journal import Journal
from sklenet.study.engine.provenance import collect_provenance

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "results" / "conformance" / "records.jsonl"


class FlatLeNet5(torch.nn.Module):
    """LeNet-5 for rows of pixels from 0 to 1, as a user of skorch would write it."""

    def __init__(self, n_features=64, n_outputs=10):
        super().__init__()
        self.canvas = Canvas(infer_image_shape(n_features))
        self.network = LeNet5(self.canvas.shape, n_outputs)

    def forward(self, X):
        return self.network(self.canvas(X))


SKORCH = partial(
    NeuralNetClassifier,
    FlatLeNet5,
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    iterator_train__shuffle=True,
    verbose=0,
)

# For each classifier, an estimator for the checks, and a function that makes estimators for
# the wrappers.
CLASSIFIERS = {
    "LeNet5Classifier": (
        LeNet5Classifier(),
        partial(LeNet5Classifier, max_epochs=8, batch_size=16, lr=0.003, random_state=0),
    ),
    "NeuralNetClassifier": (
        SKORCH(lr=0.001, max_epochs=20),
        # By default, skorch holds out one fifth for validation; here both train on all.
        partial(SKORCH, max_epochs=8, batch_size=16, lr=0.003, train_split=None),
    ),
}


def run_checks(estimator):
    """Yield the name, the status and the error of each of scikit-learn's checks."""
    results = check_estimator(
        estimator,
        on_fail=None,
        on_skip=None,
        expected_failed_checks=EXPECTED_FAILED_CHECKS,
    )
    for result in results:
        yield result["check_name"], result["status"], result["exception"]


def run_wrappers(make):
    """Yield the name, the status and the error of each wrapper."""
    X, y = load_digits(return_X_y=True)
    X, y = (X[:300] / 16).astype(np.float32), y[:300]
    for name, wrapper in WRAPPERS.items():
        torch.manual_seed(0)
        try:
            wrapper(make, X, y)
        except Exception as error:
            yield name, "failed", error
        else:
            yield name, "passed", None


def measure() -> None:
    """Run everything, and write the records."""
    warnings.simplefilter("ignore")
    RECORDS.unlink(missing_ok=True)
    journal = Journal(RECORDS)
    journal.append({"kind": "run"} | collect_provenance())
    for name, (estimator, make) in CLASSIFIERS.items():
        for kind, outcomes in (
            ("check", run_checks(estimator)),
            ("wrapper", run_wrappers(make)),
        ):
            start, counts = time.perf_counter(), Counter()
            # A check may run several times, on different inputs.
            for k, (item, status, error) in enumerate(outcomes):
                counts[status] += 1
                record = {"kind": kind, "classifier": name, "number": k, "name": item}
                record |= {"status": status, "error": error and _describe_error(error)}
                journal.append(record)
            seconds = time.perf_counter() - start
            print(f"{name}, {kind}s: {dict(counts)}, {seconds:.0f} s", flush=True)


def _describe_error(error: Exception) -> str:
    """Return the type of an error, and the first line of its message."""
    first_line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first_line}"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    measure()
