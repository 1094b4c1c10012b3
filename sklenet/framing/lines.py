"""The lines of a page, removed: underlines, ruled paper, boxes and forms.

A line is long, straight and thin, and has an even width. As in the removal of staff lines
from sheet music, strokes that cross a line are kept: a line is only removed in those
columns of pixels (rows for a vertical line) that contain nothing but the line.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from sklenet.framing.paper import measure_contrast

# Minimum ink of a line, as a fraction of the contrast of the page. Strokes are darker, too.
_MIN_INK = 0.2
_MIN_LENGTH = 0.1  # as a fraction of the side of the page
# Ratios of length to width. The strokes of MNIST's digits have ratios of at most 6, so that
# a line with a ratio below 8 is only removed as the side of a box that has other, longer
# sides.
_MIN_RATIO, _CERTAIN_RATIO = 5, 8
_MAX_WIDTH = 0.04  # as a fraction of the side of the page
_MAX_SLOPE = 0.1
_SPANNING_LENGTH = 0.94  # as a fraction of the side of the page

Interval = tuple[int, int]


@dataclass(eq=False)
class _Line:
    """A nearly horizontal line; vertical lines are horizontal ones of the transposed page.

    Attributes
    ----------
    start : int
        First column of the line.
    rows : ndarray
        Row of the middle of the line, for each of its columns.
    width : float
        Width of the line in pixels.
    """

    start: int
    rows: np.ndarray
    width: float

    @property
    def stop(self) -> int:
        return self.start + len(self.rows)

    @property
    def is_certain(self) -> bool:
        return len(self.rows) >= _CERTAIN_RATIO * self.width

    def extends_beyond(self, interval: Interval, margin: float) -> bool:
        """Return whether this is certainly a line, beyond both ends of an interval."""
        is_beyond = self.start < interval[0] - margin and self.stop > interval[1] + margin
        return self.is_certain and is_beyond

    def touches(self, row: float, column: float, margin: float) -> bool:
        """Return whether a point is on the line, up to a margin."""
        k = int(np.clip(round(column) - self.start, 0, len(self.rows) - 1))
        distance = max(self.start - column, column - self.stop, 0)
        is_on_row = abs(self.rows[k] - row) <= self.width / 2 + margin
        return is_on_row and distance <= margin


def remove_lines(ink: np.ndarray) -> np.ndarray:
    """Remove the lines of a page.

    Parameters
    ----------
    ink : ndarray of shape (h, w)
        Ink of the page, as returned by `find_ink`.

    Returns
    -------
    ndarray of shape (h, w)
        Ink without the lines. If nothing else is on the page, what looks like lines has
        been drawn, and the ink is returned unchanged.
    """
    mask = ink > _MIN_INK * measure_contrast(ink)
    horizontal, vertical = _find_lines(mask), _find_lines(mask.T)
    if not horizontal and not vertical:
        return ink
    margin = 0.02 * max(ink.shape)
    n_rows, n_columns = mask.shape
    # The sides of a box and lines across the page are lines, whatever else is on the page.
    certain_horizontal = [
        line
        for line in horizontal
        if _is_side(line, vertical, margin) or _spans(line, n_columns)
    ]
    certain_vertical = [
        line
        for line in vertical
        if _is_side(line, horizontal, margin) or _spans(line, n_rows)
    ]
    # Any other line could be a stroke of the digit, unless it extends beyond the digit.
    extent = _get_extent(_erase_both(ink, mask, horizontal, vertical), mask)
    if extent is None:  # the digit itself is a straight vertical stroke
        extent = _get_extent(_erase_both(ink, mask, horizontal, []), mask)
    if extent is not None:
        rows, columns = extent
        certain_horizontal += [
            line for line in horizontal if line.extends_beyond(columns, margin)
        ]
        certain_vertical += [
            line
            for line in vertical
            if line.extends_beyond(rows, margin) and _has_partner(line, vertical, columns)
        ]
    rest = _erase_both(ink, mask, certain_horizontal, certain_vertical)
    return ink if _get_extent(rest, mask) is None else rest


def _spans(line: _Line, side: int) -> bool:
    return len(line.rows) >= _SPANNING_LENGTH * side


def _is_side(line: _Line, others: list[_Line], margin: float) -> bool:
    """Return whether a line is the side of a box: both ends touch lines of its width."""
    others = [
        other
        for other in others
        if (line.is_certain or other.is_certain)
        and abs(other.width - line.width) <= max(2, 0.5 * min(other.width, line.width))
    ]
    ends = ((line.start, line.rows[0]), (line.stop - 1, line.rows[-1]))
    # The other lines are those of the transposed page.
    return all(
        any(other.touches(column, row, margin) for other in others) for column, row in ends
    )


def _has_partner(line: _Line, lines: list[_Line], interval: Interval) -> bool:
    """Return whether a line of similar length is on the other side of an interval."""
    for other in lines:
        common = min(line.stop, other.stop) - max(line.start, other.start)
        low, high = sorted((np.median(line.rows), np.median(other.rows)))
        if (
            common >= 0.8 * max(len(line.rows), len(other.rows))
            and low < interval[0]
            and high > interval[1]
        ):
            return True
    return False


def _get_extent(ink: np.ndarray, mask: np.ndarray) -> tuple[Interval, Interval] | None:
    """Return the first and last row and column of most of the ink, None without ink."""
    labels, n = ndimage.label((ink > 0) & mask, np.ones((3, 3)))
    weights = ndimage.sum_labels(ink, labels, range(1, n + 1))
    if not n or weights.max() < 0.02 * (mask * ink.max()).sum():
        return None
    is_main = np.isin(labels, 1 + np.flatnonzero(weights >= 0.25 * weights.max()))
    rows, columns = (np.flatnonzero(is_main.any(axis=axis)) for axis in (1, 0))
    return (rows[0], rows[-1]), (columns[0], columns[-1])


class _Runs:
    """The vertical runs of a mask: its pixels that follow each other in a column.

    Parameters
    ----------
    mask : ndarray of shape (h, w), bool
        Pixels with ink.

    Attributes
    ----------
    first, last : ndarray of shape (h, w)
        First and last row of the run of each pixel of the mask.
    """

    def __init__(self, mask: np.ndarray) -> None:
        n_rows = len(mask)
        rows = np.arange(n_rows)[:, None]
        is_first = mask & ~np.pad(mask, ((1, 0), (0, 0)))[:-1]
        is_last = mask & ~np.pad(mask, ((0, 1), (0, 0)))[1:]
        first = np.where(is_first, rows, 0)
        last = np.where(is_last, rows, n_rows)
        self.first = np.maximum.accumulate(first, axis=0)
        self.last = np.minimum.accumulate(last[::-1], axis=0)[::-1]
        self.widths = self.last - self.first + 1

    def find_along(self, mask: np.ndarray, line_rows: np.ndarray, line_width: float):
        """Find the run nearest to a line in each column.

        Parameters
        ----------
        mask : ndarray of shape (h, w), bool
            Pixels that are searched.
        line_rows : ndarray of shape (w,)
            Row of the line in each column.
        line_width : float
            Width of the line.

        Returns
        -------
        found : ndarray of shape (w,), bool
            Whether there is a run near the line.
        middles, widths : ndarray of shape (w,)
            Middle rows and widths of the runs.
        """
        columns = np.arange(mask.shape[1])
        found = np.zeros(len(columns), bool)
        rows = np.zeros(len(columns), int)
        reach = int(np.ceil(line_width / 2 + 1))
        for offset in sorted(range(-reach, reach + 1), key=abs):
            shifted = np.round(line_rows + offset).astype(int)
            is_candidate = (shifted >= 0) & (shifted < len(mask)) & ~found
            is_hit = is_candidate & mask[shifted.clip(0, len(mask) - 1), columns]
            rows[is_hit] = shifted[is_hit]
            found |= is_hit
        first, last = self.first[rows, columns], self.last[rows, columns]
        return found, (first + last) / 2, last - first + 1


def _find_lines(mask: np.ndarray) -> list[_Line]:
    """Return the nearly horizontal lines, the longest first."""
    runs = _Runs(mask)
    thin = mask & (runs.widths <= max(3, _MAX_WIDTH * max(mask.shape)))
    labels, _ = ndimage.label(thin, np.ones((3, 3)))
    # A single column has no slope, which matters on very small pages only.
    min_length = max(2, _MIN_LENGTH * max(mask.shape))
    components = [
        (box[1].start, box[1].stop, label)
        for label, box in enumerate(ndimage.find_objects(labels), start=1)
        if box[1].stop - box[1].start >= min_length
    ]
    lines: list[_Line] = []
    for start, stop, label in sorted(components, key=lambda c: c[0] - c[1]):
        line = _trace_line(mask, thin, runs, labels == label, start, stop)
        if line is not None and not any(_is_part_of(line, other) for other in lines):
            lines.append(line)
    return lines


def _is_part_of(line: _Line, other: _Line) -> bool:
    middle = len(line.rows) // 2
    return other.touches(line.rows[middle], line.start + middle, line.width)


def _trace_line(
    mask: np.ndarray,
    thin: np.ndarray,
    runs: _Runs,
    component: np.ndarray,
    start: int,
    stop: int,
) -> _Line | None:
    """Return the line that a component of thin runs is a piece of, or None.

    Parameters
    ----------
    mask, thin : ndarray of shape (h, w), bool
        Pixels with ink, and those of them that are in thin runs.
    runs : _Runs
        Runs of the mask.
    component : ndarray of shape (h, w), bool
        Connected pixels of `thin`.
    start, stop : int
        First column of the component, and the column after its last.
    """
    columns = np.arange(start, stop)
    rows = component[:, columns].argmax(axis=0)
    middles = (runs.first[rows, columns] + runs.last[rows, columns]) / 2
    slope, intercept = np.polyfit(columns, middles, 1)
    deviations = np.abs(middles - (slope * columns + intercept))
    if abs(slope) > _MAX_SLOPE or np.quantile(deviations, 0.9) > 3:
        return None

    # Follow the line across the whole page, through thin runs only.
    all_columns = np.arange(mask.shape[1])
    line_rows = slope * all_columns + intercept
    line_width = float(np.median(runs.widths[rows, columns]))
    for _ in range(2):
        found, middles, widths = runs.find_along(thin, line_rows, line_width)
        if found.sum() < 2:
            return None
        line_width = float(np.median(widths[found]))
        near = found & (np.abs(middles - line_rows) <= 2 + line_width / 2)
        if near.sum() < 2:
            return None
        degree = 2 if near.sum() > max(2, 0.3 * len(all_columns)) else 1
        coefficients = np.polyfit(all_columns[near], middles[near], degree)
        line_rows = np.polyval(coefficients, all_columns)

    # Extend it across strokes, and check that enough of it is a thin, even, straight run.
    covered, _, _ = runs.find_along(mask, line_rows, line_width)
    first, last = _find_stretch(covered, (start + stop) // 2)
    if last - first < max(_MIN_RATIO * line_width, _MIN_LENGTH * max(mask.shape)):
        return None
    is_even = np.abs(widths - line_width) <= max(1.5, 0.5 * line_width)
    is_straight = np.abs(middles - line_rows) <= 1.5
    found = found[first:last]
    if found.mean() < 0.4 or (is_even & is_straight)[first:last][found].mean() < 0.7:
        return None
    return _Line(first, line_rows[first:last], line_width)


def _find_stretch(covered: np.ndarray, column: int) -> tuple[int, int]:
    """Return the start and stop of the covered stretch around a column; bridge gaps."""
    gap = max(3, len(covered) // 80)
    closed = ndimage.binary_closing(np.pad(covered, gap), np.ones(gap))[gap:-gap]
    labels, _ = ndimage.label(closed)
    if not labels[column]:
        return column, column
    columns = np.flatnonzero(labels == labels[column])
    return int(columns[0]), int(columns[-1]) + 1


def _erase_both(
    ink: np.ndarray, mask: np.ndarray, horizontal: list[_Line], vertical: list[_Line]
) -> np.ndarray:
    """Return the ink without lines and without their crossings."""
    rest = _erase(_erase(ink, mask, horizontal).T, mask.T, vertical).T
    crossings = _cover(horizontal, mask.shape) & _cover(vertical, mask.shape[::-1]).T
    rest[crossings] = 0
    return rest


def _cover(lines: list[_Line], shape: tuple[int, int]) -> np.ndarray:
    """Return a mask of the pixels that horizontal lines cover."""
    covered = np.zeros(shape, bool)
    rows = np.arange(shape[0])[:, None]
    for line in lines:
        near = np.abs(rows - line.rows) <= line.width / 2 + 1.5
        covered[:, line.start : line.stop] |= near
    # The lines of a box end a little before its corners.
    return ndimage.binary_dilation(covered, np.ones((1, 9)))


def _erase(ink: np.ndarray, mask: np.ndarray, lines: list[_Line]) -> np.ndarray:
    """Return the ink without horizontal lines, except where strokes cross them."""
    ink = ink.copy()
    runs = _Runs(mask)
    rows = np.arange(len(mask))[:, None]
    for line in lines:
        columns = slice(line.start, line.stop)
        line_rows = np.full(mask.shape[1], -9.0)  # outside the page
        line_rows[columns] = line.rows
        is_on_line = np.zeros(mask.shape[1], bool)
        is_on_line[columns] = True
        found, middles, widths = runs.find_along(mask, line_rows, line.width)
        is_alone = (
            found
            & is_on_line
            & (widths <= 1.5 * line.width + 2)
            & (np.abs(middles - line_rows) <= line.width / 2 + 2)
        )
        # Include the grey pixels at the edges of the line.
        is_erased = is_alone & (np.abs(rows - middles) <= widths / 2 + 1.5)
        ink[is_erased] = 0
    return ink
