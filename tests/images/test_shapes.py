import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sklenet.images.shapes import flatten_images, infer_image_shape


@pytest.mark.parametrize(
    ("n_features", "shape"),
    [
        (784, (1, 28, 28)),
        (3072, (3, 32, 32)),
        (64, (1, 8, 8)),
        (1, (1, 1, 1)),
        (2, (1, 2, 2)),
        (3, (1, 2, 2)),
        (12, (1, 4, 4)),
        (27, (3, 3, 3)),
        (500, (1, 23, 23)),
    ],
)
def test_inferred_image_shape(n_features, shape):
    assert infer_image_shape(n_features) == shape


@given(st.integers(1, 20_000))
def test_the_inferred_image_shape_is_the_smallest_that_fits(n_features):
    channels, height, width = infer_image_shape(n_features)
    assert height == width
    assert channels * height * width >= n_features
    assert channels * (height - 1) * (width - 1) < n_features


def test_flattening_keeps_the_order_of_pixels():
    images = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    rows, shape = flatten_images(images)
    assert shape == (3, 4, 5)
    assert np.array_equal(rows.reshape(images.shape), images)
    assert flatten_images(images[:, 0])[1] == (1, 4, 5)
    assert flatten_images(images[:, 0].tolist())[0].shape == (2, 20)
    assert flatten_images(torch.from_numpy(images))[1] == (3, 4, 5)


def test_flattening_rejects_images_of_another_shape():
    with pytest.raises(ValueError, match=r"1x5x4, but image_shape is 1x4x5"):
        flatten_images(np.zeros((2, 5, 4)), (1, 4, 5))
    with pytest.raises(ValueError, match=r"channels last"):
        flatten_images(np.zeros((2, 32, 32, 3)))
