"""Fitted estimators: attributes, copies, pickles, memory, and Ctrl-C."""

import copy
import gc
import json
import pickle
import signal
import subprocess
import sys
import weakref

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklenet import LeNet5Classifier


def same(a, b, X):
    return np.array_equal(a.predict_proba(X), b.predict_proba(X))


def copies(estimator):
    return {
        "pickle": pickle.loads(pickle.dumps(estimator)),
        "deepcopy": copy.deepcopy(estimator),
        "copy": copy.copy(estimator),
    }


def test_copies_predict_and_continue_training_identically(digits):
    X, y, X_test, _ = digits
    fitted = LeNet5Classifier(max_epochs=2, dropout=0.2, warm_start=True, random_state=0)
    fitted.fit(X, y)
    for copied in copies(fitted).values():
        assert same(copied, fitted, X_test)
        assert copied.history_ == fitted.history_
    followers = copies(fitted)
    fitted.fit(X, y)
    for follower in followers.values():
        assert not same(follower, fitted, X_test)
        assert same(follower.fit(X, y), fitted, X_test)


def test_copies_have_the_fitted_network_whatever_the_parameters(digits):
    X, y, X_test, _ = digits
    fitted = LeNet5Classifier(max_epochs=1, random_state=0).fit(X, y)
    before = fitted.predict_proba(X_test)
    fitted.set_params(activation="tanh", pooling="avg")
    for copied in copies(fitted).values():
        assert np.array_equal(copied.predict_proba(X_test), before)
        assert copied.activation == "tanh"


def test_clone_is_unfitted_with_the_same_parameters(fitted):
    cloned = clone(fitted)
    assert cloned.get_params() == fitted.get_params()
    assert not hasattr(cloned, "net_")


@pytest.mark.parametrize("fitted_first", [False, True])
def test_a_fitted_estimator_holds_no_training_data(digits, fitted_first):
    X, y = digits[0].copy(), digits[1].copy()
    # Neither the arrays nor views of them may be kept.
    references = [weakref.ref(X), weakref.ref(y)]
    estimator = LeNet5Classifier(max_epochs=1, early_stopping=True)
    if fitted_first:
        estimator.fit(X, y)
    estimator.fit(X, y)
    del X, y
    gc.collect()
    assert [reference() for reference in references] == [None, None]
    tensors = [o for o in gc.get_objects() if type(o) is torch.Tensor]
    assert not [t for t in tensors if t.shape[:1] in {(300,), (270,)}]


def test_pickles_are_small_and_contain_plain_numbers(digits):
    X, y, *_ = digits
    size = len(pickle.dumps(LeNet5Classifier(max_epochs=2).fit(X, y)))
    # Weights and the two moments of Adam: 3 x 61,706 x 4 bytes.
    assert size < 3 * 61_706 * 4 + 20_000
    assert (
        len(pickle.dumps(LeNet5Classifier(max_epochs=2).fit(X[:50], y[:50]))) < size + 500
    )
    state = LeNet5Classifier(max_epochs=1).fit(X, y).__getstate__()
    modules = set()

    def collect(value):
        modules.add(type(value).__module__.split(".")[0])
        for item in value.values() if isinstance(value, dict) else ():
            collect(item)
        for item in value if isinstance(value, list | tuple) else ():
            collect(item)

    collect(state)
    assert modules <= {"builtins", "numpy"}


def test_a_pickle_from_a_gpu_loads_on_a_cpu(fitted, digits):
    # A pickle from a GPU differs only in the name of the device.
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    state = fitted.__getstate__() | {"device_": "cuda:0"}
    loaded = LeNet5Classifier()
    loaded.__setstate__(state)
    assert loaded.device_ == torch.device("cpu")
    assert same(loaded, fitted, digits[2])


INTERRUPTED = """
import json, sys, threading, os, signal, time
from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
X, y = load_digits(return_X_y=True)
estimator = LeNet5Classifier(max_epochs=10_000, verbose=1, random_state=0)
print("ready", flush=True)
try:
    estimator.fit(X, y)
except KeyboardInterrupt:
    pass
else:
    raise SystemExit("fit returned")
shorter = LeNet5Classifier(max_epochs=estimator.n_iter_, random_state=0).fit(X, y)
print(json.dumps({
    "interrupted": estimator.interrupted_,
    "epochs": estimator.n_iter_,
    "history": len(estimator.history_),
    "score": estimator.score(X, y),
    "as_if_shorter": bool(
        (estimator.predict_proba(X) == shorter.predict_proba(X)).all()
    ),
}))
"""


def test_ctrl_c_keeps_the_weights_of_the_finished_epochs():
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    while process.stdout.readline().split()[:1] != ["3"]:  # the third epoch
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    result = json.loads(out.splitlines()[-1])
    assert result["interrupted"]
    assert 0 < result["epochs"] == result["history"] < 10_000
    assert result["as_if_shorter"]


def test_an_interrupt_in_the_first_epoch_leaves_the_estimator_unfitted(digits):
    X, y, *_ = digits

    class Interrupt(LeNet5Classifier):
        pass

    from skorch.callbacks import Callback

    class Impatient(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    estimator = Interrupt(net_params={"callbacks": [Impatient]})
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, y)
    assert not hasattr(estimator, "net_")


def test_text_and_html_representation():
    estimator = LeNet5Classifier(activation="tanh", lr=0.01)
    assert repr(estimator) == "LeNet5Classifier(activation='tanh', lr=0.01)"
    html = estimator._repr_html_()
    assert "LeNet5Classifier" in html
    assert "sk-estimator" in html


def test_get_params_are_plain_values():
    plain = str | int | float | bool | tuple | None
    assert all(
        isinstance(value, plain) for value in LeNet5Classifier().get_params().values()
    )
    json.dumps(LeNet5Classifier().get_params())


def test_attributes_that_mlp_classifier_has(digits):
    X, y, *_ = digits
    plain = LeNet5Classifier(max_epochs=3, random_state=0).fit(X, y)
    assert plain.loss_ == plain.loss_curve_[-1]
    assert plain.best_loss_ == min(plain.loss_curve_)
    assert plain.validation_scores_ is None
    assert plain.best_validation_score_ is None
    assert plain.n_outputs_ == 10
    assert plain.n_layers_ == 8  # the input, C1, S2, C3, S4, C5, F6, the output
    stopped = LeNet5Classifier(max_epochs=3, early_stopping=True, hidden=(20,))
    stopped.fit(X, y % 2)
    accuracies = [row["valid_accuracy"] for row in stopped.history_]
    assert stopped.validation_scores_ == accuracies
    assert stopped.best_validation_score_ == max(accuracies)
    assert stopped.n_outputs_ == 2
    assert stopped.n_layers_ == 7


def test_attributes_after_epochs_with_and_without_validation(digits):
    X, y, *_ = digits
    fitted = LeNet5Classifier(max_epochs=2, random_state=0).fit(X, y, X_val=X, y_val=y)
    fitted.partial_fit(X, y)
    assert len(fitted.loss_curve_) == 3
    assert len(fitted.validation_scores_) == 2
    assert fitted.loss_ == fitted.history_[2]["train_loss"]


@pytest.mark.parametrize(
    "name",
    ["loss_", "best_loss_", "validation_scores_", "best_validation_score_", "n_outputs_"],
)
def test_attributes_do_not_exist_before_fit(name):
    assert not hasattr(LeNet5Classifier(), name)
