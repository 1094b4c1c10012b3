import numpy as np
import pytest

from sklenet.datasets import fetch_mnist
from sklenet.preprocessing import DarkBackground


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
    X = fetch_mnist(data_home=real_data).data
    transformer = DarkBackground(maximum=255)
    assert np.array_equal(transformer.transform(X), X)
    assert np.array_equal(transformer.transform(255 - X), X)
