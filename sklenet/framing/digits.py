"""Find the figures on a page and frame each as MNIST's digits are framed."""

import numpy as np
from PIL import Image
from scipy import ndimage

from sklenet.framing.lines import remove_lines
from sklenet.framing.paper import check_contrast, find_ink, measure_contrast

# MNIST's digits fill a box of 20 of 28 pixels, with their centre of mass in the middle.
_BOX = 20 / 28

_MOST_INK = 0.4
_WIDEST = 1.7  # of width to height; 1 in 2,000 of MNIST's digits is wider
_LONGEST_LINE = 100

Box = tuple[slice, slice]


def frame_digit(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the one figure on a page, framed as MNIST's digits are.

    The background, which may be lit unevenly, is subtracted, and lines are removed. The
    figure is cut out, scaled so that its longer side is 20 of 28 parts, and put with its
    centre of mass in the middle (LeCun et al. 1998, section III.A).

    Parameters
    ----------
    image : ndarray of shape (h, w), uint8
        Dark on bright or bright on dark.
    shape : tuple of int (h, w)
        The shape of the result.

    Returns
    -------
    ndarray of `shape`, uint8
        Bright on black.

    Raises
    ------
    ValueError
        If there is no figure, there are several, or it does not stand by itself on a plain
        background.
    """
    ink = _find_strokes(image)
    figures = _find_figures(ink)
    if len(figures) > 1:
        raise ValueError(
            f"{len(figures)} figures found, but one is read at a time: cut them apart, or"
            " have them read from left to right with --framing line."
        )
    return _frame(*figures[0], shape)


def frame_line(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the figures on a page from left to right, each framed as by `frame_digit`.

    Parameters
    ----------
    image : ndarray of shape (h, w), uint8
        Dark on bright or bright on dark. The figures must not touch each other.
    shape : tuple of int (h, w)
        The shape of each figure in the result.

    Returns
    -------
    ndarray of shape (n, h, w), uint8

    Raises
    ------
    ValueError
        If there is no figure, or the figures do not stand in one line.
    """
    figures = _find_figures(_find_strokes(image))
    if len(figures) > _LONGEST_LINE:
        raise ValueError(
            f"{len(figures)} figures found, and a line has at most {_LONGEST_LINE}: is the"
            " background plain?"
        )
    tops, bottoms = (
        np.array([end(box[0]) for _, box in figures])
        for end in (lambda rows: rows.start, lambda rows: rows.stop)
    )
    if tops.max() >= bottoms.min():
        raise ValueError("the figures do not stand in one line: cut the lines apart.")
    return np.array([_frame(ink, box, shape) for ink, box in figures])


def _find_strokes(image: np.ndarray) -> np.ndarray:
    """Return the ink of the strokes, without lines of the page and without noise."""
    ink = remove_lines(find_ink(image))
    contrast = measure_contrast(ink)
    check_contrast(contrast)
    # A pen has one darkness: less than half of it is the stroke's edge, or noise.
    strokes = ink > contrast / 2
    if strokes.mean() > _MOST_INK:
        raise ValueError(
            "no single figure on a plain background: it would cover"
            f" {strokes.mean():.0%} of the image. Leave a margin around it."
        )
    near = ndimage.binary_dilation(strokes, iterations=2)
    return np.where(near & (ink > contrast / 6), np.minimum(ink, contrast), 0)


def _find_figures(ink: np.ndarray) -> list[tuple[np.ndarray, Box]]:
    """Return the ink of each figure, and the box around it, from left to right."""
    labels, boxes, weights = _label(ink, 1)
    tallest = max(_height(box) for box in boxes)
    # Broken strokes are one figure.
    labels, boxes, weights = _label(ink, max(1, round(0.035 * tallest)))
    groups = _join(boxes, weights)
    figures = []
    for group in groups:
        own = np.where(np.isin(labels, [k + 1 for k in group]), ink, 0)
        figures.append((own, _bounding_box(own), weights[group].sum()))
    heaviest = max(weight for *_, weight in figures)
    tallest = max(_height(box) for _, box, _ in figures)
    figures = [  # without specks, dots and commas
        (own, box, weight)
        for own, box, weight in figures
        if weight >= 0.25 * heaviest
        or (_height(box) >= 0.5 * tallest and weight >= 0.08 * heaviest)
    ]
    for own, box, _ in figures:
        _check_figure(own, box, tallest)
    return [(own, box) for own, box, _ in sorted(figures, key=lambda f: f[1][1].start)]


def _label(ink: np.ndarray, reach: int) -> tuple[np.ndarray, list[Box], np.ndarray]:
    """Return components of the ink, those closer than twice `reach` being one."""
    labels, n = ndimage.label(ndimage.binary_dilation(ink > 0, iterations=reach))
    labels = np.where(ink > 0, labels, 0)
    weights = ndimage.sum_labels(ink, labels, range(1, n + 1))
    return labels, ndimage.find_objects(labels), weights


def _join(boxes: list[Box], weights: np.ndarray) -> list[list[int]]:
    """Return which components are one figure, such as the two strokes of a 5.

    A small component belongs to the larger one above, below or close to it.
    """
    groups: list[list[int]] = []
    frames: list[Box] = []
    for k in np.argsort(-weights):
        for group, frame in zip(groups, frames, strict=True):
            if _belongs(boxes[k], frame, weights[k] / weights[group[0]]):
                group.append(int(k))
                break
        else:
            groups.append([int(k)])
            frames.append(boxes[k])
    return groups


def _belongs(box: Box, frame: Box, weight: float) -> bool:
    """Return whether a component is a part of the figure in a frame."""
    above, beside = (
        max(one.start, other.start) - min(one.stop, other.stop)
        for one, other in zip(box, frame, strict=True)
    )
    tall, wide = _height(frame), frame[1].stop - frame[1].start
    width = box[1].stop - box[1].start
    is_stroke = _height(box) < 0.75 * max(tall, wide) and width < 1.5 * max(tall, wide)
    if -beside >= 0.3 * width and above <= (0.3 * tall if is_stroke else 0.1 * wide):
        return True
    return weight < 0.3 and max(above, beside) <= 0.12 * tall


def _check_figure(own: np.ndarray, box: Box, tallest: int) -> None:
    height, width = _height(box), box[1].stop - box[1].start
    edges = (own[0], own[-1], own[:, 0], own[:, -1])
    if all(edge.any() for edge in edges):
        raise ValueError(
            "no single figure on a plain background: it touches all four edges. Leave a"
            " margin around it."
        )
    if max(tallest, width) < max(own.shape) / 16:
        raise ValueError("no figure found: only a dot. Come closer, or cut it out.")
    # Letters or digits that touch leave much of their box empty; a stroke does not.
    if width > _WIDEST * height and (own > 0).sum() < 0.7 * width * height:
        raise ValueError(
            f"a figure is {width / height:.1f} times as wide as it is high: several that"
            " touch each other, or something else than a figure."
        )


def _bounding_box(own: np.ndarray) -> Box:
    rows, columns = (np.flatnonzero(own.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _height(box: Box) -> int:
    return box[0].stop - box[0].start


def _frame(ink: np.ndarray, box: Box, shape: tuple[int, int]) -> np.ndarray:
    """Return a figure in the middle of an array of `shape`."""
    figure = ink[box]
    scale = _BOX * min(shape) / max(figure.shape)
    size = [max(1, round(length * scale)) for length in figure.shape]
    resampling = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    pixels = Image.fromarray(figure.astype(np.float32))
    small = np.asarray(pixels.resize((size[1], size[0]), resampling))
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
