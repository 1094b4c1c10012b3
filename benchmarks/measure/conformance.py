"""Run scikit-learn's checks and wrappers on LeNet5Classifier and on skorch's classifier.

    python benchmarks/measure/conformance.py

Both train the same network, in this one process. The outcomes go to
``benchmarks/results/conformance/records.jsonl``; ``make tables`` makes
``docs/conformance.md`` of them.
"""

import os

# Before scipy is imported: checks of array API input are skipped without.
os.environ["SCIPY_ARRAY_API"] = "1"

import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.utils.estimator_checks import check_estimator
from skorch import NeuralNetClassifier

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.images.canvas import Canvas
from sklenet.images.shapes import infer_image_shape
from sklenet.network import LeNet5
from sklenet.study.engine.journal import Journal
from sklenet.study.engine.provenance import collect_provenance

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "results" / "conformance" / "records.jsonl"

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "estimator")]
from test_sklearn_checks import EXPECTED  # noqa: E402
from wrappers import WRAPPERS  # noqa: E402


class FlatLeNet5(torch.nn.Module):
    """LeNet-5 on flat rows from 0 to 1, what a user of skorch would write."""

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

# Of both: a default for the checks, and a fast setting for the wrappers.
CLASSIFIERS = {
    "LeNet5Classifier": (
        LeNet5Classifier(),
        partial(LeNet5Classifier, max_epochs=8, batch_size=16, lr=0.003, random_state=0),
    ),
    "NeuralNetClassifier": (
        SKORCH(lr=0.001, max_epochs=20),
        # skorch's default holds a fifth out for validation; here both train on all.
        partial(SKORCH, max_epochs=8, batch_size=16, lr=0.003, train_split=None),
    ),
}


def run_checks(estimator):
    """Yield the name, the outcome and the error of each of scikit-learn's checks."""
    results = check_estimator(
        estimator, on_fail=None, on_skip=None, expected_failed_checks=EXPECTED
    )
    for result in results:
        yield result["check_name"], result["status"], result["exception"]


def run_wrappers(make):
    """Yield the name, the outcome and the error of each wrapper."""
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


def main():
    """Run everything and write the records."""
    warnings.simplefilter("ignore")
    journal = Journal(RECORDS)
    RECORDS.unlink(missing_ok=True)
    journal.append({"kind": "run"} | collect_provenance())
    for name, (estimator, make) in CLASSIFIERS.items():
        for kind, outcomes in (
            ("check", run_checks(estimator)),
            ("wrapper", run_wrappers(make)),
        ):
            start, counts = time.perf_counter(), {}
            # A check may run several times, on other inputs.
            for k, (item, status, error) in enumerate(outcomes):
                counts[status] = counts.get(status, 0) + 1
                first_line = (
                    str(error).strip().splitlines()[0] if str(error).strip() else ""
                )
                journal.append(
                    {
                        "kind": kind,
                        "classifier": name,
                        "number": k,
                        "name": item,
                        "status": status,
                        "error": f"{type(error).__name__}: {first_line}" if error else None,
                    }
                )
            print(
                f"{name}, {kind}s: {counts}, {time.perf_counter() - start:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
