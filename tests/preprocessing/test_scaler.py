import numpy as np
import pytest

from sklenet.datasets import fetch_mnist
from sklenet.preprocessing import Padder, PixelScaler


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


def test_column_l2_of_half_precision_does_not_overflow():
    images = np.full((1, 16), 255, "f2")
    scaled = PixelScaler("column_l2").fit_transform(images)
    assert scaled.dtype == np.float16
    assert (scaled == 0.5).all()


def test_half_precision_does_not_overflow():
    images = np.array([[-60000, 0, 30000, 60000]], "f2")
    scaler = PixelScaler().fit(images)
    scaled = scaler.transform(images)
    assert scaled.dtype == np.float16
    assert scaled.tolist() == [[0, 0.5, 0.75, 1]]
    assert np.array_equal(scaler.inverse_transform(scaled), images)
