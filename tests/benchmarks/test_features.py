"""The features in the table of the README, tried on LeNet5Classifier."""

import features
import numpy as np
import pytest

from sklenet.datasets import load_digits


@pytest.fixture(scope="module")
def small_digits():
    X, y = load_digits(return_X_y=True)
    return (X[:300] / 16).astype(np.float32), y[:300]


@pytest.mark.parametrize("name", features.FEATURES)
def test_the_classifier_has_every_feature(name, small_digits):
    features.FEATURES[name](features.CLASSIFIERS["LeNet5Classifier"], *small_digits)


def test_attempts_that_fail_are_noticed(small_digits):
    make = features.CLASSIFIERS["MLPClassifier"]
    with pytest.raises(TypeError, match="class_weight"):
        features.use_class_weights(make, *small_digits)
    with pytest.raises(AssertionError, match="no ValueError"):
        features._assert_rejected(lambda: None)
