import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.preprocessing import (
    DarkBackground,
    Disturber,
    Inverter,
    Padder,
    PixelScaler,
    Resizer,
)

TRANSFORMERS = [
    Inverter(),
    DarkBackground(),
    PixelScaler(),
    PixelScaler("standard"),
    PixelScaler("column_l2"),
    PixelScaler((-2.0, 3.0)),
    Padder(),
    Resizer(),
    Resizer(9, interpolation="bilinear"),
    Disturber(),
    Disturber(rotation=10, shift=1, scale=0.1, squeeze=0.1, stroke=0.5, occlusion=2),
    Disturber(noise=0.1),
]


@parametrize_with_checks(TRANSFORMERS)
def test_checks_of_scikit_learn_pass(estimator, check):
    check(estimator)


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=repr)
def test_flat_and_image_shaped_X_give_the_same_result(transformer, X):
    flat = transformer.fit_transform(X)
    for images in (X.reshape(-1, 8, 8), X.reshape(-1, 1, 8, 8)):
        out = transformer.fit_transform(images)
        assert out.ndim == images.ndim
        assert np.array_equal(out.reshape(len(X), -1), flat)


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=repr)
def test_feature_names_and_data_frames(transformer, X):
    out = transformer.fit(X).set_output(transform="pandas").transform(X)
    assert isinstance(out, pd.DataFrame)
    assert out.columns.tolist() == transformer.get_feature_names_out().tolist()
    transformer.set_output(transform="default")
    assert np.array_equal(out.to_numpy(), transformer.transform(X))


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=repr)
def test_in_a_pipeline_with_the_classifier(transformer, X):
    y = load_digits().target[:50]
    model = make_pipeline(transformer, LeNet5Classifier(max_epochs=20, random_state=0))
    assert model.fit(X, y).score(X, y) > 0.5


@pytest.mark.parametrize(
    "transformer",
    [
        Inverter(maximum=16),
        DarkBackground(maximum=16),
        Padder(),
        Resizer(),
        Disturber(rotation=30),
        Disturber(noise=1, pixel_range=(0, 16)),
    ],
    ids=repr,
)
def test_fit_is_not_needed_if_nothing_is_learnt(transformer, X):
    assert np.array_equal(clone(transformer).transform(X), transformer.fit_transform(X))


@pytest.mark.parametrize(
    "transformer",
    [
        Inverter(maximum="white"),
        DarkBackground(maximum="white"),
        Padder(0),
        Resizer(0),
        Disturber(scale=1),
    ],
    ids=repr,
)
def test_parameters_are_also_checked_without_fit(transformer, X):
    with pytest.raises(ValueError, match=rf"parameter of {type(transformer).__name__}"):
        transformer.transform(X)


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (PixelScaler("units"), "'to' parameter.*'lecun1998'.*'units'"),
        (PixelScaler((1, 0)), r"'to' parameter.*the lower one first. Got \(1, 0\)"),
        (PixelScaler((1,)), "'to' parameter.*two numbers"),
        (
            PixelScaler(image_shape=(7, 9)),
            r"'image_shape' parameter of PixelScaler.*64 feat",
        ),
        (PixelScaler(image_shape=8), "'image_shape' parameter"),
        (Padder(7), "'size' parameter of Padder is 7, but images are 8x8"),
        (Padder(0), "'size' parameter"),
        (Resizer(-1), "'size' parameter"),
        (Resizer(interpolation="lanczos"), "'interpolation' parameter.*'area'"),
        (Inverter(maximum="white"), "'maximum' parameter"),
        (DarkBackground(maximum="white"), "'maximum' parameter"),
        (DarkBackground(maximum=15), r"'maximum' parameter of DarkBackground.*up to .*16"),
        (Disturber(rotation=-1), r"'rotation' parameter of Disturber.*\[0.0, 180.0\].*-1"),
        (Disturber(shift="far"), "'shift' parameter of Disturber.*'far'"),
        (Disturber(scale=1), r"'scale' parameter of Disturber.*\[0.0, 1.0\)"),
        (Disturber(squeeze=-0.1), r"'squeeze' parameter of Disturber.*\[0.0, 1.0\)"),
        (Disturber(stroke=-1), "'stroke' parameter of Disturber"),
        (Disturber(noise=-1), "'noise' parameter of Disturber"),
        (Disturber(occlusion=1.5), "'occlusion' parameter of Disturber.*int.*1.5"),
        (Disturber(random_state="x"), "'random_state' parameter of Disturber"),
        (
            Disturber(pixel_range=(1, 0)),
            r"'pixel_range' parameter of Disturber.*the lower one first. Got \(1, 0\)",
        ),
        (Disturber(pixel_range=(0, float("nan"))), "'pixel_range' parameter.*two numbers"),
        (
            Disturber(pixel_range=(0, 1)),
            r"'pixel_range' parameter of Disturber is \(0, 1\).*from 0.* to 16",
        ),
        (DarkBackground(background="edge"), "'background' parameter of DarkBackground"),
    ],
)
def test_invalid_parameters_are_named(transformer, message, X):
    with pytest.raises(ValueError, match=message):
        transformer.fit(X)


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=repr)
def test_images_of_another_size_than_in_fit_are_rejected(transformer, X):
    transformer.fit(X)
    with pytest.raises(ValueError, match="expecting 64 features"):
        transformer.transform(X[:, :60])


@pytest.mark.parametrize("transformer", [Inverter, DarkBackground])
@pytest.mark.parametrize("maximum", [None, 1])
def test_the_negative_of_a_boolean_image(transformer, maximum):
    bright, dark = [False, True, True, True], [True, False, False, False]
    result = transformer(maximum=maximum).fit_transform([bright, dark])
    assert result.dtype == bool
    assert result.tolist() == [dark, bright if transformer is Inverter else dark]


def test_a_boolean_image_without_white_has_a_negative():
    assert Inverter().fit_transform(np.zeros((1, 4), bool)).all()


@pytest.mark.parametrize("transformer", [Inverter, DarkBackground])
@pytest.mark.parametrize(
    ("dtype", "pixels", "maximum", "message"),
    [
        ("uint8", [0, 200], 300, "is 300, but .* uint8 .* from 0 to 255"),
        ("uint8", [0, 200], 300.0, "is 300.0, but .* uint8 .* from 0 to 255"),
        ("uint8", [0, 200], 200.5, "is 200.5, but .* uint8 .* a whole number"),
        ("int8", [0, 100], 200, "is 200, but .* int8 .* from -128 to 127"),
        ("int8", [-100, 100], 100, "down to -100: its data type int8 cannot hold"),
        ("int8", [-100, 100], None, "down to -100: its data type int8 cannot hold"),
        ("bool", [0, 1], 255, "is 255, but .* bool it must be 1"),
        ("uint8", [0, 255], np.uint8(200), "up to 255"),
        ("int8", [-100, 100], np.int8(100), "down to -100: its data type int8 cannot hold"),
        ("float16", [0, 1], 1e6, "is 1000000.0, but .* float16 .* to 65504"),
        ("float32", [0, 1], float("nan"), "'maximum' parameter .* nan"),
        ("float32", [0, 1], float("inf"), "'maximum' parameter .* inf"),
    ],
)
def test_negatives_that_cannot_be_represented_are_rejected(
    transformer, dtype, pixels, maximum, message
):
    images = np.array([pixels * 2], dtype)
    with pytest.raises(ValueError, match=message):
        transformer(maximum=maximum).fit(images)
    if maximum is not None:
        with pytest.raises(ValueError, match=message):
            transformer(maximum=maximum).transform(images)


def test_a_maximum_learnt_from_other_images_is_checked_as_well():
    inverter = Inverter().fit(np.array([[0.0, 0.7, 0.1, 0.2]]))
    with pytest.raises(ValueError, match=r"learnt maximum_ of Inverter is 0\.7, but"):
        inverter.transform(np.array([[0, 1, 1, 0]], np.uint8))


@pytest.mark.parametrize("transformer", [Inverter, DarkBackground])
def test_a_maximum_of_numpy_has_no_limits(transformer):
    bright = np.array([[0, 255, 255, 255]], np.int16)
    result = transformer(maximum=np.uint8(255)).fit(bright).transform(2 * bright)
    assert result.tolist() == [[255, -255, -255, -255]]


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_negatives_of_the_largest_integers(dtype):
    limits = np.iinfo(dtype)
    images = np.array([[0, 1, 2, limits.max]], dtype)
    negative = Inverter().fit_transform(images)
    assert negative.tolist() == [[limits.max - pixel for pixel in images[0].tolist()]]
