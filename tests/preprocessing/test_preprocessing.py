import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.preprocessing import DarkBackground, Inverter, Padder, PixelScaler, Resizer

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
]


@parametrize_with_checks(TRANSFORMERS)
def test_checks_of_scikit_learn_pass(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def X():
    return load_digits().data[:50]


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
    [Inverter(maximum=16), DarkBackground(maximum=16), Padder(), Resizer()],
    ids=repr,
)
def test_fit_is_not_needed_if_nothing_is_learnt(transformer, X):
    assert np.array_equal(clone(transformer).transform(X), transformer.fit_transform(X))


@pytest.mark.parametrize(
    "transformer",
    [Inverter(maximum="white"), DarkBackground(maximum="white"), Padder(0), Resizer(0)],
    ids=repr,
)
def test_parameters_are_also_checked_without_fit(transformer, X):
    with pytest.raises(ValueError, match=rf"parameter of {type(transformer).__name__}"):
        transformer.transform(X)


# Inverter


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "float32"])
@pytest.mark.parametrize("maximum", [None, 16, 100])
def test_inverting_twice_restores_the_image(dtype, maximum, X):
    X = X.astype(dtype)
    inverter = Inverter(maximum=maximum)
    negative = inverter.fit_transform(X)
    assert negative.dtype == X.dtype
    assert np.array_equal(negative.astype(int), (maximum or 16) - X.astype(int))
    assert np.array_equal(inverter.transform(negative), X)
    assert np.array_equal(inverter.inverse_transform(negative), X)


def test_a_maximum_below_that_of_X_is_rejected(X):
    with pytest.raises(
        ValueError, match=r"'maximum' parameter of Inverter is 15.*up to .*16"
    ):
        Inverter(maximum=15).fit(X)
    with pytest.raises(ValueError, match="unsigned integers cannot hold the negative"):
        Inverter(maximum=15).transform(X)


# DarkBackground


@pytest.mark.parametrize("background", ["border", "all"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64"])
@pytest.mark.parametrize("shape", [(8, 8), (3, 7, 5), (61,)])
def test_an_image_and_its_negative_give_the_same_result(background, dtype, shape):
    rng = np.random.default_rng(0)
    X = (rng.random((200, *shape)) ** rng.uniform(0.3, 3, (200, *[1] * len(shape)))) * 255
    X = X.astype(dtype)
    if dtype == "float64":
        X = np.round(X * 4) / 4  # makes 255 - (255 - x) exact
    transformer = DarkBackground(background=background, maximum=255)
    dark = transformer.fit_transform(X)
    assert dark.dtype == X.dtype
    assert np.array_equal(transformer.transform(255 - X), dark)
    assert np.array_equal(transformer.transform(dark), dark)
    changed = (dark != X).reshape(200, -1).any(axis=1)
    assert 20 < changed.sum() < 180
    assert np.array_equal(dark[changed], 255 - X[changed])


def test_an_image_with_a_dark_border_is_unchanged():
    image = np.zeros((1, 6, 6), dtype=np.uint8)
    image[0, 1:-1, 1:-1] = 250
    assert np.array_equal(DarkBackground(maximum=250).transform(image), image)
    image[0, 0, 0] = 250
    whole = DarkBackground(background="all", maximum=250)
    assert np.array_equal(whole.transform(image), image)  # 17 of 36 pixels are bright
    image[0, 0, 1:4] = 250
    assert np.array_equal(whole.transform(image), 250 - image)


def test_a_background_of_half_the_maximum_is_unchanged():
    grey = np.array([[0, 255, 0, 255]], dtype=np.uint8)
    transformer = DarkBackground(maximum=255)
    assert np.array_equal(transformer.transform(grey), grey)
    assert np.array_equal(transformer.transform(255 - grey), 255 - grey)


@pytest.mark.real_data("mnist")
def test_the_border_of_mnist_is_dark(real_data):
    from sklenet.datasets import fetch_mnist

    X = fetch_mnist(data_home=real_data).data
    transformer = DarkBackground(maximum=255)
    assert np.array_equal(transformer.transform(X), X)
    assert np.array_equal(transformer.transform(255 - X), X)


# PixelScaler


@pytest.mark.parametrize(
    ("to", "low", "high"),
    [("unit", 0, 1), ("signed", -1, 1), ("lecun1998", -0.1, 1.175), ((-2, 5.5), -2, 5.5)],
)
def test_scaling_to_a_range(to, low, high, X):
    scaler = PixelScaler(to).fit(X)
    scaled = scaler.transform(X)
    assert scaled.min() == pytest.approx(low)
    assert scaled.max() == pytest.approx(high)
    assert np.allclose(scaled, low + X / 16 * (high - low))
    assert np.allclose(scaler.inverse_transform(scaled), X)


@pytest.mark.real_data("mnist")
def test_the_range_of_1998_gives_a_mean_close_to_0(real_data):
    from sklenet.datasets import fetch_mnist

    # The images of the paper include the border of the 32x32 canvas.
    images = Padder().fit_transform(fetch_mnist(data_home=real_data).data[:10_000])
    assert abs(PixelScaler("lecun1998").fit_transform(images).mean()) < 0.05


def test_standardization_is_per_channel():
    rng = np.random.default_rng(0)
    images = rng.normal([[[[1]], [[20]], [[-3]]]], [[[[1]], [[5]], [[0.1]]]], (40, 3, 6, 6))
    scaled = PixelScaler("standard").fit_transform(images)
    assert np.allclose(scaled.mean(axis=(0, 2, 3)), 0)
    assert np.allclose(scaled.std(axis=(0, 2, 3)), 1)
    scaler = PixelScaler("standard").fit(images)
    assert np.allclose(scaler.inverse_transform(scaled), images)
    assert scaler.offset_.shape == scaler.scale_.shape == (3,)


def test_column_l2_divides_each_column_by_its_norm(X):
    scaled = PixelScaler("column_l2").fit_transform(X).reshape(-1, 8, 8)
    images = X.reshape(-1, 8, 8).astype(float)
    for image, out in zip(images, scaled, strict=True):
        for column, wanted in zip(image.T, out.T, strict=True):
            norm = np.linalg.norm(column)
            assert np.allclose(column / norm if norm else column, wanted)
    assert not hasattr(PixelScaler("column_l2"), "inverse_transform")


def test_scaling_keeps_float32(X):
    assert PixelScaler().fit_transform(X.astype("f4")).dtype == np.float32
    assert PixelScaler().fit_transform(X).dtype == np.float64


# Padder and Resizer


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


# Invalid input


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
