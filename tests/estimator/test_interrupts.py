"""After a KeyboardInterrupt, the estimator is either fitted or unchanged."""

import signal

import numpy as np
import pytest
from skorch.callbacks import Callback

from sklenet import LeNet5Classifier

QUICK = {"max_epochs": 4, "batch_size": 50, "random_state": 0}
HOOKS = ("on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_train_end")


def interrupt():
    raise KeyboardInterrupt


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def sigint_raises():
    """Make Ctrl-C raise KeyboardInterrupt, even in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class At(Callback):
    """Call `action` in a hook: in the second epoch, or when training begins or ends."""

    def __init__(self, hook, action):
        self.hook, self.action = hook, action

    def __getattribute__(self, name):
        if name in HOOKS and name == object.__getattribute__(self, "hook"):
            return object.__getattribute__(self, "act")
        return object.__getattribute__(self, name)

    def act(self, net, **kwargs):
        if ("epoch" not in self.hook and "batch" not in self.hook) or len(net.history) == 2:
            self.action()

    def on_batch_end(self, net, **kwargs):  # makes the net notify of batches
        pass


@pytest.fixture(scope="module")
def by_epochs(digits):
    """Predicted probabilities after 1, 2 and 4 epochs."""
    X, y, X_test, _ = digits
    watched = {"net_params": {"callbacks": [At("none", None)]}}
    return {
        n: LeNet5Classifier(**QUICK | watched | {"max_epochs": n})
        .fit(X, y)
        .predict_proba(X_test)
        for n in (1, 2, 4)
    }


@pytest.mark.parametrize("action", [interrupt, press_ctrl_c])
@pytest.mark.parametrize(
    ("hook", "n_epochs", "was_interrupted"),
    [
        ("on_epoch_begin", 1, True),
        ("on_batch_end", 1, True),
        ("on_epoch_end", 2, True),  # the second epoch has been trained and validated
        ("on_train_end", 4, False),
    ],
)
def test_an_interrupt_keeps_the_weights_of_the_last_epoch(
    hook, n_epochs, was_interrupted, action, digits, by_epochs
):
    X, y, X_test, _ = digits
    params = {"net_params": {"callbacks": [At(hook, action)]}}
    classifier = LeNet5Classifier(**QUICK, **params)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y)
    assert classifier.n_iter_ == len(classifier.history_) == n_epochs
    assert classifier.interrupted_ is was_interrupted
    assert np.array_equal(classifier.predict_proba(X_test), by_epochs[n_epochs])


def test_an_interrupt_before_the_first_epoch_leaves_the_estimator_unfitted(digits):
    X, y, *_ = digits
    params = {"net_params": {"callbacks": [At("on_train_begin", interrupt)]}}
    classifier = LeNet5Classifier(**QUICK, **params)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y)
    assert not hasattr(classifier, "net_")


def test_an_interrupt_of_continued_training_restores_the_earlier_weights(digits):
    X, y, X_test, _ = digits
    callback = At("none", interrupt)
    classifier = LeNet5Classifier(
        **QUICK, warm_start=True, net_params={"callbacks": [callback]}
    ).fit(X, y)
    before = classifier.predict_proba(X_test)
    callback.hook = "on_train_begin"
    for method in (classifier.fit, classifier.partial_fit):
        with pytest.raises(KeyboardInterrupt):
            method(X, y)
        assert classifier.n_iter_ == 4
        assert np.array_equal(classifier.predict_proba(X_test), before)
    callback.hook = "on_train_end"
    with pytest.raises(KeyboardInterrupt):
        classifier.partial_fit(X, y)
    assert classifier.n_iter_ == 5
    assert not np.array_equal(classifier.predict_proba(X_test), before)


def test_an_error_after_the_last_epoch_keeps_the_weights(digits, by_epochs):
    def fail():
        raise OSError("the disk is full")

    X, y, X_test, _ = digits
    params = {"net_params": {"callbacks": [At("on_train_end", fail)]}}
    classifier = LeNet5Classifier(**QUICK, **params)
    with pytest.raises(OSError, match="disk is full"):
        classifier.fit(X, y)
    assert np.array_equal(classifier.predict_proba(X_test), by_epochs[4])


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_end"])
def test_an_error_before_the_last_epoch_leaves_the_estimator_unfitted(hook, digits):
    def fail():
        raise OSError("the disk is full")

    X, y, *_ = digits
    classifier = LeNet5Classifier(**QUICK, net_params={"callbacks": [At(hook, fail)]})
    with pytest.raises(OSError, match="disk is full"):
        classifier.fit(X, y)
    assert not hasattr(classifier, "net_")
