"""Random changes of images, one image after the other, on arrays of shape (n, c, h, w).

Each image is copied into the middle of a buffer that is larger by a border of zeros, one
pixel wide on the left and above, two on the right and below. Positions further outside are
moved into that border before they are sampled, so that interpolation needs no other test::

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

_0, _1, _2, _4, _6, _HALF = (np.float32(value) for value in (0, 1, 2, 4, 6, 0.5))
_RED, _GREEN, _BLUE = (np.float32(value) for value in (0.2989, 0.587, 0.114))
_DEGREE = np.float32(math.pi / 180)


@kernel("void(f4[::1], i8, f4[::1], f4[::1])", EXACT)
def correlate(x, step, weights, out):
    """Compute out[t] = sum over j of weights[j] * x[t + j * step], five terms at a time."""
    j, k = 0, len(weights)
    out[:] = 0
    while k - j >= 5:
        w0, w1, w2 = weights[j], weights[j + 1], weights[j + 2]
        w3, w4 = weights[j + 3], weights[j + 4]
        x0 = x[j * step :]
        x1, x2, x3, x4 = x0[step:], x0[2 * step :], x0[3 * step :], x0[4 * step :]
        for t in range(len(out)):
            total = out[t] + w0 * x0[t]
            total += w1 * x1[t]
            total += w2 * x2[t]
            total += w3 * x3[t]
            total += w4 * x4[t]
            out[t] = total
        j += 5
    while j < k:
        weight, x0 = weights[j], x[j * step :]
        for t in range(len(out)):
            out[t] += weight * x0[t]
        j += 1


@kernel("void(f4[:, :, ::1], f4[::1], f4, f4[:, :, ::1])", EXACT)
def smooth_noise(noise, weights, alpha, out):
    """Convolve fields of noise with a separable kernel.

    The rows of a field lie behind each other, so that each of the two convolutions is one
    of a single long row. What it computes beyond the end of a row is not used.

    Parameters
    ----------
    noise : array of shape (n, h + k - 1, w + k - 1)
        Numbers from 0 to 1, which stand for -1 to 1.
    weights : array of shape (k,)
        With the sum 1.
    alpha : float
        Factor of the result.
    out : array of shape (n, h, w)
        Is overwritten.
    """
    height, width = out.shape[1:]
    step, k = noise.shape[2], len(weights)
    columns = np.empty(height * step, np.float32)
    rows = np.empty(height * step - (k - 1), np.float32)
    for i in range(len(out)):
        correlate(noise[i].reshape(-1), step, weights, columns)
        correlate(columns, 1, weights, rows)
        for y in range(height):
            source, row = rows[y * step :], out[i, y]
            for x in range(width):
                row[x] = alpha * (_2 * source[x] - _1)


@kernel("f4(f4, f4)", EXACT)
def symmetric(number, amount):
    """Return a number from 0 to 1 as one from -amount to amount; 0 if that is absent."""
    return _0 if amount < _0 else amount * (_2 * number - _1)


@kernel(
    "void(f4[:, ::1], f4[::1], f4[::1], f4[:, :, ::1], b1, f4[:, ::1], i4[::1],"
    " f4[:, :, ::1])",
    EXACT,
)
def resample(padded, draws, amounts, field, has_field, parts, corners, out):
    """Compute an image of which each pixel comes from another place, by interpolation.

    Rotation after shear after scaling. A pixel comes from where the inverse of what one
    sees takes it: as the amounts are drawn symmetrically, only the scale is inverted.

    Parameters
    ----------
    padded : array of shape (c, (h + 3) * (w + 3))
        The image with its border of zeros.
    draws, amounts : arrays of shape (N_DRAWS,)
    field : array of shape (2, h, w)
        Displacements in x and y; not read unless `has_field`.
    has_field : bool
    parts : array of shape (2, w)
        Working memory: how far each pixel's origin is from the upper left one of the four
        pixels around it.
    corners : array of shape (w,)
        Working memory: where that one is in `padded`.
    out : array of shape (c, h, w)
        Is overwritten.
    """
    n_channels, height, width = out.shape
    angle = _DEGREE * symmetric(draws[ROTATION], amounts[ROTATION])
    sine, cosine = np.float32(math.sin(angle)), np.float32(math.cos(angle))
    shear = symmetric(draws[SHEAR], amounts[SHEAR])
    squeeze = _1 + symmetric(draws[SQUEEZE], amounts[SQUEEZE])
    scale = _1 + symmetric(draws[SCALE], amounts[SCALE])
    middle_x, middle_y = _HALF * np.float32(width - 1), _HALF * np.float32(height - 1)
    # In the coordinates of `padded`.
    start_x = symmetric(draws[SHIFT], amounts[SHIFT]) + middle_x + _1
    start_y = symmetric(draws[SHIFT_2], amounts[SHIFT]) + middle_y + _1
    last_x, last_y = np.float32(width + 1), np.float32(height + 1)
    stretch, stride = squeeze / scale, np.int32(width + 3)
    right, lower = parts[0], parts[1]
    for y in range(height):
        v = (np.float32(y) - middle_y) / (squeeze * scale)
        for x in range(width):
            u = (np.float32(np.int32(x)) - middle_x) * stretch + shear * v
            right[x] = cosine * u - sine * v + start_x
            lower[x] = sine * u + cosine * v + start_y
        if has_field:
            across, down = field[0, y], field[1, y]
            for x in range(width):
                right[x] += across[x]
                lower[x] += down[x]
        for x in range(width):
            from_x = _0 if right[x] < _0 else right[x]
            from_y = _0 if lower[x] < _0 else lower[x]
            from_x = last_x if from_x > last_x else from_x
            from_y = last_y if from_y > last_y else from_y
            column, row = np.int32(from_x), np.int32(from_y)
            right[x] = from_x - np.float32(column)
            lower[x] = from_y - np.float32(row)
            corners[x] = row * stride + column
        for c in range(n_channels):
            image, result = padded[c], out[c, y]
            for x in range(width):
                k = np.int64(corners[x])
                a, b = image[k], image[k + 1]
                c_, d = image[k + stride], image[k + stride + 1]
                above = a + right[x] * (b - a)
                below = c_ + right[x] * (d - c_)
                result[x] = above + lower[x] * (below - above)


@kernel("void(f4[:, :, ::1], f4, b1, f4[:, :, ::1])", EXACT)
def copy_inside(image, background, is_flipped, padded):
    """Copy an image, less the background, into its border of zeros, or its mirror image."""
    width = image.shape[2]
    for c in range(len(image)):
        for y in range(image.shape[1]):
            source, row = image[c, y], padded[c, y + 1]
            if is_flipped:
                for x in range(width):
                    row[x + 1] = source[width - 1 - x] - background
            else:
                for x in range(width):
                    row[x + 1] = source[x] - background


@kernel("void(f4[:, :, ::1], i8, i8, f4[:, :, ::1])", EXACT)
def copy_shifted(padded, down, across, shifted):
    """Compute shifted[c, y, x] = padded[c, y + down, x + across], 0 outside the image."""
    height, width = padded.shape[1] - 3, padded.shape[2] - 3
    shifted[:] = 0
    for c in range(len(padded)):
        for y in range(max(0, -down), min(height, height - down)):
            source, row = padded[c, y + 1 + down], shifted[c, y + 1]
            for x in range(max(0, -across), min(width, width - across)):
                row[x + 1] = source[x + 1 + across]


@kernel("void(f4[:, :, ::1], f4[:, :, ::1])", EXACT)
def copy_outside(padded, image):
    """Copy an image out of its border."""
    for c in range(len(image)):
        for y in range(image.shape[1]):
            source, row = padded[c, y + 1], image[c, y]
            for x in range(len(row)):
                row[x] = source[x + 1]


@kernel("void(f4[:, :, ::1], f4, i8[::1])", EXACT)
def invert(image, both, interior):
    """Replace the pixels inside the border of the canvas by their negatives.

    Parameters
    ----------
    image : array of shape (c, h, w)
        Is changed.
    both : float
        Sum of the darkest and the brightest value, which change places.
    interior : array of shape (4,)
        As in `augment_images`.
    """
    for c in range(len(image)):
        for y in range(interior[0], interior[1]):
            for x in range(interior[2], interior[3]):
                image[c, y, x] = both - image[c, y, x]


@kernel("void(f4[:, :, ::1], f4, f4, f4)", EXACT)
def cut_out(image, middle_x, middle_y, half_side):
    """Set the pixels to 0 whose centre is inside a square."""
    for y in range(image.shape[1]):
        if abs(np.float32(y) + _HALF - middle_y) < half_side:
            for x in range(image.shape[2]):
                if abs(np.float32(x) + _HALF - middle_x) < half_side:
                    image[:, y, x] = 0


@kernel("f4(f4)", EXACT)
def limit(x):
    """Return x, or the nearest number from 0 to 1."""
    x = _0 if x < _0 else x
    return _1 if x > _1 else x


@kernel("f4(f4[:, :, ::1], i8, i8)", EXACT)
def grey(image, y, x):
    """Return the brightness of a pixel; the weights are those of torchvision."""
    if len(image) == 3:
        return _RED * image[0, y, x] + _GREEN * image[1, y, x] + _BLUE * image[2, y, x]
    total = _0
    for c in range(len(image)):
        total += image[c, y, x]
    return total / np.float32(len(image))


@kernel("void(f4[:, :, ::1], i8, i8, f4)", EXACT)
def turn_hue(image, y, x, turn):
    """Rotate the colour circle of an RGB pixel, in the HSV model of colours.

    Parameters
    ----------
    image : array of shape (3, h, w)
    y, x : int
    turn : float
        Fraction of the circle.
    """
    red, green, blue = image[0, y, x], image[1, y, x], image[2, y, x]
    value, least = max(red, green, blue), min(red, green, blue)
    chroma = value - least
    if chroma == _0:
        return
    # Sixths of the circle, from red.
    if value == red:
        place = (green - blue) / chroma
    elif value == green:
        place = (blue - red) / chroma + _2
    else:
        place = (red - green) / chroma + _4
    place += _6 * turn
    for c in range(3):
        k = place + np.float32(5 - 2 * c)
        k -= _6 * np.float32(math.floor(k / _6))
        image[c, y, x] = value - chroma * limit(min(k, _4 - k))


@kernel("void(f4[:, :, ::1], i8[::1], f4, f4, f4[::1])", EXACT)
def change_colors(image, interior, darkest, extent, factors):
    """Change brightness, contrast, saturation and hue inside the border of the canvas.

    Parameters
    ----------
    image : array of shape (c, h, w)
        Is changed.
    interior : array of shape (4,)
        As in `augment_images`.
    darkest, extent : float
        The lowest value of a pixel, and the difference of the highest one from it.
    factors : array of shape (4,)
        Factors of brightness, contrast and saturation; the rotation of the colour circle.
    """
    brightness, contrast, saturation, hue = factors[0], factors[1], factors[2], factors[3]
    total = 0.0
    n_pixels = (interior[1] - interior[0]) * (interior[3] - interior[2])
    for y in range(interior[0], interior[1]):
        for x in range(interior[2], interior[3]):
            for c in range(len(image)):
                image[c, y, x] = limit((image[c, y, x] - darkest) / extent * brightness)
            total += grey(image, y, x)
    mean = np.float32(total / n_pixels)
    for y in range(interior[0], interior[1]):
        for x in range(interior[2], interior[3]):
            for c in range(len(image)):
                image[c, y, x] = limit(mean + contrast * (image[c, y, x] - mean))
            if len(image) == 3:
                own = grey(image, y, x)
                for c in range(3):
                    image[c, y, x] = limit(own + saturation * (image[c, y, x] - own))
                turn_hue(image, y, x, hue)
            for c in range(len(image)):
                image[c, y, x] = image[c, y, x] * extent + darkest


@kernel(
    "void(f4[:, :, :, ::1], f4[:, ::1], f4[::1], f4[:, :, :, ::1], b1, f4[:, ::1], b1,"
    " f4, f4, f4, i8[::1], f4[:, :, :, ::1], f4[:, :, :, ::1])",
    EXACT,
)
def augment_images(
    images,
    draws,
    amounts,
    fields,
    has_fields,
    colors,
    has_colors,
    darkest,
    extent,
    background,
    interior,
    work,
    out,
):
    """Change each image in its own way.

    Flip and crop come first, then interpolation, then colours, inversion and cutout.

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
    colors : array of shape (n, 4), or (1, 4) unless `has_colors`
        The factors of `change_colors`.
    has_colors : bool
    darkest, extent : float
        As in `change_colors`, after subtraction of the background.
    background : float
        The value of the border.
    interior : array of shape (4,)
        The first row of the image in the border, the one after its last, and columns.
    work : array of shape (2, c, h + 3, w + 3)
        Working memory; its borders are zeros.
    out : array of shape (n, c, h, w)
        Is overwritten.
    """
    n, n_channels, height, width = images.shape
    flat = work.reshape(2, n_channels, (height + 3) * (width + 3))
    parts, corners = np.empty((2, width), np.float32), np.empty(width, np.int32)
    is_resampled = has_fields
    for k in (ROTATION, SHEAR, SQUEEZE, SCALE, SHIFT):
        is_resampled = is_resampled or amounts[k] >= 0
    margin = int(amounts[CROP])
    for i in range(n):
        draw, changed, last = draws[i], out[i], 0
        copy_inside(images[i], background, draw[FLIP] < amounts[FLIP], work[0])
        if margin >= 0:
            n_shifts = np.float32(2 * margin + 1)
            down = int(draw[CROP] * n_shifts) - margin
            across = int(draw[CROP_2] * n_shifts) - margin
            copy_shifted(work[0], down, across, work[1])
            last = 1
        if is_resampled:
            field = fields[i if has_fields else 0]
            resample(flat[last], draw, amounts, field, has_fields, parts, corners, changed)
        else:
            copy_outside(work[last], changed)
        if has_colors:
            change_colors(changed, interior, darkest, extent, colors[i])
        if draw[INVERT] < amounts[INVERT]:
            invert(changed, darkest + darkest + extent, interior)
        if amounts[CUTOUT] >= 0:
            # The centre is anywhere: at the edge, less is cut out.
            middle_x = draw[CUTOUT] * np.float32(width)
            middle_y = draw[CUTOUT_2] * np.float32(height)
            cut_out(changed, middle_x, middle_y, _HALF * amounts[CUTOUT])
        if background != 0:
            changed += background
