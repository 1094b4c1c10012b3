"""Random changes of images, one image after the other, on arrays of shape (n, c, h, w).

Each image is copied into the middle of a buffer that is larger by a border of zeros, one
pixel wide on the left and above, two on the right and below. A position that is sampled is
first moved into that border if it lies further outside, so that interpolation needs no
other test::

    -1   0   1   2  ...  w-1  w  w+1
     0 | p   p   p  ...   p | 0   0
"""

import math

import numpy as np

from sklenet.network.kernels.compiler import EXACT, kernel

# The columns of random numbers, and the places of amounts.
(
    FLIP,
    CROP,
    ROTATION,
    SHEAR,
    SQUEEZE,
    SCALE,
    SHIFT,
    INVERT,
    CUTOUT,
    CROP_2,
    SHIFT_2,
    CUTOUT_2,
) = range(12)
N_DRAWS = 12
ABSENT = -1  # the amount of an augmentation that is not used

_0, _1, _2, _HALF = (np.float32(value) for value in (0, 1, 2, 0.5))
_DEGREE = np.float32(math.pi / 180)


@kernel("void(f4[:, :, ::1], f4[::1], f4, f4[:, ::1], f4[:, :, ::1])", EXACT)
def smooth_noise(noise, weights, alpha, work, out):
    """Convolve fields of noise with a separable kernel, rows first.

    Parameters
    ----------
    noise : array of shape (n, h + k - 1, w + k - 1)
        Numbers from 0 to 1, which stand for -1 to 1.
    weights : array of shape (k,)
    alpha : float
        Factor of the result.
    work : array of shape (h + k - 1, w)
    out : array of shape (n, h, w)
        Is overwritten.
    """
    height, width = out.shape[1:]
    for i in range(len(out)):
        for y in range(len(work)):
            row = work[y]
            row[:] = 0
            for j in range(len(weights)):
                weight, shifted = weights[j], noise[i, y, j:]
                for x in range(width):
                    row[x] += weight * (_2 * shifted[x] - _1)
        for y in range(height):
            row = out[i, y]
            row[:] = 0
            for j in range(len(weights)):
                weight, shifted = alpha * weights[j], work[y + j]
                for x in range(width):
                    row[x] += weight * shifted[x]


@kernel("f4(f4, f4)", EXACT)
def symmetric(number, amount):
    """Return a number from 0 to 1 as one from -amount to amount; 0 if that is absent."""
    return _0 if amount < _0 else amount * (_2 * number - _1)


@kernel(
    "void(f4[:, :, ::1], f4[::1], f4[::1], f4[:, :, ::1], b1, f4[:, :, ::1])",
    EXACT,
)
def resample(padded, draws, amounts, field, has_field, out):
    """Compute an image of which each pixel comes from another place, by interpolation.

    Rotation after shear after scaling. Sampling takes the inverse of what one sees: as the
    amounts are drawn symmetrically, only the scale needs to know.

    Parameters
    ----------
    padded : array of shape (c, h + 3, w + 3)
        The image with its border of zeros.
    draws, amounts : arrays of shape (N_DRAWS,)
    field : array of shape (2, h, w)
        Displacements in x and y; not read unless `has_field`.
    has_field : bool
    out : array of shape (c, h, w)
        Is overwritten.
    """
    n_channels, height, width = out.shape
    angle = _DEGREE * symmetric(draws[ROTATION], amounts[ROTATION])
    sine, cosine = np.float32(math.sin(angle)), np.float32(math.cos(angle))
    shear = symmetric(draws[SHEAR], amounts[SHEAR])
    squeeze = _1 + symmetric(draws[SQUEEZE], amounts[SQUEEZE])
    scale = _1 + symmetric(draws[SCALE], amounts[SCALE])
    shift_x = symmetric(draws[SHIFT], amounts[SHIFT])
    shift_y = symmetric(draws[SHIFT_2], amounts[SHIFT])
    middle_x, middle_y = _HALF * np.float32(width - 1), _HALF * np.float32(height - 1)
    for y in range(height):
        v = (np.float32(y) - middle_y) / (squeeze * scale)
        for x in range(width):
            u = (np.float32(x) - middle_x) * (squeeze / scale) + shear * v
            from_x = cosine * u - sine * v + shift_x + middle_x
            from_y = sine * u + cosine * v + shift_y + middle_y
            if has_field:
                from_x += field[0, y, x]
                from_y += field[1, y, x]
            from_x = min(max(from_x, -_1), np.float32(width))
            from_y = min(max(from_y, -_1), np.float32(height))
            left, top = int(math.floor(from_x)), int(math.floor(from_y))
            right_part, lower_part = from_x - np.float32(left), from_y - np.float32(top)
            for c in range(n_channels):
                upper = padded[c, top + 1, left + 1] * (_1 - right_part)
                upper += padded[c, top + 1, left + 2] * right_part
                lower = padded[c, top + 2, left + 1] * (_1 - right_part)
                lower += padded[c, top + 2, left + 2] * right_part
                out[c, y, x] = upper * (_1 - lower_part) + lower * lower_part


@kernel(
    "void(f4[:, :, :, ::1], f4[:, ::1], f4[::1], f4[:, :, :, ::1], b1, f4, f4, i8[::1],"
    " f4[:, :, :, ::1], f4[:, :, :, ::1])",
    EXACT,
)
def augment_images(
    images, draws, amounts, fields, has_fields, background, span, interior, work, out
):
    """Change each image in its own way.

    Flip and crop come first, then interpolation, then inversion and cutout.

    Parameters
    ----------
    images : array of shape (n, c, h, w)
    draws : array of shape (n, N_DRAWS)
        Random numbers, uniform from 0 to 1.
    amounts : array of shape (N_DRAWS,)
        The amount of each augmentation, or `ABSENT`.
    fields : array of shape (n, 2, h, w), or (1, 2, h, w) unless `has_fields`
        Displacements in x and y.
    has_fields : bool
    background, span : float
        The value of the border, and the difference of the brightest value from it.
    interior : array of shape (4,)
        The first row of the image in the border, the one after its last, and columns.
    work : array of shape (2, c, h + 3, w + 3)
        Working memory; its borders are zeros.
    out : array of shape (n, c, h, w)
        Is overwritten.
    """
    n, n_channels, height, width = images.shape
    is_resampled = has_fields
    for k in (ROTATION, SHEAR, SQUEEZE, SCALE, SHIFT):
        is_resampled = is_resampled or amounts[k] >= 0
    margin = int(amounts[CROP])
    half_side = _HALF * amounts[CUTOUT]
    for i in range(n):
        draw = draws[i]
        image = work[0]
        is_flipped = draw[FLIP] < amounts[FLIP]
        for c in range(n_channels):
            for y in range(height):
                source, row = images[i, c, y], image[c, y + 1]
                if is_flipped:
                    for x in range(width):
                        row[x + 1] = source[width - 1 - x] - background
                else:
                    for x in range(width):
                        row[x + 1] = source[x] - background
        if margin >= 0:
            down = int(draw[CROP] * np.float32(2 * margin + 1)) - margin
            across = int(draw[CROP_2] * np.float32(2 * margin + 1)) - margin
            cropped = work[1]
            cropped[:] = 0
            for c in range(n_channels):
                for y in range(max(0, -down), min(height, height - down)):
                    source, row = image[c, y + 1 + down], cropped[c, y + 1]
                    for x in range(max(0, -across), min(width, width - across)):
                        row[x + 1] = source[x + 1 + across]
            image = cropped
        changed = out[i]
        if is_resampled:
            field = fields[i if has_fields else 0]
            resample(image, draw, amounts, field, has_fields, changed)
        else:
            for c in range(n_channels):
                for y in range(height):
                    row = image[c, y + 1]
                    for x in range(width):
                        changed[c, y, x] = row[x + 1]
        if draw[INVERT] < amounts[INVERT]:
            for c in range(n_channels):
                for y in range(interior[0], interior[1]):
                    for x in range(interior[2], interior[3]):
                        changed[c, y, x] = span - changed[c, y, x]
        if half_side >= 0:
            # The centre is anywhere: at the edge, less is cut out.
            middle_x = draw[CUTOUT] * np.float32(width)
            middle_y = draw[CUTOUT_2] * np.float32(height)
            for y in range(height):
                if abs(np.float32(y) + _HALF - middle_y) < half_side:
                    for x in range(width):
                        if abs(np.float32(x) + _HALF - middle_x) < half_side:
                            for c in range(n_channels):
                                changed[c, y, x] = 0
        if background != 0:
            for c in range(n_channels):
                for y in range(height):
                    for x in range(width):
                        changed[c, y, x] += background
