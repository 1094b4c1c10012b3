"""The global state of torch and numpy is neither changed nor has any influence."""

import json
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from sklenet import LeNet5Classifier

STATES = {
    "default dtype": lambda: Setting(
        torch.get_default_dtype, torch.set_default_dtype, torch.float64
    ),
    "default device": lambda: Setting(
        lambda: torch.empty(0).device, torch.set_default_device, torch.device("meta")
    ),
    "device of a block": lambda: torch.device("meta"),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "matrix products": lambda: Setting(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"
    ),
    "floating-point errors": lambda: np.errstate(all="raise"),
}
if hasattr(torch.backends.mkldnn, "matmul"):  # since torch 2.9
    STATES |= {
        "products on the CPU": lambda: Setting(
            lambda: torch.backends.mkldnn.matmul.fp32_precision,
            lambda value: setattr(torch.backends.mkldnn.matmul, "fp32_precision", value),
            "bf16",
        ),
        "products on a GPU": lambda: Setting(
            lambda: torch.backends.cuda.matmul.fp32_precision,
            lambda value: setattr(torch.backends.cuda.matmul, "fp32_precision", value),
            "tf32",
        ),
    }


class Setting:
    def __init__(self, get, set_, value):
        self.get, self.set, self.value = get, set_, value

    def __enter__(self):
        self.before = self.get()
        self.set(self.value)

    def __exit__(self, *_):
        assert self.get() == self.value
        self.set(self.before if self.value != torch.device("meta") else None)


def use(data, path):
    """Return the results of all public methods, as arrays or text."""
    X, y, X_test, y_test = data
    # The first estimator uses the compiled kernels, the second one torch's gradient.
    classifier = LeNet5Classifier(
        max_epochs=2, batch_size=50, lr_schedule="one_cycle", average=0.5, random_state=0,
        early_stopping=True, warm_start=True,
    )  # fmt: skip
    classifier.fit(X, y).fit(X, y).partial_fit(X, y)
    other = LeNet5Classifier(
        max_epochs=1, dropout=0.2, activation=torch.nn.PReLU, augment="rotation",
        optimizer="sdlm" if path is None else "adam", random_state=0,
    ).fit(X, y)  # fmt: skip
    results = []
    for each in (classifier, pickle.loads(pickle.dumps(classifier)), other):
        results += [
            each.predict(X_test),
            each.predict_proba(X_test),
            each.decision_function(X_test),
            each.score_samples(X_test),
            each.score(X_test, y_test),
            each.summary().to_string(),
        ]
    loaded = pickle.loads(pickle.dumps(classifier)).partial_fit(X, y)
    results.append(loaded.predict_proba(X_test))
    classifier.save(path)
    results.append(LeNet5Classifier.load(path).partial_fit(X, y).predict_proba(X_test))
    module = classifier.to_torch()
    results += [p.detach().clone().numpy() for p in module.parameters()]
    return results


@pytest.fixture(scope="module")
def data(digits):
    X, y, X_test, y_test = digits
    return X[:100], y[:100], X_test[:40], y_test[:40]


@pytest.fixture(scope="module")
def usual(data, tmp_path_factory):
    return use(data, tmp_path_factory.mktemp("usual") / "model")


@pytest.mark.parametrize("name", STATES)
def test_results_do_not_depend_on_global_state(name, data, usual, tmp_path):
    with STATES[name]():
        results = use(data, tmp_path / "model")
    for ours, expected in zip(results, usual, strict=True):
        assert np.array_equal(ours, expected)


def test_an_estimator_fitted_under_other_settings_works_afterwards(data):
    X, y, *_ = data
    with torch.inference_mode(), torch.device("meta"):
        classifier = LeNet5Classifier(max_epochs=1, random_state=0).fit(X, y)
    expected = LeNet5Classifier(max_epochs=1, random_state=0).fit(X, y)
    for each in (classifier, expected):
        each.partial_fit(X, y)
    assert np.array_equal(classifier.predict_proba(X), expected.predict_proba(X))


def test_fits_in_threads_restore_the_default_dtype(data):
    X, y, *_ = data
    torch.set_default_dtype(torch.float64)
    try:
        fits = [
            threading.Thread(target=LeNet5Classifier(max_epochs=n).fit, args=(X, y))
            for n in (1, 3)
        ]
        for fit in fits:
            fit.start()
        for fit in fits:
            fit.join()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


FORKED = """
import json, multiprocessing, os
import torch
from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
torch.set_num_threads(2)
X, y = load_digits(return_X_y=True)
classifier = LeNet5Classifier(max_epochs=1, batch_size=200, random_state=0).fit(X, y)
expected = classifier.predict_proba(X).tolist()
images = torch.rand(512, 1, 32, 32)
for _ in range(3):  # starts torch's threads
    torch.nn.functional.conv2d(images, torch.rand(6, 1, 5, 5))
trained = LeNet5Classifier(max_epochs=1, dropout=0.1, random_state=0).fit(X[:200], y[:200])
def work(queue):
    again = LeNet5Classifier(max_epochs=1, dropout=0.1, random_state=0)
    again.fit(X[:200], y[:200])
    queue.put([classifier.predict_proba(X).tolist() == expected,
               (again.predict_proba(X) == trained.predict_proba(X)).all().item(),
               classifier.partial_fit(X, y).n_iter_])
context = multiprocessing.get_context("fork")
queue = context.Queue()
process = context.Process(target=work, args=(queue,))
process.start()
print(json.dumps(queue.get(timeout=60)))
process.join(10)
raise SystemExit(process.exitcode)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_predicts_and_trains():
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert json.loads(done.stdout) == [True, True, 2]
