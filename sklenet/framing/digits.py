"""The digits on a page, found and framed like those of MNIST."""

from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from sklenet.framing.lines import remove_lines
from sklenet.framing.paper import check_contrast, find_ink, measure_contrast

# MNIST's digits fill a box of 20 of 28 pixels, with their centre of mass in the middle.
_BOX_FRACTION = 20 / 28

_MAX_INK_FRACTION = 0.4
_MAX_ASPECT_RATIO = 1.7  # width to height; 1 in 2,000 of MNIST's digits is wider
_MAX_DIGITS_OF_LINE = 100

Box = tuple[slice, slice]


class _Digit(NamedTuple):
    """A digit on a page.

    Attributes
    ----------
    ink : ndarray of shape (h, w)
        The page with the ink of this digit only.
    box : tuple of slice (rows, columns)
        Bounding box of the digit.
    weight : float
        Sum of the ink.
    """

    ink: np.ndarray
    box: Box
    weight: float


def frame_digit(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Frame the only digit on a page like the digits of MNIST.

    The background, which can be lit unevenly, is subtracted, and lines are removed. The
    digit is scaled so that its longer side is 20/28 of the shorter side of the result, and
    its centre of mass is moved to the middle (LeCun et al. 1998, section III.A).

    Parameters
    ----------
    image : ndarray of shape (h, w), uint8
        Grey image of the page, dark on bright or bright on dark.
    shape : tuple of int (h, w)
        Shape of the result.

    Returns
    -------
    ndarray of `shape`, uint8
        The digit, bright on black.

    Raises
    ------
    ValueError
        If there is no digit, if there are several, or if the digit is not surrounded by a
        plain background.
    """
    digits = _find_digits(image)
    if len(digits) > 1:
        raise ValueError(
            f"{len(digits)} digits found, but only one is read at a time. Cut them apart,"
            " or read them from left to right with --framing line."
        )
    return _frame(digits[0], shape)


def frame_line(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Frame each digit of a line of digits, from left to right, like those of MNIST.

    Parameters
    ----------
    image : ndarray of shape (h, w), uint8
        Grey image of the page, dark on bright or bright on dark. The digits must not touch.
    shape : tuple of int (h, w)
        Shape of each framed digit.

    Returns
    -------
    ndarray of shape (n, h, w), uint8
        The digits, bright on black; see `frame_digit`.

    Raises
    ------
    ValueError
        If there is no digit, or if the digits are not in a single line.
    """
    digits = _find_digits(image)
    if len(digits) > _MAX_DIGITS_OF_LINE:
        raise ValueError(
            f"{len(digits)} digits found, but a line can have at most"
            f" {_MAX_DIGITS_OF_LINE}. Is the background plain?"
        )
    lowest_top = max(rows.start for _, (rows, _), _ in digits)
    highest_bottom = min(rows.stop for _, (rows, _), _ in digits)
    if lowest_top >= highest_bottom:
        raise ValueError("the digits are not in a single line. Cut the lines apart.")
    return np.array([_frame(digit, shape) for digit in digits])


def locate_digits(image: np.ndarray) -> list[tuple[float, float, float, float]]:
    """Locate the digits on a page, without framing them.

    Parameters
    ----------
    image : ndarray of shape (h, w), uint8
        Grey image of the page, dark on bright or bright on dark.

    Returns
    -------
    list of tuple of float (left, top, width, height)
        Bounding box of each digit in pixels of the page, from left to right.

    Raises
    ------
    ValueError
        If there is no digit, or if something on the page cannot be one.
    """
    boxes = []
    for ink, (rows, columns), _ in _find_digits(image):
        # The ink of a large page has fewer pixels than the page.
        vertical, horizontal = image.shape[0] / ink.shape[0], image.shape[1] / ink.shape[1]
        boxes.append(
            (
                columns.start * horizontal,
                rows.start * vertical,
                (columns.stop - columns.start) * horizontal,
                (rows.stop - rows.start) * vertical,
            )
        )
    return boxes


def _find_digits(image: np.ndarray) -> list[_Digit]:
    """Return the digits on a page from left to right."""
    digits = _group_strokes(_find_strokes(image))
    tallest = max(_height(digit.box) for digit in digits)
    digits = _remove_specks(digits, tallest)
    for digit in digits:
        _check_digit(digit, tallest)
    return sorted(digits, key=lambda digit: digit.box[1].start)


def _find_strokes(image: np.ndarray) -> np.ndarray:
    """Return the ink of a page without lines and noise."""
    ink = remove_lines(find_ink(image))
    contrast = measure_contrast(ink)
    check_contrast(contrast)
    # A pen has a uniform darkness: less than half of it is the edge of a stroke, or noise.
    strokes = ink > contrast / 2
    if strokes.mean() > _MAX_INK_FRACTION:
        raise ValueError(
            "no single digit on a plain background: it would cover"
            f" {strokes.mean():.0%} of the image. Leave a margin around it."
        )
    near = ndimage.binary_dilation(strokes, iterations=2)
    return np.where(near & (ink > contrast / 6), np.minimum(ink, contrast), 0)


def _group_strokes(ink: np.ndarray) -> list[_Digit]:
    """Group strokes that belong to the same digit."""
    _, boxes, _ = _find_components(ink, 1)
    tallest = max(_height(box) for box in boxes)
    # Join the pieces of strokes that are interrupted.
    labels, boxes, weights = _find_components(ink, max(1, round(0.035 * tallest)))
    digits = []
    for group in _group_components(boxes, weights):
        digit_ink = np.where(np.isin(labels, [k + 1 for k in group]), ink, 0)
        digits.append(_Digit(digit_ink, _bounding_box(digit_ink), weights[group].sum()))
    return digits


def _find_components(
    ink: np.ndarray, reach: int
) -> tuple[np.ndarray, list[Box], np.ndarray]:
    """Return labels, boxes and weights of components at least twice `reach` apart."""
    labels, n = ndimage.label(ndimage.binary_dilation(ink > 0, iterations=reach))
    labels = np.where(ink > 0, labels, 0)
    weights = ndimage.sum_labels(ink, labels, range(1, n + 1))
    return labels, ndimage.find_objects(labels), weights


def _group_components(boxes: list[Box], weights: np.ndarray) -> list[list[int]]:
    """Group components of the same digit, such as the two strokes of a 5.

    A small component belongs to a heavier one that is above, below or close to it.
    """
    groups: list[list[int]] = []
    for k in np.argsort(-weights):
        for group in groups:
            heaviest = group[0]
            if _belongs_to(boxes[k], boxes[heaviest], weights[k] / weights[heaviest]):
                group.append(int(k))
                break
        else:
            groups.append([int(k)])
    return groups


def _belongs_to(box: Box, digit_box: Box, weight_ratio: float) -> bool:
    """Return whether a component belongs to the same digit as a heavier one."""
    # Negative distances are overlaps.
    vertical_distance, horizontal_distance = (
        max(one.start, other.start) - min(one.stop, other.stop)
        for one, other in zip(box, digit_box, strict=True)
    )
    height, width = _height(digit_box), _width(digit_box)
    longer_side = max(height, width)
    is_stroke = _height(box) < 0.75 * longer_side and _width(box) < 1.5 * longer_side
    max_vertical_distance = 0.3 * height if is_stroke else 0.1 * width
    if (
        -horizontal_distance >= 0.3 * _width(box)
        and vertical_distance <= max_vertical_distance
    ):
        return True
    distance = max(vertical_distance, horizontal_distance)
    return weight_ratio < 0.3 and distance <= 0.12 * height


def _remove_specks(digits: list[_Digit], tallest: int) -> list[_Digit]:
    """Return the digits without specks, dots and commas."""
    heaviest = max(digit.weight for digit in digits)
    return [
        digit
        for digit in digits
        if digit.weight >= 0.25 * heaviest
        or (_height(digit.box) >= 0.5 * tallest and digit.weight >= 0.08 * heaviest)
    ]


def _check_digit(digit: _Digit, tallest: int) -> None:
    """Raise a ValueError if this cannot be a digit on a plain background."""
    ink, height, width = digit.ink, _height(digit.box), _width(digit.box)
    edges = (ink[0], ink[-1], ink[:, 0], ink[:, -1])
    if all(edge.any() for edge in edges):
        raise ValueError(
            "no single digit on a plain background: it touches all four edges. Leave a"
            " margin around it."
        )
    if max(tallest, width) < max(ink.shape) / 16:
        raise ValueError("no digit found, only a dot. Move closer, or crop the image.")
    # Letters, or digits that touch, leave much of their box empty; a stroke does not.
    is_sparse = (ink > 0).sum() < 0.7 * width * height
    if width > _MAX_ASPECT_RATIO * height and is_sparse:
        raise ValueError(
            f"a digit is {width / height:.1f} times as wide as it is high: several digits"
            " that touch, or something else."
        )


def _bounding_box(ink: np.ndarray) -> Box:
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _height(box: Box) -> int:
    return box[0].stop - box[0].start


def _width(box: Box) -> int:
    return box[1].stop - box[1].start


def _frame(digit: _Digit, shape: tuple[int, int]) -> np.ndarray:
    """Return a digit, scaled, in the middle of an array of this shape."""
    ink = digit.ink[digit.box]
    scale = _BOX_FRACTION * min(shape) / max(ink.shape)
    size = [max(1, round(length * scale)) for length in ink.shape]
    resampling = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    pixels = Image.fromarray(ink.astype(np.float32))
    scaled = np.asarray(pixels.resize((size[1], size[0]), resampling))
    scaled = scaled / (scaled.max() or 1) * 255
    centre = ndimage.center_of_mass(scaled)
    offsets = []
    for axis in (0, 1):
        offset = round((shape[axis] - 1) / 2 - centre[axis])
        offsets.append(min(max(offset, 0), shape[axis] - size[axis]))
    top, left = offsets
    framed = np.zeros(shape)
    framed[top : top + size[0], left : left + size[1]] = scaled
    return framed.round().astype(np.uint8)
