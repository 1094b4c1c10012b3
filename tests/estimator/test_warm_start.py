"""Samples that early stopping holds out remain held out if training continues."""

import pickle
import warnings

import numpy as np
import pytest

from sklenet import LeNet5Classifier

QUICK = {"max_epochs": 2, "batch_size": 50, "random_state": 0}


@pytest.fixture
def classifier():
    return LeNet5Classifier(**QUICK, warm_start=True, early_stopping=True)


@pytest.fixture
def trained_rows(monkeypatch):
    """Collect the training and validation rows of every fit."""
    from sklenet.training.net import TrainingNet

    fits = []
    fit_loop = TrainingNet.fit_loop

    def watched(self, X, y=None, epochs=None, *, valid=None, **kwargs):
        fits.append([None if d is None or d.rows is None else d.rows for d in (X, valid)])
        return fit_loop(self, X, y, epochs, valid=valid, **kwargs)

    monkeypatch.setattr(TrainingNet, "fit_loop", watched)
    return fits


@pytest.mark.parametrize("random_state", [0, None])
def test_the_same_samples_are_held_out(
    classifier, trained_rows, digits, random_state, tmp_path
):
    X, y, *_ = digits
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.set_params(random_state=random_state).fit(X, y).fit(X, y)
        classifier.set_params(lr=0.0005).fit(X.astype(np.float32), y, np.ones(len(y)))
        classifier.set_params(class_weight="balanced").fit(X, y)
        pickle.loads(pickle.dumps(classifier)).fit(X, y)
        classifier.save(tmp_path / "model")
        LeNet5Classifier.load(tmp_path / "model").fit(X, y)
    first = trained_rows[0]
    assert len(trained_rows) == 6
    for train, valid in trained_rows:
        assert not set(train.tolist()) & set(first[1].tolist())
        assert set(valid.tolist()) == set(first[1].tolist())
        assert len(train) + len(valid) == len(X)


def test_samples_of_weight_zero_are_neither_trained_on_nor_held_out(
    classifier, trained_rows, digits
):
    X, y, *_ = digits
    weight = (np.arange(len(y)) % 3 > 0).astype(float)
    classifier.fit(X, y, weight).fit(X, y, weight)
    for train, valid in trained_rows:
        assert set(train.tolist()) | set(valid.tolist()) == set(np.flatnonzero(weight))


def change_data(X, y, classifier):
    return X[::-1].copy(), y[::-1].copy()


def change_fraction(X, y, classifier):
    classifier.validation_fraction = 0.2
    return X, y


def train_on_all(X, y, classifier):
    classifier.partial_fit(X, y)
    return X, y


def fit_without(X, y, classifier):
    classifier.set_params(early_stopping=False).fit(X, y).set_params(early_stopping=True)
    return X, y


@pytest.mark.parametrize(
    "change", [change_data, change_fraction, train_on_all, fit_without]
)
def test_samples_that_may_have_been_trained_on_lead_to_a_warning(
    classifier, digits, change
):
    X, y, *_ = digits
    classifier.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X, y = change(X, y, classifier)
    with pytest.warns(UserWarning, match=r"may have been trained on.*X_val") as caught:
        classifier.fit(X, y)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.fit(X, y)


def test_validation_data_that_are_passed_lead_to_no_warning(classifier, digits):
    X, y, X_val, y_val = digits
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            classifier.fit(X, y, X_val=X_val, y_val=y_val)
        classifier.partial_fit(X, y).fit(X, y, X_val=X_val, y_val=y_val)
