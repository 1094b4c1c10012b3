import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from sklenet import LeNet5Classifier
from sklenet.display.rejection import RejectionCurveDisplay, rejection_curve
from sklenet.preprocessing import PixelScaler


def test_images_with_the_lowest_scores_are_rejected_first():
    rejected, error = rejection_curve([0, 0, 0, 0], [1, 0, 1, 0], [0.4, 0.3, 0.1, 0.9])
    assert rejected.tolist() == [0, 0.25, 0.5, 0.75]
    assert error.tolist() == pytest.approx([0.5, 1 / 3, 0.5, 0])


def test_images_with_equal_scores_are_rejected_together():
    rejected, error = rejection_curve([0, 0, 0, 0], [1, 0, 0, 0], [0.5, 0.5, 0.5, 0.9])
    assert rejected.tolist() == [0, 0.75]
    assert error.tolist() == [0.25, 0]


def test_uninformative_scores_leave_the_error_unchanged():
    rng = np.random.default_rng(0)
    wrong = rng.random(20_000) < 0.1
    rejected, error = rejection_curve(wrong, np.zeros(20_000), rng.random(20_000))
    assert np.abs(error[rejected < 0.5] - 0.1).max() < 0.02


def test_noise_has_low_scores_with_radial_basis_functions(digits):
    X, y, X_test, _ = digits
    model = LeNet5Classifier(
        output="rbf", loss="map", init="torch", max_epochs=10, batch_size=16, random_state=0
    ).fit(X, y)
    noise = np.random.default_rng(0).uniform(0, X.max(), X_test.shape)
    assert np.median(model.score_samples(noise)) < np.median(model.score_samples(X_test))
    proba = model.predict_proba(X_test).max(axis=1)
    # The rubbish class reduces the posterior probability of all others.
    assert (np.exp(model.score_samples(X_test)) < proba + 1e-12).all()


def test_scores_are_the_log_probabilities_of_the_predictions(fitted, digits):
    _, _, X, _ = digits
    assert np.allclose(np.exp(fitted.score_samples(X)), fitted.predict_proba(X).max(axis=1))


@pytest.mark.parametrize("scores", [[0.5, np.nan], [0.5, np.inf]])
def test_scores_must_be_finite(scores):
    with pytest.raises(ValueError, match="scores contains"):
        rejection_curve([0, 1], [0, 1], scores)


def test_score_samples_requires_a_fitted_estimator():
    with pytest.raises(NotFittedError):
        LeNet5Classifier().score_samples([[0.0] * 64])


def test_an_empty_input_is_rejected():
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        rejection_curve([], [], [])


def test_inputs_of_different_lengths_are_rejected():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        rejection_curve([0, 1], [0, 1], [0.5])


def test_from_estimator_accepts_an_estimator_and_a_pipeline(fitted, digits):
    _, _, X, y = digits
    display = RejectionCurveDisplay.from_estimator(fitted, X, y)
    assert display.line_.get_ydata()[0] == pytest.approx(100 * (1 - fitted.score(X, y)))
    assert display.ax_.get_xlabel() == "rejected (%)"
    pipeline = make_pipeline(PixelScaler(), clone(fitted)).fit(X[:100], y[:100])
    assert RejectionCurveDisplay.from_estimator(pipeline, X, y).name == "Pipeline"
