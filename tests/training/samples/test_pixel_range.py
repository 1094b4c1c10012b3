"""Images on another scale than the training data lead to a warning."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits as sklearn_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.training.samples.pixel_range import warn_of_other_range

QUICK = {"max_epochs": 1, "random_state": 0}
DIGITS = load_digits().data[:40]  # 0 to 16
BYTES = np.rint(DIGITS * (255 / 16)).astype(np.uint8)
STANDARDIZED = (BYTES / 255 - 0.3) / 0.38
RNG = np.random.default_rng(0)

OTHER = {
    "fractions of bytes": (BYTES / 255, (0, 255), "factor is 255: multiply"),
    "fractions of digits": (DIGITS / 16, (0, 16), "factor is 16: multiply"),
    "fractions, in float32": ((BYTES / 255).astype("f4"), (0, 255), "factor is 255"),
    "fractions, less than the brightest": (BYTES[:1] / 300, (0, 250), "factor is 255"),
    "fractions of 16 bits": (BYTES / 255, (0, 65535), "factor is 65535: multiply"),
    "one image": (BYTES[:1] / 255, (0, 255), "factor is 255: multiply"),
    "booleans": (BYTES > 99, (0, 255), "factor is 255: multiply"),
    "zeros and ones": (1 * (BYTES > 99), (0, 255), "factor is 255: multiply"),
    "bytes of fractions": (BYTES, (0, 1), "factor is 255: divide"),
    "one image of bytes": (BYTES[:1], (0, 0.98), "factor is 255: divide"),
    "bytes of digits": (BYTES, (0, 16), "factor is 15.9375: divide"),
    "digits of bytes": (DIGITS, (0, 255), "factor is 15.9375: multiply"),
    "digits of scikit-learn": (sklearn_digits().data, (0, 255), "factor is 15.9375"),
    "digits of fractions": (DIGITS, (0, 1), "factor is 16: divide"),
    "16 bits of bytes": (BYTES.astype("u2") * 257, (0, 255), "factor is 257: divide"),
    "10 bits of bytes": (
        np.array([[0, 300, 800, 1023]]),
        (0, 255),
        "factor is 4.0117.*: divide",
    ),
    "bytes of 16 bits": (BYTES, (0, 65535), "factor is 257: multiply"),
    "standardized of bytes": (STANDARDIZED, (0, 255), "standardized"),
    "standardized of digits": (STANDARDIZED, (0, 16), "standardized"),
    "standardized of fractions": (
        (DIGITS - DIGITS.mean()) / DIGITS.std(),
        (0, 1),
        "standardized",
    ),
    "bytes of standardized": (BYTES, (-0.8, 1.9), "standardized"),
    "fractions of standardized": (BYTES / 255, (-0.8, 1.9), "standardized"),
    "-1..1 of bytes": (BYTES / 127.5 - 1, (0, 255), "centered"),
    "-1..1 of fractions": (BYTES / 127.5 - 1, (0, 1), "centered"),
    "fractions of -1..1": (BYTES / 255, (-1, 1), "centered"),
    "bytes of -1..1": (BYTES, (-1, 1), "centered"),
}

SAME = {
    "the same": (BYTES, (0, 255)),
    "the same digits": (DIGITS, (0, 16)),
    "dark": (BYTES // 16, (0, 255)),
    "very dark": (BYTES // 64, (0, 255)),
    "dark in float": (BYTES * 0.1, (0, 255)),
    "dark digits": (DIGITS // 8, (0, 16)),
    "dark digits in float": (DIGITS * 0.1, (0, 16)),
    "one dark image": (np.array([[0, 1, 2, 3]], dtype=np.uint8), (0, 255)),
    "one dark image of fractions": (np.array([[0, 1, 2, 3]], dtype=np.uint8), (0, 1)),
    "dark to different degrees": (
        (BYTES * RNG.uniform(0, 16 / 255, (40, 1))).astype(np.uint8),
        (0, 255),
    ),
    "of low contrast": (BYTES // 16 + 100, (0, 255)),
    "bright": (BYTES * 1.5, (0, 255)),
    "noisy bytes": (BYTES + RNG.normal(0, 60, BYTES.shape), (0, 255)),
    "noisy digits": (DIGITS + RNG.normal(0, 3, DIGITS.shape), (0, 16)),
    "noisy fractions": (BYTES / 255 + RNG.normal(0, 0.3, BYTES.shape), (0, 1)),
    "few enormous values": (np.where(RNG.random((40, 64)) < 0.01, 50, 1.0), (0, 1)),
    "two enormous values in one image": (np.array([[0.3] * 62 + [9, 50]]), (0, 1)),
    "noise on black": (RNG.poisson(2, BYTES.shape), (0, 255)),
    "black": (np.zeros((3, 64)), (0, 255)),
    "white": (np.full((3, 64), 255), (0, 1)),
    "one": (np.ones((1, 64)), (0, 255)),
    "standardized": (STANDARDIZED, (-0.8, 1.9)),
    "dark standardized": (0.3 * STANDARDIZED, (-0.8, 1.9)),
    "noisy standardized": (STANDARDIZED + RNG.normal(0, 1, BYTES.shape), (-0.8, 1.9)),
    "a constant in training": (BYTES, (7, 7)),
    "enormous": (np.array([[-1e308, 1e308]]), (-1e308, 1e308)),
    "enormous and negative": (np.array([[-1e308, 1e308, 1e308]]), (0, 1.7e308)),
}


@pytest.mark.parametrize("name", OTHER)
def test_another_scale_leads_to_a_warning(name):
    X, trained, remedy = OTHER[name]
    low, high = (f"{end:.6g}" for end in trained)
    message = f"(?s)pixels from .*trained on pixels from {low} to {high}.*{remedy}"
    with pytest.warns(UserWarning, match=message):
        warn_of_other_range(np.asarray(X), trained)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", SAME)
def test_the_same_scale_leads_to_no_warning(name):
    X, trained = SAME[name]
    warn_of_other_range(np.asarray(X), trained)


@pytest.fixture(scope="module")
def trained():
    return LeNet5Classifier(**QUICK).fit(BYTES, load_digits().target[:40])


def warnings_of(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in caught]


METHODS = {
    "predict": lambda e, X: e.predict(X),
    "predict_proba": lambda e, X: e.predict_proba(X),
    "predict_log_proba": lambda e, X: e.predict_log_proba(X),
    "decision_function": lambda e, X: e.decision_function(X),
    "score_samples": lambda e, X: e.score_samples(X),
    "score": lambda e, X: e.score(X, load_digits().target[:40]),
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_warns_once(trained, method):
    (message,) = warnings_of(lambda: METHODS[method](trained, BYTES / 255))
    assert "X has pixels from 0 to 1" in message
    assert "trained on pixels from 0 to 255" in message
    assert "factor is 255: multiply" in message
    assert warnings_of(lambda: METHODS[method](trained, BYTES)) == []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), MaxAbsScaler()])
def test_scalers_of_single_pixels_lead_to_no_warning(scaler):
    """Pixels that were almost constant in training have large values in other images."""
    X, y = load_digits(return_X_y=True)
    pipeline = make_pipeline(scaler, LeNet5Classifier(**QUICK)).fit(X[:60], y[:60])
    assert pipeline[0].transform(X[60:]).max() > 2 * pipeline[-1].pixel_range_[1]
    pipeline.predict(X[60:])
    for row in X[60:160]:
        pipeline.predict(row[None])


def test_validation_data_and_continued_training():
    X, y = BYTES, load_digits().target[:40]
    estimator = LeNet5Classifier(**QUICK)
    (message,) = warnings_of(lambda: estimator.fit(X, y, X_val=X / 255, y_val=y))
    assert "X_val has pixels from 0 to 1" in message
    assert warnings_of(lambda: estimator.fit(X, y, X_val=X, y_val=y)) == []
    (message,) = warnings_of(lambda: estimator.partial_fit(X / 255, y))
    assert "X has pixels from 0 to 1" in message
    estimator.set_params(warm_start=True)
    (message,) = warnings_of(lambda: estimator.fit(X / 255, y))
    assert "X has pixels from 0 to 1" in message
    # A fit from new weights determines the range from its own data.
    assert warnings_of(lambda: LeNet5Classifier(**QUICK).fit(X / 255, y)) == []
