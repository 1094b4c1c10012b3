import numpy as np
import pytest

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


def test_resized_booleans_are_rounded():
    dots = np.zeros((1, 28, 28), bool)
    dots[0, ::7, ::7] = True
    assert not Resizer(4).fit_transform(dots).any()
    halves = np.tile([True, True, True, False], (1, 4, 1))
    assert Resizer(2).fit_transform(halves).tolist() == [[[True, False]] * 2]


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
def test_resized_integers_do_not_overflow(dtype):
    largest = np.iinfo(dtype).max
    resized = Resizer(2).fit_transform(np.full((1, 16), largest, dtype))
    assert (resized > largest * 0.999).all()
    exact = 2**24 + 1  # not a float32
    assert (Resizer(2).fit_transform(np.full((1, 16), exact, dtype)) == exact).all()


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_resizing_read_only_images_gives_no_warning(dtype, recwarn):
    images = np.ones((1, 4, 4), dtype)
    images.flags.writeable = False
    Resizer(2).fit_transform(images)
    assert not recwarn.list


@pytest.mark.parametrize("transformer", [Padder, Resizer])
@pytest.mark.parametrize(
    "size", [(28,), (28, 28, 28), (0, 5), (-1, 28), (28, 28.5), [], "28"]
)
def test_sizes_are_checked(transformer, size):
    with pytest.raises(ValueError, match=f"'size' parameter of {transformer.__name__}"):
        transformer(size).fit_transform(np.ones((1, 8, 8)))


@pytest.mark.parametrize(
    ("value", "dtype", "right"),
    [
        (0.5, "uint8", "a whole number from 0 to 255"),
        (-1, "uint8", "a whole number from 0 to 255"),
        (300, "uint8", "a whole number from 0 to 255"),
        (128, "int8", "a whole number from -128 to 127"),
        (7, "bool", "0 or 1"),
        (float("nan"), "float32", "float in the range"),
        (1e6, "float16", "a number from -65504.0 to 65504.0"),
        (1e300, "float32", "a number from -3.4"),
        (np.int64(300), "uint8", "a whole number from 0 to 255"),
    ],
)
def test_a_border_that_pixels_cannot_have_is_rejected(value, dtype, right):
    images = np.ones((1, 8, 8), dtype)
    for method in ("fit", "transform"):
        with pytest.raises(ValueError, match=f"'value' parameter of Padder.*{right}"):
            getattr(Padder(value=value), method)(images)


def test_a_border_of_floats_has_any_value():
    padded = Padder(12, value=-0.5).fit_transform(np.ones((1, 8, 8), "f2"))
    assert (padded[0, 0] == -0.5).all()
