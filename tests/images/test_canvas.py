import math

import numpy as np
import pytest
import torch

from sklenet.images.canvas import Canvas


def test_small_digits_are_enlarged_and_centred():
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


def test_mnist_images_are_padded_by_two_pixels():
    digit = torch.randint(1, 256, (1, 784), dtype=torch.uint8)
    (out,) = Canvas((1, 28, 28), 0, 255)(digit)[0]
    assert torch.equal(out[2:30, 2:30], digit.view(28, 28) / 255)
    assert out.count_nonzero() == 784


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32, torch.float64])
def test_pixels_of_any_type_are_scaled_to_0_to_1(dtype):
    rows = torch.tensor([[3, 7, 5, 3]], dtype=dtype)
    out = Canvas((1, 2, 2), low=3, high=7)(rows)
    assert out.dtype == torch.float32
    assert sorted(set(out.flatten().tolist())) == [0.0, 0.5, 1.0]


def test_a_large_offset_does_not_reduce_the_precision():
    offset = 1e12
    rows = torch.tensor([[offset, offset + 1, offset + 2, offset]], dtype=torch.float64)
    out = Canvas((1, 2, 2), low=offset, high=offset + 2)(rows)
    assert sorted(set(out.flatten().tolist())) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("feature_range", [None, (0.0, 1.0), (-0.1, 1.175)])
def test_limits_are_the_darkest_and_the_brightest_value_of_an_image(feature_range):
    canvas = Canvas((1, 32, 32), -2.0, 3.0, feature_range)
    images = canvas(torch.linspace(-2, 3, 1024).reshape(1, -1))
    assert (images.min(), images.max()) == pytest.approx(canvas.limits)


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
def test_padding_replaces_the_canvas(image_shape, padding, shape):
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


@pytest.mark.parametrize(
    ("low", "high", "takes_bytes"),
    [(0, 255, True), (3, 200, True), (0, 16, False), (0, 1, False), (-1, 255, False)],
)
def test_pixels_from_0_to_255_are_told_from_other_ranges(low, high, takes_bytes):
    assert Canvas((1, 28, 28), low, high).takes_bytes is takes_bytes
