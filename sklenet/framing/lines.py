"""Remove the lines of a page: underlines, ruled paper, boxes and forms.

A line is long, straight, thin and of even width. Strokes that cross a line stay whole, as
in the removal of staff lines from scores: a line is removed only in those columns of pixels
(for a vertical line, rows) in which nothing but the line is found.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from sklenet.framing.paper import measure_contrast

# Ink of a line is at least this fraction of the page's contrast. Less is not taken for a
# stroke either.
_FAINT = 0.2
_LEAST_LENGTH = 0.1  # of the side of the page
# Of length to width. Strokes as thick as those of MNIST have 6 at most, so that a line of
# less than 8 is only removed as the side of a box whose other sides have more.
_LEAST_RATIO, _SURE_RATIO = 5, 8
_MOST_WIDTH = 0.04  # of the side of the page
_MOST_SLOPE = 0.1
_SPANNING = 0.94


@dataclass(eq=False)
class _Line:
    """A line, horizontal in its own array: row `at[k]` in column `start + k`.

    Attributes
    ----------
    start : int
    at : ndarray
        The row of its middle, per column.
    width : float
    """

    start: int
    at: np.ndarray
    width: float

    @property
    def stop(self) -> int:
        return self.start + len(self.at)

    @property
    def is_sure(self) -> bool:
        return len(self.at) >= _SURE_RATIO * self.width

    def reaches_beyond(self, extent: tuple[int, int], margin: float) -> bool:
        """Return whether the line is longer than something, on both sides."""
        return self.start < extent[0] - margin and self.stop > extent[1] + margin

    def touches(self, row: float, column: float, margin: float) -> bool:
        """Return whether a place is on the line, or nearly."""
        k = int(np.clip(round(column) - self.start, 0, len(self.at) - 1))
        reach = self.width / 2 + margin
        beyond = max(self.start - column, column - self.stop, 0)
        return abs(self.at[k] - row) <= reach and beyond <= margin


def remove_lines(ink: np.ndarray) -> np.ndarray:
    """Return the ink of a page without its lines.

    Parameters
    ----------
    ink : ndarray of shape (h, w)
        What `find_ink` returns.

    Returns
    -------
    ndarray of shape (h, w)
        The same ink, with zeros in place of the lines. If nothing else is on the page, the
        lines are what was drawn, and stay.
    """
    mask = ink > _FAINT * measure_contrast(ink)
    horizontal, vertical = _find_lines(mask), _find_lines(mask.T)
    if not horizontal and not vertical:
        return ink
    margin = 0.02 * max(ink.shape)
    # A box or a line through the page is one without regard to what else is there; any
    # other line must reach beyond the figure, of which it may be a stroke otherwise.
    sure = [
        [k for k in lines if _is_side(k, others, margin) or _spans(k, side)]
        for lines, others, side in (
            (horizontal, vertical, mask.shape[1]),
            (vertical, horizontal, mask.shape[0]),
        )
    ]
    extent = _extent(_erase_both(ink, mask, horizontal, vertical), mask)
    if extent is None:  # the figure is a straight vertical stroke itself
        extent = _extent(_erase_both(ink, mask, horizontal, []), mask)
    if extent is not None:
        rows, columns = extent
        sure[0] += [
            k for k in horizontal if k.is_sure and k.reaches_beyond(columns, margin)
        ]
        sure[1] += [
            k
            for k in vertical
            if k.is_sure
            and k.reaches_beyond(rows, margin)
            and _has_partner(k, vertical, columns)
        ]
    rest = _erase_both(ink, mask, *sure)
    return ink if _extent(rest, mask) is None else rest


def _spans(line: _Line, side: int) -> bool:
    return len(line.at) >= _SPANNING * side


def _is_side(line: _Line, others: list[_Line], margin: float) -> bool:
    """Return whether a line is the side of a box: its ends are on lines of its width."""
    others = [
        other
        for other in others
        if (line.is_sure or other.is_sure)
        and abs(other.width - line.width) <= max(2, 0.5 * min(other.width, line.width))
    ]
    ends = ((line.start, line.at[0]), (line.stop - 1, line.at[-1]))
    return all(
        any(other.touches(column, row, margin) for other in others) for column, row in ends
    )


def _has_partner(line: _Line, lines: list[_Line], extent: tuple[int, int]) -> bool:
    """Return whether another line is about as long, on the other side of something."""
    at = np.median(line.at)
    for other in lines:
        common = min(line.stop, other.stop) - max(line.start, other.start)
        low, high = sorted((at, np.median(other.at)))
        if (
            common >= 0.8 * max(len(line.at), len(other.at))
            and low < extent[0]
            and high > extent[1]
        ):
            return True
    return False


def _extent(
    ink: np.ndarray, mask: np.ndarray
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return the rows and columns that most of the ink is in, or None without ink."""
    labels, n = ndimage.label((ink > 0) & mask, np.ones((3, 3)))
    weights = ndimage.sum_labels(ink, labels, range(1, n + 1))
    if not n or weights.max() < 0.02 * (mask * ink.max()).sum():
        return None
    main = np.isin(labels, 1 + np.flatnonzero(weights >= 0.25 * weights.max()))
    rows, columns = (np.flatnonzero(main.any(axis=axis)) for axis in (1, 0))
    return (rows[0], rows[-1]), (columns[0], columns[-1])


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each pixel of the mask where its run in the column begins and ends."""
    height = len(mask)
    rows = np.arange(height)[:, None]
    first = np.where(mask & ~np.pad(mask, ((1, 0), (0, 0)))[:-1], rows, 0)
    last = np.where(mask & ~np.pad(mask, ((0, 1), (0, 0)))[1:], rows, height)
    first = np.maximum.accumulate(first, axis=0)
    last = np.minimum.accumulate(last[::-1], axis=0)[::-1]
    return first, last


def _find_lines(mask: np.ndarray) -> list[_Line]:
    """Return the nearly horizontal lines."""
    first, last = _runs(mask)
    thin = mask & (last - first + 1 <= max(3, _MOST_WIDTH * max(mask.shape)))
    labels, _ = ndimage.label(thin, np.ones((3, 3)))
    shortest = _LEAST_LENGTH * max(mask.shape)
    seeds = [
        (box[1].stop - box[1].start, k + 1, box)
        for k, box in enumerate(ndimage.find_objects(labels))
        if box[1].stop - box[1].start >= shortest
    ]
    lines: list[_Line] = []
    for _, label, box in sorted(seeds, key=lambda seed: (-seed[0], seed[1])):
        line = _follow(mask, thin, first, last, labels == label, box[1])
        if line is not None and not any(_is_part(line, other) for other in lines):
            lines.append(line)
    return lines


def _is_part(line: _Line, other: _Line) -> bool:
    middle = len(line.at) // 2
    return other.touches(line.at[middle], line.start + middle, line.width)


def _follow(mask, thin, first, last, seed, columns) -> _Line | None:
    """Return the line that a component of thin runs is a piece of, if it is one."""
    span = np.arange(columns.start, columns.stop)
    piece = seed[:, span]
    row = piece.argmax(axis=0)
    middle = (first[row, span] + last[row, span]) / 2
    slope, intercept = np.polyfit(span, middle, 1)
    if abs(slope) > _MOST_SLOPE or not _is_straight(middle, slope * span + intercept, 3):
        return None

    # Along the whole page: what lies on this line, whether in thin runs or across strokes.
    across = np.arange(mask.shape[1])
    width = float(np.median(last[row, span] - first[row, span] + 1))
    at = slope * across + intercept
    for _ in range(2):
        found, run_middle, run_width = _runs_at(thin, first, last, at, width)
        if found.sum() < 2:
            return None
        width = float(np.median(run_width[found]))
        near = found & (np.abs(run_middle - at) <= 2 + width / 2)
        degree = 2 if near.sum() > 0.3 * len(across) else 1
        at = np.polyval(np.polyfit(across[near], run_middle[near], degree), across)
    covered = _runs_at(mask, first, last, at, width)[0]
    start, stop = _contiguous(covered, (columns.start + columns.stop) // 2)
    inside = found[start:stop]
    if stop - start < max(_LEAST_RATIO * width, _LEAST_LENGTH * max(mask.shape)):
        return None
    # Some columns may have the stroke of a figure along the line.
    is_even = np.abs(run_width - width) <= max(1.5, 0.5 * width)
    is_on = np.abs(run_middle - at) <= 1.5
    if inside.mean() < 0.4 or (is_even & is_on)[start:stop][inside].mean() < 0.7:
        return None
    return _Line(start, at[start:stop], width)


def _is_straight(middle: np.ndarray, fitted: np.ndarray, tolerance: float) -> bool:
    return float(np.quantile(np.abs(middle - fitted), 0.9)) <= tolerance


def _runs_at(mask, first, last, at, width):
    """Return which columns have a run near a line, and the runs' middles and widths."""
    columns = np.arange(mask.shape[1])
    found = np.zeros(len(columns), bool)
    row = np.zeros(len(columns), int)
    reach = int(np.ceil(width / 2 + 1))
    for offset in sorted(range(-reach, reach + 1), key=abs):
        here = np.round(at + offset).astype(int)
        inside = (here >= 0) & (here < len(mask)) & ~found
        hit = inside & mask[here.clip(0, len(mask) - 1), columns]
        row[hit] = here[hit]
        found |= hit
    top, bottom = first[row, columns], last[row, columns]
    return found, (top + bottom) / 2, bottom - top + 1


def _contiguous(covered: np.ndarray, middle: int) -> tuple[int, int]:
    """Return the stretch around a column without a large gap."""
    gap = max(3, len(covered) // 80)
    closed = ndimage.binary_closing(np.pad(covered, gap), np.ones(gap))[gap:-gap]
    labels, _ = ndimage.label(closed)
    if not labels[middle]:
        return middle, middle
    places = np.flatnonzero(labels == labels[middle])
    return int(places[0]), int(places[-1]) + 1


def _erase_both(
    ink: np.ndarray, mask: np.ndarray, horizontal: list[_Line], vertical: list[_Line]
) -> np.ndarray:
    """Return the ink without lines and without their crossings."""
    rest = _erase(_erase(ink, mask, horizontal).T, mask.T, vertical).T
    rest[_band(horizontal, mask.shape) & _band(vertical, mask.shape[::-1]).T] = 0
    return rest


def _band(lines: list[_Line], shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels that horizontal lines take up."""
    band = np.zeros(shape, bool)
    rows = np.arange(shape[0])[:, None]
    for line in lines:
        near = np.abs(rows - line.at) <= line.width / 2 + 1.5
        band[:, line.start : line.stop] |= near
    # The ends of the lines of a box lie a little before its corners.
    return ndimage.binary_dilation(band, np.ones((1, 9)))


def _erase(ink: np.ndarray, mask: np.ndarray, lines: list[_Line]) -> np.ndarray:
    """Return the ink without horizontal lines, but with the strokes that cross them."""
    ink = ink.copy()
    first, last = _runs(mask)
    rows = np.arange(len(mask))[:, None]
    for line in lines:
        at = np.full(mask.shape[1], -np.inf)
        at[line.start : line.stop] = line.at
        found, middle, width = _runs_at(mask, first, last, np.maximum(at, -9), line.width)
        alone = (
            found
            & np.isfinite(at)
            & (width <= 1.5 * line.width + 2)
            & (np.abs(middle - at) <= line.width / 2 + 2)
        )
        # With the pixels beside it, which are grey.
        reach = width / 2 + 1.5
        erased = alone & (np.abs(rows - middle) <= reach)
        ink[erased] = 0
    return ink
