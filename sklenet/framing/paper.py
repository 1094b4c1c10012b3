"""The ink on a page, separated from the paper."""

import numpy as np
from PIL import Image
from scipy import ndimage

WORKING_SIDE = 512
_MIN_CONTRAST = 40  # of 255 grey levels


def find_ink(image: np.ndarray) -> np.ndarray:
    """Compute the difference of each pixel of a page from the paper.

    The page can be lit unevenly. The ink is darker than the paper or brighter, whichever
    difference is larger.

    Parameters
    ----------
    image : ndarray of shape (h, w), uint8
        Grey image of the page.

    Returns
    -------
    ndarray of float64
        Non-negative differences. Images with a side longer than 512 pixels are reduced.

    Raises
    ------
    ValueError
        If no difference exceeds 40 grey levels.
    """
    pixels = _shrink(image, WORKING_SIDE)
    difference = pixels - _fit_paper(pixels)
    smooth = ndimage.uniform_filter(difference, 3)
    darker, brighter = -smooth.min(), smooth.max()
    check_contrast(max(darker, brighter))
    return np.clip(difference if brighter > darker else -difference, 0, None)


def measure_contrast(ink: np.ndarray) -> float:
    """Return the largest mean difference from the paper of an area of 3x3 pixels."""
    return float(ndimage.uniform_filter(ink, 3).max())


def check_contrast(contrast: float) -> None:
    """Raise a ValueError if the ink is too faint to be distinguished from noise."""
    if contrast < _MIN_CONTRAST:
        raise ValueError(
            "no digit found: nothing differs from the background by more than"
            f" {contrast:.0f} of 255 grey levels. Use a darker pen or better light."
        )


def _shrink(image: np.ndarray, side: int) -> np.ndarray:
    """Convert an image to floats, and reduce it if it is longer than `side` pixels."""
    factor = side / max(image.shape)
    if factor >= 1:
        return image.astype(float)
    size = [max(1, round(length * factor)) for length in image.shape]
    small = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BOX)
    return np.asarray(small, dtype=float)


def _fit_paper(image: np.ndarray) -> np.ndarray:
    """Fit a quadratic surface to the grey levels of the paper."""
    rows, columns = np.meshgrid(
        *(np.linspace(-1, 1, n) for n in image.shape), indexing="ij"
    )
    powers = [np.ones_like(rows), rows, columns, rows * columns, rows**2, columns**2]
    terms = np.stack([power.ravel() for power in powers], axis=1)
    # A regular sample of pixels is sufficient for six coefficients.
    step = max(1, image.size // 20_000)
    sample, pixels = terms[::step], image.ravel()[::step]
    is_paper = np.ones(len(pixels), dtype=bool)
    for _ in range(6):  # exclude pixels far from the surface, the ink, and fit again
        used = sample[is_paper]
        coefficients = np.linalg.lstsq(
            used.T @ used, used.T @ pixels[is_paper], rcond=None
        )[0]
        error = np.abs(pixels - sample @ coefficients)
        is_paper = error <= 3 * np.median(error)
    return (terms @ coefficients).reshape(image.shape)
