"""Separate the ink on a page from its paper."""

import numpy as np
from PIL import Image
from scipy import ndimage

WORKING_SIDE = 512
_LEAST_CONTRAST = 40  # of 255 levels


def find_ink(image: np.ndarray) -> np.ndarray:
    """Return by how much each pixel of a page differs from the paper.

    The paper may be lit unevenly. Ink is what differs most from it, in either direction.

    Parameters
    ----------
    image : ndarray of shape (h, w), uint8

    Returns
    -------
    ndarray, float64
        Not negative. It is smaller than the image if a side of that has more than 512
        pixels.

    Raises
    ------
    ValueError
        If nothing differs from the paper by more than 40 levels.
    """
    pixels = _shrink(image, WORKING_SIDE)
    difference = pixels - _fit_paper(pixels)
    smooth = ndimage.uniform_filter(difference, 3)
    darker, brighter = -smooth.min(), smooth.max()
    check_contrast(max(darker, brighter))
    return np.clip(difference if brighter > darker else -difference, 0, None)


def measure_contrast(ink: np.ndarray) -> float:
    """Return the largest difference of an area of 3x3 pixels from the paper."""
    return float(ndimage.uniform_filter(ink, 3).max())


def check_contrast(contrast: float) -> None:
    """Raise a ValueError if the ink is too faint to be told from noise."""
    if contrast < _LEAST_CONTRAST:
        raise ValueError(
            "no figure found: nothing differs from the background by more than"
            f" {contrast:.0f} of 255 levels. Write with a darker pen, or light it better."
        )


def _shrink(image: np.ndarray, side: int) -> np.ndarray:
    """Return the image as floats, made smaller if a side is longer than `side`."""
    factor = side / max(image.shape)
    if factor >= 1:
        return image.astype(float)
    size = [max(1, round(length * factor)) for length in image.shape]
    small = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BOX)
    return np.asarray(small, dtype=float)


def _fit_paper(image: np.ndarray) -> np.ndarray:
    """Return the background: the quadratic surface that most pixels lie on."""
    rows, columns = np.meshgrid(
        *(np.linspace(-1, 1, n) for n in image.shape), indexing="ij"
    )
    powers = [np.ones_like(rows), rows, columns, rows * columns, rows**2, columns**2]
    terms = np.stack([power.ravel() for power in powers], axis=1)
    # A regular sample is enough for six coefficients.
    step = max(1, image.size // 20_000)
    some, pixels = terms[::step], image.ravel()[::step]
    kept = np.ones(len(pixels), dtype=bool)
    for _ in range(6):  # each time without the pixels far from the surface: the ink
        used = some[kept]
        coefficients = np.linalg.lstsq(used.T @ used, used.T @ pixels[kept], rcond=None)[0]
        error = np.abs(pixels - some @ coefficients)
        kept = error <= 3 * np.median(error)
    return (terms @ coefficients).reshape(image.shape)
