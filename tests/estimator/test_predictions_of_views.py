"""The parameter `views`: predictions as the mean over several views of an image."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklenet import LeNet5Classifier
from sklenet.preprocessing import PixelScaler
from sklenet.presets import lecun1998

SMALL = {"max_epochs": 2, "maps": (2, 3), "hidden": (12,), "random_state": 0}
TEN = ["flip", {"shift": 2}]


def shift(X, down, right):
    """Shift images of 8x8 pixels, enlarged to 24x24, by pixels of the canvas."""
    canvas = np.zeros((len(X), 32, 32))
    canvas[:, 4:28, 4:28] = X.reshape(-1, 8, 8).repeat(3, axis=1).repeat(3, axis=2)
    return np.roll(canvas, (down, right), axis=(1, 2)).reshape(len(X), -1)


def enlarge(X):
    return shift(X, 0, 0)


def test_probabilities_are_the_mean_of_those_of_the_views(digits):
    X, y, X_test, _ = digits
    clf = LeNet5Classifier(**SMALL).fit(enlarge(X), y)
    places = [(0, 0), (-2, 0), (2, 0), (0, -2), (0, 2)]
    views = [shift(X_test, *place) for place in places]
    mirrored = [shift(X_test.reshape(-1, 8, 8)[:, :, ::-1], *place) for place in places]
    expected = np.mean([clf.predict_proba(view) for view in views + mirrored], axis=0)
    clf.set_params(views=TEN)
    found = clf.predict_proba(enlarge(X_test))
    assert found == pytest.approx(expected, rel=1e-9)
    assert np.exp(clf.predict_log_proba(enlarge(X_test))) == pytest.approx(found)
    assert clf.score_samples(enlarge(X_test)) == pytest.approx(np.log(found.max(axis=1)))
    assert np.array_equal(clf.predict(enlarge(X_test)), clf.classes_[found.argmax(axis=1)])
    scores = clf.decision_function(enlarge(X_test))
    assert np.exp(scores) / np.exp(scores).sum(axis=1)[:, None] == pytest.approx(found)


def test_views_have_no_influence_on_fit_and_can_be_changed_after_it(digits):
    X, y, X_test, y_test = digits
    plain = LeNet5Classifier(**SMALL).fit(X, y, X_val=X_test, y_val=y_test)
    ten = LeNet5Classifier(**SMALL, views=TEN).fit(X, y, X_val=X_test, y_val=y_test)
    for one, other in zip(
        plain.module_.parameters(), ten.module_.parameters(), strict=True
    ):
        assert torch.equal(one, other)
    assert plain.validation_scores_ == ten.validation_scores_
    expected = plain.predict_proba(X_test)
    assert not np.array_equal(ten.predict_proba(X_test), expected)
    assert np.array_equal(ten.set_params(views=None).predict_proba(X_test), expected)
    net = ten.set_params(warm_start=True).net_
    assert ten.set_params(views="flip", framing="whole").fit(X, y).net_ is net


def test_the_mirror_image_is_as_probable_as_the_image(digits):
    X, y, X_test, _ = digits
    clf = LeNet5Classifier(**SMALL, views="flip").fit(X, y)
    mirrored = X_test.reshape(-1, 8, 8)[:, :, ::-1].reshape(len(X_test), -1)
    assert clf.predict_proba(mirrored) == pytest.approx(clf.predict_proba(X_test))


@pytest.mark.parametrize("params", [{}, {"loss": "bce"}, {"activation": torch.sin}])
def test_predictions_do_not_depend_on_the_other_images(digits, params):
    X, y, X_test, _ = digits
    clf = LeNet5Classifier(**SMALL, views=TEN, **params).fit(X, y)
    for rows in (X_test, X_test.astype("u1")):
        for method in (clf.predict_proba, clf.predict_log_proba, clf.score_samples):
            every = method(rows)
            for part in (slice(3, 4), slice(40, 107), slice(1, None)):
                assert np.array_equal(method(rows[part]), every[part])


def test_log_probabilities_are_finite_where_probabilities_underflow(digits):
    X, y, X_test, _ = digits
    clf = LeNet5Classifier(**SMALL, views="shift", feature_range=(0, 1000)).fit(X, y)
    assert (clf.predict_proba(X_test) == 0).any()
    assert np.isfinite(clf.predict_log_proba(X_test)).all()


def test_the_confidence_of_the_1998_network_counts_its_rubbish_class(digits):
    X, y, X_test, _ = digits
    params = lecun1998() | {"max_epochs": 2, "lr": 0.002, "random_state": 0}
    views = [shift(X_test, *place) for place in [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]]
    large = LeNet5Classifier(**params).fit(enlarge(X), y)
    # With one view, the confidence is the posterior of the most probable class.
    posteriors = []
    for view in views:
        share = np.exp(large.score_samples(view)) / large.predict_proba(view).max(axis=1)
        posteriors.append(large.predict_proba(view) * share[:, None])
    expected = np.mean(posteriors, axis=0).max(axis=1)
    found = np.exp(large.set_params(views="shift").score_samples(enlarge(X_test)))
    assert found == pytest.approx(expected, rel=1e-6)
    assert (found < large.predict_proba(enlarge(X_test)).max(axis=1)).all()


def test_two_classes_have_one_score(digits):
    X, y, X_test, _ = digits
    clf = LeNet5Classifier(**SMALL).fit(enlarge(X), y > 4)
    places = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
    expected = np.mean([clf.predict_proba(shift(X_test, *at)) for at in places], axis=0)
    odds = clf.set_params(views="shift").decision_function(enlarge(X_test))
    assert odds.shape == (len(X_test),)
    assert 1 / (1 + np.exp(-odds)) == pytest.approx(expected[:, 1])


def test_views_are_a_factor_of_a_search(digits):
    X, y, _, _ = digits
    good = SMALL | {"max_epochs": 10, "lr": 0.01, "batch_size": 32}
    pipeline = make_pipeline(PixelScaler("unit"), LeNet5Classifier(**good))
    grid = {"lenet5classifier__views": [None, "shift", "flip"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    plain, shifted, flipped = search.cv_results_["mean_test_score"]
    assert len({plain, shifted, flipped}) == 3
    assert flipped < plain  # mirrored digits are other digits


def test_unknown_views_are_rejected_before_training_and_before_prediction(digits):
    X, y, X_test, _ = digits
    with pytest.raises(ValueError, match=r"The 'views' parameter .*Got 'mirror'"):
        LeNet5Classifier(views="mirror").fit(X, y)
    clf = LeNet5Classifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match=r"The 'views' parameter has 'shift': 0\.5"):
        clf.set_params(views={"shift": 0.5}).predict(X_test)
    assert clone(clf).views == {"shift": 0.5}
