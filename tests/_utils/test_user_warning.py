"""Warnings name the line of the user's code, however deep they are raised."""

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklenet import LeNet5Classifier

RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 2
TABLE = RNG.integers(0, 255, (40, 65))  # one column more than an image of 8x8

QUICK = {"max_epochs": 1, "random_state": 0}


def predict_on_another_scale(X, y):
    LeNet5Classifier(**QUICK).fit(X, y).predict(X / 255)


def predict_in_a_pipeline(X, y):
    pipeline = make_pipeline("passthrough", LeNet5Classifier(**QUICK)).fit(X, y)
    pipeline.predict(X / 255)


def fit_a_table(X, y):
    LeNet5Classifier(**QUICK).fit(TABLE, LABELS)


def fit_a_table_partially(X, y):
    LeNet5Classifier(**QUICK).partial_fit(TABLE, LABELS, [0, 1])


def validate_on_another_scale(X, y):
    LeNet5Classifier(**QUICK).fit(X, y, X_val=X / 255, y_val=y)


def cross_validate_a_table(X, y):
    cross_val_score(make_pipeline(MinMaxScaler(), LeNet5Classifier(**QUICK)), TABLE, LABELS)


@pytest.mark.parametrize(
    "call",
    [
        predict_on_another_scale,
        predict_in_a_pipeline,
        fit_a_table,
        fit_a_table_partially,
        validate_on_another_scale,
        cross_validate_a_table,
    ],
)
def test_a_warning_points_to_the_users_line(call, digits):
    X, y, *_ = digits
    with pytest.warns(UserWarning, match="pixels") as caught:
        call(X[:60] * 15.0, y[:60])
    assert {warning.filename for warning in caught} == {__file__}
    first, last = (
        call.__code__.co_firstlineno,
        max(line for *_, line in call.__code__.co_lines() if line),
    )
    assert all(first < warning.lineno <= last for warning in caught)
