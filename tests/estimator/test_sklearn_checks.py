"""The estimator checks of scikit-learn, for several settings."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks
from wrappers import EXPECTED_FAILED_CHECKS

from sklenet import LeNet5Classifier

ESTIMATORS = [
    LeNet5Classifier(),
    LeNet5Classifier(early_stopping=True),
    LeNet5Classifier(class_weight="balanced"),
    LeNet5Classifier(pooling="avg"),
    LeNet5Classifier(loss="mse"),
    LeNet5Classifier(loss="bce"),
    # The absolute error of a softmax hardly changes a class that starts with a low
    # probability, which larger initial weights would lead to.
    LeNet5Classifier(loss="l1", init="xavier_uniform", max_epochs=40),
    LeNet5Classifier(label_smoothing=0.1),
]


@parametrize_with_checks(
    ESTIMATORS, expected_failed_checks=lambda estimator: EXPECTED_FAILED_CHECKS
)
def test_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_no_tag_makes_checks_skip(estimator):
    tags = estimator.__sklearn_tags__()
    assert tags.input_tags.two_d_array
    assert not tags.no_validation
    assert not tags.non_deterministic
    assert not tags.classifier_tags.poor_score
    assert not tags._skip_test
