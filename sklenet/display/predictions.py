"""Predictions for image files: what was found, what the network was given, its output."""

import contextlib
import textwrap
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from sklearn.utils.validation import check_is_fitted

from sklenet._utils.printable import make_printable
from sklenet.datasets.decoder import decode_image
from sklenet.display.axes import escape_label, make_grid, show_image
from sklenet.framing.digits import locate_digits
from sklenet.framing.read import assume_framing, read_digits
from sklenet.training.batches import as_tensor
from sklenet.training.runtime import library_state

_MAX_ROWS = 200  # Agg draws at most 65,535 pixels in height
_MAX_BARS = 10
_MAX_LABEL, _MAX_NAME = 18, 30  # in characters
_PAGE_SIDE = 480  # in pixels, of the page as it is shown
_FRAMINGS = ("digit", "whole", "line")


class FilePrediction(NamedTuple):
    """An image file, and what a classifier makes of it.

    Parameters
    ----------
    name : str
        Name of the file.
    page : ndarray of shape (h, w) or (h, w, 3), uint8, or None
        The image in the file. None if it cannot be decoded.
    boxes : list of tuple of float (left, top, width, height)
        The digits that were found, in pixels of the page.
    inputs : ndarray of shape (n, c, h, w)
        Images as the network gets them: none if the file is rejected, several for the
        digits of a line.
    probabilities : ndarray of shape (n, n_classes)
        Predicted class probabilities of the inputs.
    error : str or None
        Why the file is rejected.
    """

    name: str
    page: np.ndarray | None
    boxes: list
    inputs: np.ndarray
    probabilities: np.ndarray
    error: str | None


class PredictionDisplay:
    """Image files as they are read, as the network gets them, and the predictions.

    Each file has one row, or a row for each digit of a line of digits: the image with the
    digits that were found in it, the input of the network, and the class probabilities. For
    a file that is rejected, the reason is shown instead.

    It is recommended to use :meth:`from_files` to create a `PredictionDisplay`. All
    parameters are stored as attributes.

    Parameters
    ----------
    files : list of FilePrediction
        The image files and their predictions.
    classes : ndarray of shape (n_classes,)
        Class labels.
    limits : tuple of float (low, high), default=(None, None)
        Values of grey inputs that are drawn black and white. By default the minimum and the
        maximum of each input.

    Attributes
    ----------
    names : list of str
        Names of the files that are shown.
    ax_ : matplotlib Axes
        Axes that contain all rows.
    axes_ : ndarray of matplotlib Axes of shape (n_rows, 3)
        Axes of the image, the input and the probabilities of each row. The axes of an image
        extend over all rows of its digits; those of the other rows are empty.
    figure_ : matplotlib Figure
        Figure containing the predictions.
    """

    def __init__(self, files, classes, limits=(None, None)):
        self.files = files
        self.classes = classes
        self.limits = limits

    @property
    def names(self):
        """Names of the files that are shown."""
        return [file.name for file in self.files]

    @classmethod
    @library_state()
    def from_files(cls, estimator, paths, *, framing=None, always=False, ax=None):
        """Classify image files, as ``sklenet predict`` does, and plot what it saw.

        Parameters
        ----------
        estimator : LeNet5Classifier
            Fitted classifier.
        paths : list of str or path-like
            Image files. If they need more than 200 rows, the last ones are not read.
        framing : {"digit", "whole", "line"}, default=None
            How to read the files; see :func:`sklenet.framing.read_image` and
            :func:`sklenet.framing.read_line`. If `None`, the classifier's parameter
            `framing` or, if that is `None`, the one that suits its images and classes.
        always : bool, default=False
            Whether "digit" also frames images that already have the size of the training
            images.
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.PredictionDisplay`
            Object that stores the predictions.
        """
        check_is_fitted(estimator)
        if framing not in (None, *_FRAMINGS):
            raise ValueError(
                f"The 'framing' parameter must be None or one of {_FRAMINGS}. Got"
                f" {framing!r} instead."
            )
        framing = framing or estimator.framing
        framing = framing or assume_framing(estimator.image_shape_, estimator.classes_)
        files: list[FilePrediction] = []
        n_rows = 0
        for path in paths:
            file = _predict_file(estimator, path, framing, always)
            n_rows += max(1, len(file.inputs))
            if n_rows > _MAX_ROWS and files:
                break
            files.append(file)
        return cls(files, estimator.classes_, estimator.canvas_.limits).plot(ax)

    def plot(self, ax=None):
        """Plot one row per file, or per digit of a line of digits.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.PredictionDisplay`
            Object that stores the predictions.
        """
        n_rows = [max(1, len(file.inputs)) for file in self.files]
        n_bars = min(_MAX_BARS, len(self.classes))
        figsize = (6.4, (0.9 + 0.11 * n_bars) * max(1, sum(n_rows)))
        self.ax_, self.axes_ = make_grid(
            ax, max(1, sum(n_rows)), 3, figsize, width_ratios=[1.4, 1, 1.4]
        )
        self.figure_ = self.ax_.figure
        top = 0
        for file, n in zip(self.files, n_rows, strict=True):
            self._plot_file(file, self.axes_[top : top + n])
            top += n
        return self

    def _plot_file(self, file: FilePrediction, axes: np.ndarray) -> None:
        page = axes[0, 0]
        if len(axes) > 1:  # the page extends over the rows of its digits
            first, last = (ax.get_subplotspec() for ax in (axes[0, 0], axes[-1, 0]))
            grid = first.get_gridspec()
            page.set_subplotspec(grid[first.rowspan.start : last.rowspan.stop, 0])
            page.set_anchor("N")
        title = escape_label(_shorten_name(file.name))
        if len(file.inputs) > 1:
            labels = [str(self.classes[p.argmax()]) for p in file.probabilities]
            title += "\n" + _shorten("".join(labels))
        page.set_title(title, fontsize="small")
        if file.page is not None:
            pixels = file.page if file.page.ndim == 2 else file.page.transpose(2, 0, 1)
            show_image(page, pixels, limits=(0, 255))
            for k, box in enumerate(file.boxes, start=1):
                _draw_box(page, box, k if len(file.boxes) > 1 else None)
        if file.error is not None:
            lines = textwrap.wrap(file.error, 44, max_lines=8, placeholder=" …")
            reason = "\n".join(map(escape_label, lines))
            text = axes[0, 1].text(0, 0.5, reason, va="center", fontsize="small")
            text.set_in_layout(False)  # it extends over the column of the probabilities
        for k, image in enumerate(file.inputs):
            number = f"digit {k + 1}, " if len(file.inputs) > 1 else ""
            title = f"{number}input {image.shape[1]}x{image.shape[2]}"
            show_image(axes[k, 1], image, title=title, limits=self.limits)
            self._plot_probabilities(axes[k, 2], file.probabilities[k])

    def _plot_probabilities(self, ax, probabilities: np.ndarray) -> None:
        order = np.argsort(-probabilities, kind="stable")
        best = order[0]
        # All classes in their order or, of many, the most probable ones.
        shown = order[:_MAX_BARS] if len(order) > _MAX_BARS else np.sort(order)
        ax.set_axis_on()
        positions = np.arange(len(shown))
        colors = ["C0" if k == best else "0.6" for k in shown]
        ax.barh(positions, probabilities[shown], color=colors)
        labels = [_shorten(self.classes[k]) for k in shown]
        ax.set_yticks(positions, labels, fontsize="x-small")
        ax.invert_yaxis()
        ax.set(xlim=(0, 1), xticks=[])
        ax.spines[["top", "right", "bottom"]].set_visible(False)
        title = f"{_shorten(self.classes[best])} ({probabilities[best]:.3f})"
        # A long label extends to the left, over the labels of the bars.
        ax.set_title(title, loc="right", fontsize="medium", fontweight="bold")


def _predict_file(classifier, path, framing: str, always: bool) -> FilePrediction:
    """Read a file and classify it; an error becomes part of the result."""
    shape, canvas = classifier.image_shape_, classifier.canvas_
    page, boxes = _read_page(path, shape, framing, always)
    try:
        pixels = read_digits(path, shape, framing=framing, always=always)
    except ValueError as error:
        reason = str(error).removeprefix(f"{make_printable(path)}: ")
        no_inputs = np.zeros((0, *canvas.shape))
        no_probabilities = np.zeros((0, len(classifier.classes_)))
        return FilePrediction(str(path), page, boxes, no_inputs, no_probabilities, reason)
    X = canvas.from_bytes(pixels)
    with torch.inference_mode():
        inputs = canvas(as_tensor(X)).numpy()
    return FilePrediction(str(path), page, boxes, inputs, classifier.predict_proba(X), None)


def _read_page(path, shape, framing: str, always: bool) -> tuple[np.ndarray | None, list]:
    """Return the image in a file, reduced, and the boxes of the digits found in it."""
    try:
        page = decode_image(path, shape[0])
    except ValueError:
        return None, []
    boxes: list = []
    is_framed = always or framing == "line" or page.shape != tuple(shape[1:])
    if framing != "whole" and is_framed and page.ndim == 2:
        with contextlib.suppress(ValueError):  # `read_digits` reports the reason
            boxes = locate_digits(page)
    factor = min(1.0, _PAGE_SIDE / max(page.shape[:2]))
    if factor < 1:
        size = [max(1, round(side * factor)) for side in page.shape[1::-1]]
        page = np.asarray(Image.fromarray(page).resize(size, Image.Resampling.BOX))
        boxes = [tuple(factor * side for side in box) for box in boxes]
    return page, boxes


def _draw_box(ax, box: tuple, number: int | None) -> None:
    from matplotlib.patches import Rectangle

    left, top, width, height = box
    # Pixels are centred on whole numbers.
    corner = (left - 0.5, top - 0.5)
    ax.add_patch(
        Rectangle(corner, width, height, fill=False, edgecolor="C3", linewidth=1.5)
    )
    if number is not None:
        ax.text(*corner, str(number), color="C3", fontsize="small", va="bottom")


def _shorten(label) -> str:
    """Return a class label, or the beginning of a long one."""
    text = str(label)
    text = text if len(text) <= _MAX_LABEL else f"{text[: _MAX_LABEL - 1]}…"
    return escape_label(text)


def _shorten_name(name: str) -> str:
    """Return the end of a long path, which tells the files of a folder apart."""
    return name if len(name) <= _MAX_NAME else f"…{name[1 - _MAX_NAME :]}"
