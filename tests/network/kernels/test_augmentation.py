"""The kernels of augmentations against torch in double precision."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sklenet.network.kernels.compiler import load_layers

layers = load_layers()
if layers is None:
    pytest.skip("numba does not compile here", allow_module_level=True)
kernels = layers.augmentation

few = settings(max_examples=20)
SIDES = st.integers(3, 20)
SEEDS = st.integers(0, 2**32 - 1)


def absent(**amounts):
    values = np.full(kernels.N_DRAWS, kernels.ABSENT, np.float32)
    for name, amount in amounts.items():
        values[getattr(kernels, name.upper())] = amount
    return values


def augment(
    images,
    draws,
    amounts,
    fields=None,
    darkest=0.0,
    extent=1.0,
    background=0.0,
    interior=None,
):
    _, channels, height, width = images.shape
    out = np.full_like(images, np.nan)
    kernels.augment_images(
        images,
        draws,
        amounts,
        np.zeros((1, 2, height, width), np.float32) if fields is None else fields,
        fields is not None,
        np.ones((1, 4), np.float32),
        False,
        darkest,
        extent,
        background,
        np.array(interior or [0, height, 0, width]),
        np.zeros((2, channels, height + 3, width + 3), np.float32),
        out,
    )
    return out


def draw(seed, n, channels, height, width):
    generator = np.random.RandomState(seed)
    images = generator.rand(n, channels, height, width).astype(np.float32)
    return images, generator.rand(n, kernels.N_DRAWS).astype(np.float32), generator


@few
@given(SEEDS, st.integers(1, 3), SIDES, SIDES, st.booleans(), st.sampled_from([0.0, -0.5]))
def test_interpolation_is_torchs(seed, channels, height, width, is_elastic, background):
    images, draws, generator = draw(seed, 4, channels, height, width)
    amounts = absent(rotation=180, shear=0.5, squeeze=0.3, scale=0.4, shift=3)
    fields = generator.standard_normal((4, 2, height, width)).astype(np.float32) * 2
    fields = fields if is_elastic else None
    out = augment(images, draws, amounts, fields, background=background)

    def amount(name):
        k = getattr(kernels, name.upper())
        numbers = torch.from_numpy(draws[:, k]).double()[:, None, None]
        return float(amounts[k]) * (2 * numbers - 1) if amounts[k] >= 0 else numbers * 0

    amounts[kernels.SHIFT_2] = amounts[kernels.SHIFT]
    x = torch.arange(width).double() - (width - 1) / 2
    y = torch.arange(height).double()[:, None] - (height - 1) / 2
    angle = amount("rotation").deg2rad()
    squeeze, scale = 1 + amount("squeeze"), 1 + amount("scale")
    v = y / (squeeze * scale)
    u = x * squeeze / scale + amount("shear") * v
    from_x = angle.cos() * u - angle.sin() * v + amount("shift")
    from_y = angle.sin() * u + angle.cos() * v + amount("shift_2")
    if fields is not None:
        displacements = torch.from_numpy(fields).double()
        from_x, from_y = from_x + displacements[:, 0], from_y + displacements[:, 1]
    grid = torch.stack([from_x * (2 / width), from_y * (2 / height)], dim=3)
    expected = F.grid_sample(
        torch.from_numpy(images).double() - background, grid, align_corners=False
    )
    np.testing.assert_allclose(out, expected + background, atol=2e-4)


@few
@given(SEEDS, st.integers(1, 3), SIDES, SIDES, st.integers(1, 6))
def test_flip_and_crop_move_whole_pixels(seed, channels, height, width, margin):
    images, draws, _ = draw(seed, 5, channels, height, width)
    out = augment(images, draws, absent(flip=0.5, crop=margin))
    for image, numbers, changed in zip(images, draws, out, strict=True):
        expected = image[:, :, ::-1] if numbers[kernels.FLIP] < 0.5 else image
        padded = np.pad(expected, ((0, 0), (margin, margin), (margin, margin)))
        top = int(numbers[kernels.CROP] * (2 * margin + 1))
        left = int(numbers[kernels.CROP_2] * (2 * margin + 1))
        expected = padded[:, top : top + height, left : left + width]
        assert np.array_equal(changed, expected)


@few
@given(SEEDS, SIDES, SIDES, st.integers(1, 8))
def test_cutout_and_inversion(seed, height, width, side):
    images, draws, _ = draw(seed, 5, 2, height, width)
    amounts = absent(invert=0.5, cutout=side)
    interior = [1, height - 1, 0, width - 1]
    values = {"darkest": -0.5, "extent": 2.0, "background": 0.25}
    out = augment(images, draws, amounts, **values, interior=interior)
    inside = np.zeros((height, width), bool)
    inside[interior[0] : interior[1], interior[2] : interior[3]] = True
    for image, numbers, changed in zip(images, draws, out, strict=True):
        expected = image - np.float32(0.25)
        if numbers[kernels.INVERT] < 0.5:
            expected = np.where(inside, -0.5 + 1.5 - expected, expected)
        x = np.abs(np.arange(width) + 0.5 - numbers[kernels.CUTOUT] * width) < side / 2
        y = np.abs(np.arange(height) + 0.5 - numbers[kernels.CUTOUT_2] * height) < side / 2
        expected = np.where(y[:, None] & x, 0, expected) + 0.25
        np.testing.assert_allclose(changed, expected, atol=1e-6)


@few
@given(SEEDS, st.integers(1, 3), SIDES, SIDES, st.integers(1, 27))
def test_smoothing_is_a_convolution(seed, n, height, width, k):
    generator = np.random.RandomState(seed)
    noise = generator.rand(n, height + k - 1, width + k - 1).astype(np.float32)
    weights = generator.rand(k).astype(np.float32)
    weights /= weights.sum()
    out = np.full((n, height, width), np.nan, np.float32)
    kernels.smooth_noise(noise, weights, 3.0, out)
    window = torch.from_numpy(np.outer(weights, weights)).double()[None, None]
    expected = F.conv2d(torch.from_numpy(noise)[:, None].double() * 2 - 1, window)
    np.testing.assert_allclose(out, 3 * expected[:, 0], atol=1e-4)


def test_positions_far_outside_are_background():
    images, draws, _ = draw(0, 2, 1, 5, 6)
    fields = np.full((2, 2, 5, 6), 1e6, np.float32)
    fields[1] *= -1
    out = augment(images, draws, absent(), fields, background=0.5)
    assert (out == 0.5).all()


@few
@given(SEEDS, st.integers(1, 40), st.integers(1, 40))
def test_transposing(seed, n, n_pixels):
    x = np.random.RandomState(seed).rand(n, n_pixels).astype(np.float32)
    out = np.full((n_pixels, n), np.nan, np.float32)
    layers.images.transpose(x, out)
    assert np.array_equal(out, x.T)
