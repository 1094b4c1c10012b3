import numpy as np

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.preprocessing import Padder, Resizer


def test_padder_centres_images():
    images = np.arange(1, 1 + 2 * 3 * 28 * 27, dtype="u2").reshape(2, 3, 28, 27)
    padded = Padder(value=7).fit_transform(images)
    assert padded.shape == (2, 3, 32, 32)
    assert padded.dtype == images.dtype
    assert np.array_equal(padded[:, :, 2:30, 2:29], images)
    assert (padded[:, :, [0, 1, 30, 31]] == 7).all()
    assert (padded[:, :, :, [0, 1, 29, 30, 31]] == 7).all()


def test_padder_is_equivalent_to_the_canvas_of_the_classifier(X):
    y = load_digits().target[:50]
    big = Resizer(24, interpolation="nearest").fit_transform(X)
    probabilities = [
        LeNet5Classifier(max_epochs=1, random_state=0).fit(data, y).predict_proba(data)
        for data in (X, big, Padder().fit_transform(big))
    ]
    assert np.array_equal(probabilities[0], probabilities[1])
    assert np.array_equal(probabilities[0], probabilities[2])


def test_resizing_by_an_integer_factor_repeats_or_averages_pixels(X):
    big = Resizer(24).fit_transform(X)
    assert big.dtype == np.uint8
    assert np.array_equal(big.reshape(-1, 8, 3, 8, 3)[:, :, 1, :, 1].reshape(-1, 64), X)
    assert np.array_equal(Resizer(8).fit_transform(big), X)


def test_resizing_integers_stays_in_their_range():
    edges = np.tile(np.array([0, 255], np.uint8), (1, 8, 4))
    out = Resizer(19, interpolation="bicubic").fit_transform(edges)
    assert out.dtype == np.uint8
    assert out.shape == (1, 19, 19)


def test_feature_names_of_resized_images(X):
    names = Resizer((2, 3)).fit(X).get_feature_names_out()
    assert names.tolist() == [f"pixel_{r}_{c}" for r in range(2) for c in range(3)]
    for channels in (2, 3):
        resizer = Resizer((1, 2)).fit(np.zeros((4, channels, 8, 8)))
        assert resizer.n_features_in_ == channels * 64
        names = resizer.get_feature_names_out()
        assert names.tolist() == [
            f"pixel_{c}_0_{column}" for c in range(channels) for column in range(2)
        ]
