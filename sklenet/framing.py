"""A photo or scan of one's own digit, made like the images a network was trained on."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from sklenet.images import ImageShape
from sklenet.preprocessing import DarkBackground

# MNIST's digits fill a box of 20 of 28 pixels, and have their centre of mass in the middle.
_BOX = 20 / 28

_WORKING_SIDE = 256
_LEAST_CONTRAST = 40
_MOST_INK = 0.4


def read_image(path, image_shape: ImageShape, *, framing: str = "digit") -> np.ndarray:
    """Return the image in a file as a network of `image_shape` wants it.

    Parameters
    ----------
    path : path-like
        PNG, JPEG or whatever else Pillow reads.
    image_shape : tuple (c, h, w)
        Grey or RGB.
    framing : {"digit", "whole"}
        For grey images of another size than `image_shape`: "digit" finds the one figure
        on a plain background and frames it as MNIST does; "whole" fits in the whole image.

    Returns
    -------
    ndarray of shape (c * h * w,), uint8
        Of a grey image, bright on a dark background, whatever the file had.

    Raises
    ------
    ValueError
        If the file is no image, or there is no figure to be found, or several.
    """
    path = Path(path)
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):  # 16 bits of grey, which convert() would cut off
                deep = np.asarray(image, dtype=np.int64)
                scale = 257 if deep.max() > 255 else 1
                image = Image.fromarray((deep // scale).clip(0, 255).astype(np.uint8))
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            image = image.convert("L" if image_shape[0] == 1 else "RGB")
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path}: {error}") from error
    except OSError as error:
        reason = (
            "not an image that can be read"
            if isinstance(error, UnidentifiedImageError)
            else (error.strerror or str(error))
        )
        raise ValueError(f"{path}: {reason}.") from error
    channels, height, width = image_shape
    if image.size == (width, height):
        pixels = np.asarray(image)
    elif channels == 1 and framing == "digit":
        try:
            return frame_digit(np.asarray(image), (height, width)).ravel()
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    else:
        corner: Any = image.getpixel((0, 0))
        pixels = np.asarray(ImageOps.pad(image, (width, height), color=corner))
    if channels == 1:
        return DarkBackground(maximum=255).transform(pixels[None])[0].ravel()
    return pixels.transpose(2, 0, 1).ravel()


def frame_digit(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the one figure in a grey image, framed as MNIST does.

    The background, which may be lit unevenly, is subtracted; the figure is cut out, scaled
    so that its longer side is 20 of 28 parts, and put with its centre of mass in the
    middle (LeCun et al. 1998, section III.A).

    Parameters
    ----------
    image : ndarray of shape (h, w), uint8
        Dark on bright or bright on dark.
    shape : tuple (h, w)
        What it is framed in.

    Returns
    -------
    ndarray of `shape`, uint8
        Bright on black.

    Raises
    ------
    ValueError
        If there is no figure, or it does not stand by itself on a plain background.
    """
    ink = _ink(_at_most(image, _WORKING_SIDE))
    box = _bounding_box(ink)
    figure = ink[box]
    side = min(shape)
    scale = _BOX * side / max(figure.shape)
    size = [max(1, round(length * scale)) for length in figure.shape]
    small = np.asarray(
        Image.fromarray(figure.astype(np.float32)).resize(
            (size[1], size[0]),
            Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR,
        )
    )
    small = small / (small.max() or 1) * 255
    centre = ndimage.center_of_mass(small)
    framed = np.zeros(shape)
    offsets = []
    for axis in (0, 1):
        offset = round((shape[axis] - 1) / 2 - centre[axis])
        offsets.append(min(max(offset, 0), shape[axis] - size[axis]))
    top, left = offsets
    framed[top : top + size[0], left : left + size[1]] = small
    return framed.round().astype(np.uint8)


def _at_most(image: np.ndarray, side: int) -> np.ndarray:
    """Return the image as floats, made smaller if a side is longer than `side`."""
    factor = side / max(image.shape)
    if factor >= 1:
        return image.astype(float)
    size = [max(1, round(length * factor)) for length in image.shape]
    small = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BOX)
    return np.asarray(small, dtype=float)


def _ink(image: np.ndarray) -> np.ndarray:
    """Return how much each pixel differs from the paper, 0 where it is paper."""
    difference = image - _paper(image)
    # The figure is what differs most from its paper, towards either side.
    smooth = ndimage.uniform_filter(difference, 3)
    darker, brighter = -smooth.min(), smooth.max()
    ink = np.clip(difference if brighter > darker else -difference, 0, None)
    contrast = max(darker, brighter)
    if contrast < _LEAST_CONTRAST:
        raise ValueError(
            f"no figure found: nothing differs from the background by more than"
            f" {contrast:.0f} of 255 levels. Write with a darker pen, or light it better."
        )
    # A pen has one darkness: what is fainter than half of it is the pen's edge or noise.
    threshold = contrast / 2
    strokes = ink > threshold
    if strokes.mean() > _MOST_INK:
        raise ValueError(
            "no single figure on a plain background: it would cover"
            f" {strokes.mean():.0%} of the image. Leave a margin around it."
        )
    near = ndimage.binary_dilation(strokes, iterations=2)
    return np.where(near & (ink > contrast / 6), np.minimum(ink, contrast), 0)


def _paper(image: np.ndarray) -> np.ndarray:
    """Return the background: the quadratic surface that most pixels lie on."""
    rows, columns = np.meshgrid(
        *(np.linspace(-1, 1, n) for n in image.shape), indexing="ij"
    )
    powers = [np.ones_like(rows), rows, columns, rows * columns, rows**2, columns**2]
    terms = np.stack([power.ravel() for power in powers], axis=1)
    pixels = image.ravel()
    kept = np.ones(len(pixels), dtype=bool)
    for _ in range(6):  # each time without what lies far from the surface: the figure
        surface = terms @ np.linalg.lstsq(terms[kept], pixels[kept], rcond=None)[0]
        error = np.abs(pixels - surface)
        kept = error <= 3 * np.median(error)
    return surface.reshape(image.shape)


def _bounding_box(ink: np.ndarray) -> tuple[slice, slice]:
    """Return the box around the figure; broken strokes are one figure."""
    gap = max(1, max(ink.shape) // 16)
    joined = ndimage.binary_dilation(ink > 0, iterations=gap)
    labels, n = ndimage.label(joined)
    weights = ndimage.sum_labels(ink, labels, range(1, n + 1))
    main = [k + 1 for k in range(n) if weights[k] >= 0.25 * weights.max()]
    if len(main) > 1:
        raise ValueError(
            f"{len(main)} figures found, but one is read at a time: cut them apart."
        )
    own = (labels == main[0]) & (ink > 0)
    rows, columns = (np.flatnonzero(own.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    if (rows[0], columns[0]) == (0, 0) and own[-1].any() and own[:, -1].any():
        raise ValueError(
            "no single figure on a plain background: it touches all four edges. Leave a"
            " margin around it."
        )
    if max(side.stop - side.start for side in box) < max(ink.shape) / 16:
        raise ValueError("no figure found: only a dot. Come closer, or cut it out.")
    ink[~own] = 0
    return box
