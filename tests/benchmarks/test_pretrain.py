"""The choice of the networks that ship with the package, and the folding of scalers."""

import numpy as np
import pandas as pd
import pretrain
import pytest
from sklearn.pipeline import make_pipeline

from sklenet import LeNet5Classifier
from sklenet.preprocessing import PixelScaler

RNG = np.random.RandomState(0)
X = RNG.randint(256, size=(60, 3 * 32 * 32)).astype(np.uint8)
y = np.arange(60) % 3


class ConstructedResults:
    """Two rungs on MNIST, of which the last one has lower accuracies."""

    accuracies = (
        ("mnist", "20 epochs", [0.995, 0.994, 0.996, 0.993, 0.997]),
        ("mnist", "60 epochs", [0.980, 0.984, 0.981, 0.983, 0.980]),
        ("fashion_mnist", "flips", [0.90, 0.92, 0.91, 0.93]),
    )

    def __init__(self, folder):
        self.fits = pd.DataFrame(
            {"data": data, "setting": setting, "seed": seed, "test_accuracy": accuracy}
            for data, setting, accuracies in self.accuracies
            for seed, accuracy in enumerate(accuracies)
        )


def test_the_seed_with_the_median_accuracy_is_chosen(monkeypatch):
    monkeypatch.setattr(pretrain, "Results", ConstructedResults)
    sources = {
        "last": pretrain.Source("mnist", "ladder", "60 epochs"),
        "first": pretrain.Source("mnist", "ladder", "20 epochs"),
        "even": pretrain.Source("fashion_mnist", "ladder", "flips"),
    }
    monkeypatch.setattr(pretrain, "SOURCES", sources)
    choice = pretrain.choose("last")
    assert (choice.setting, choice.seed, choice.recorded) == ("60 epochs", 2, 0.981)
    assert choice.n_seeds == 5
    assert choice.mean == pytest.approx(0.9816)
    assert pretrain.choose("first").recorded == 0.995
    # The lower of the two in the middle.
    assert pretrain.choose("even").recorded == 0.91


@pytest.mark.parametrize("name", pretrain.SOURCES)
def test_the_study_file_has_the_chosen_fit(name):
    choice = pretrain.choose(name)
    classifier = pretrain.make_pipeline(choice)[-1]
    assert classifier.random_state == choice.seed


@pytest.mark.parametrize("to", ["standard", "signed"])
def test_a_folded_scaler_changes_no_predictions(to):
    classifier = LeNet5Classifier(
        image_shape=(3, 32, 32), feature_range=None, max_epochs=2, random_state=0
    )
    pipeline = make_pipeline(PixelScaler(to, image_shape=(3, 32, 32)), classifier)
    pipeline.fit(X, y)
    folded = pretrain.fold_scaler(pipeline)
    expected = pipeline.predict_proba(X)
    assert folded.predict_proba(X) == pytest.approx(expected, abs=1e-4)


def test_a_scaler_cannot_be_folded_if_the_canvas_has_a_border():
    small = X[:, :784]
    classifier = LeNet5Classifier(feature_range=None, max_epochs=1, random_state=0)
    pipeline = make_pipeline(PixelScaler("standard"), classifier).fit(small, y)
    with pytest.raises(ValueError, match="fill the canvas"):
        pretrain.fold_scaler(pipeline)


def test_a_classifier_without_a_scaler_is_left_as_it_is():
    pipeline = make_pipeline(LeNet5Classifier(max_epochs=1, random_state=0)).fit(X, y)
    assert pretrain.fold_scaler(pipeline) is pipeline[-1]
