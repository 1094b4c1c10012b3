import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sklenet.images.canvas import Canvas
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
def test_infer_image_shape(n_features, shape):
    assert infer_image_shape(n_features) == shape


@given(st.integers(1, 20_000))
def test_inferred_shapes_hold_all_features(n_features):
    channels, height, width = infer_image_shape(n_features)
    assert height == width
    assert channels * height * width >= n_features
    assert channels * (height - 1) * (width - 1) < n_features


def test_flatten_keeps_the_order_of_pixels():
    images = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    rows, shape = flatten_images(images)
    assert shape == (3, 4, 5)
    assert np.array_equal(rows.reshape(images.shape), images)
    assert flatten_images(images[:, 0])[1] == (1, 4, 5)
    assert flatten_images(images[:, 0].tolist())[0].shape == (2, 20)
    assert flatten_images(torch.from_numpy(images))[1] == (3, 4, 5)


def test_flatten_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"1x5x4, but image_shape is 1x4x5"):
        flatten_images(np.zeros((2, 5, 4)), (1, 4, 5))
    with pytest.raises(ValueError, match=r"channels last"):
        flatten_images(np.zeros((2, 32, 32, 3)))


def test_digits_are_enlarged_threefold_and_centred():
    image = np.arange(64, dtype=np.uint8)
    canvas = Canvas((1, 8, 8), low=0, high=64)
    assert canvas.factor == 3
    (out,) = canvas(torch.from_numpy(image)[None])[0]
    assert out.shape == (32, 32)
    assert not out[:4].any()
    assert not out[:, -4:].any()
    inner = out[4:28, 4:28].reshape(8, 3, 8, 3)
    assert torch.equal(inner.amin(dim=(1, 3)), inner.amax(dim=(1, 3)))
    assert torch.allclose(
        inner[:, 0, :, 0] * 64, torch.from_numpy(image).view(8, 8).float()
    )


@pytest.mark.parametrize(
    ("image_shape", "factor", "shape"),
    [
        ((1, 28, 28), 1, (1, 32, 32)),
        ((3, 32, 32), 1, (3, 32, 32)),
        ((1, 14, 14), 2, (1, 32, 32)),
        ((1, 15, 15), 1, (1, 32, 32)),
        ((1, 1, 1), 28, (1, 32, 32)),
        ((1, 40, 20), 1, (1, 40, 32)),
    ],
)
def test_canvas_shape(image_shape, factor, shape):
    canvas = Canvas(image_shape)
    assert (canvas.factor, canvas.shape) == (factor, shape)
    assert canvas(torch.rand(2, np.prod(image_shape))).shape == (2, *shape)


def test_mnist_is_zero_padded_by_two_pixels():
    digit = torch.randint(1, 256, (1, 784), dtype=torch.uint8)
    (out,) = Canvas((1, 28, 28), 0, 255)(digit)[0]
    assert torch.equal(out[2:30, 2:30], digit.view(28, 28) / 255)
    assert out.count_nonzero() == 784


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32, torch.float64])
def test_pixel_range_becomes_0_to_1_in_any_type(dtype):
    rows = torch.tensor([[3, 7, 5, 3]], dtype=dtype)
    out = Canvas((1, 2, 2), low=3, high=7)(rows)
    assert out.dtype == torch.float32
    assert sorted(set(out.flatten().tolist())) == [0.0, 0.5, 1.0]


def test_a_large_offset_does_not_swallow_the_picture():
    offset = 1e12
    rows = torch.tensor([[offset, offset + 1, offset + 2, offset]], dtype=torch.float64)
    out = Canvas((1, 2, 2), low=offset, high=offset + 2)(rows)
    assert sorted(set(out.flatten().tolist())) == [0.0, 0.5, 1.0]


def test_a_constant_image_is_background():
    assert not Canvas((1, 2, 2), 5, 5)(torch.full((1, 4), 5.0)).any()


def test_missing_features_are_background():
    out = Canvas((1, 2, 2), low=-1, high=1)(torch.tensor([[1.0, 1.0, 1.0]]))
    assert out[0, 0, 2:30, 2:30].mean().item() == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("image_shape", "padding", "shape"),
    [
        ((1, 28, 28), 0, (1, 28, 28)),
        ((1, 8, 8), 4, (1, 16, 16)),
        ((3, 9, 5), 1, (3, 11, 7)),
    ],
)
def test_padding_instead_of_the_canvas(image_shape, padding, shape):
    canvas = Canvas(image_shape, 0, 255, (-1.0, 1.0), padding)
    assert canvas.shape == shape
    rows = torch.randint(0, 256, (2, math.prod(image_shape)), dtype=torch.uint8)
    images = canvas(rows)
    assert images.shape == (2, *shape)
    inner = images[(..., *canvas.interior)]
    assert torch.allclose(inner.flatten(1), rows / 255 * 2 - 1, atol=1e-6)
    assert images.sum() == pytest.approx(
        float(inner.sum()) - (images.numel() - inner.numel()), rel=1e-4
    )
