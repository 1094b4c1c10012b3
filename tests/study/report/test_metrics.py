import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer, get_scorer_names

from sklenet.study.report.metrics import (
    compute_chance_level,
    get_difference_range,
    get_range,
)


class Fixed(ClassifierMixin, BaseEstimator):
    """A classifier whose probabilities are the rows of X."""

    def fit(self, X, y):
        self.classes_ = np.arange(X.shape[1])
        return self

    def predict_proba(self, X):
        return X

    def predict(self, X):
        return X.argmax(axis=1)


def iter_probabilities(n_classes):
    """Yield labels, and probabilities that are right, wrong, random and constant."""
    y = np.repeat(np.arange(n_classes), 8)
    right = np.eye(n_classes)[y] * 0.98 + 0.01 / n_classes
    right /= right.sum(axis=1, keepdims=True)
    random = np.random.default_rng(0).dirichlet(np.ones(n_classes), len(y))
    for probabilities in (right, np.roll(right, 1, axis=1), random, 0 * right + 0.5):
        yield y, probabilities / probabilities.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("metric", sorted(get_scorer_names()))
def test_no_score_is_outside_the_range_of_its_metric(metric):
    low, high = get_range(metric)
    for n_classes in (2, 5):
        for y, probabilities in iter_probabilities(n_classes):
            classifier = Fixed().fit(probabilities, y)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    score = get_scorer(metric)(classifier, probabilities, y)
            except ValueError:  # a metric for two classes, or for other targets
                continue
            assert np.isnan(score) or low - 1e-9 <= score <= high + 1e-9


@pytest.mark.parametrize(
    ("metric", "limits"),
    [
        ("accuracy", (0, 1)),
        ("valid_accuracy", (0, 1)),
        ("train_loss", (0, np.inf)),
        ("epochs", (0, np.inf)),
        ("neg_log_loss", (-np.inf, 0)),
        ("matthews_corrcoef", (-1, 1)),
        ("d2_log_loss_score", (-np.inf, 1)),
    ],
)
def test_range(metric, limits):
    assert get_range(metric) == limits


def test_range_of_differences():
    assert get_difference_range((0, 1)) == (-1, 1)
    assert get_difference_range((-1, 1)) == (-2, 2)
    assert get_difference_range((-np.inf, 0)) == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("metric", "level"),
    [
        ("accuracy", 0.2),
        ("neg_log_loss", -np.log(5)),
        ("roc_auc_ovr", 0.5),
        ("matthews_corrcoef", 0),
        ("f1", np.nan),  # for two classes only
    ],
)
def test_chance_level_of_five_classes(metric, level):
    assert compute_chance_level(metric, 5) == pytest.approx(level, nan_ok=True)
