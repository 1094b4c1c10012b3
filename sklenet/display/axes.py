"""Axes, grids of axes, images, labels and legends of the displays."""

import numpy as np

from sklenet._utils.printable import make_printable


def make_axes(ax=None, figsize=None):
    """Return `ax`, or the axes of a new figure if `ax` is None."""
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    return ax


def make_grid(ax, n_rows, n_columns, figsize, **gridspec):
    """Divide axes into a grid of axes without frames and ticks.

    Parameters
    ----------
    ax : matplotlib Axes or None
        The axes to divide. If `None`, a new figure and axes are created.
    n_rows, n_columns : int
        Number of rows and columns of the grid.
    figsize : tuple of float (width, height)
        Size of a new figure in inches.
    **gridspec
        Additional parameters of matplotlib's ``GridSpec``.

    Returns
    -------
    ax : matplotlib Axes
        The axes that have been divided.
    axes : ndarray of matplotlib Axes of shape (n_rows, n_columns)
    """
    ax = make_axes(ax, figsize)
    ax.set_axis_off()
    position = ax.get_subplotspec()
    if position is None:  # the axes are not part of a grid, as after `Figure.add_axes`
        box = ax.get_position()
        gridspec |= {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
        grid = ax.figure.add_gridspec(n_rows, n_columns, **gridspec)
    else:
        grid = position.subgridspec(n_rows, n_columns, **gridspec)
    axes = grid.subplots(squeeze=False)
    for cell in axes.flat:
        cell.set_axis_off()
    return ax, axes


def rescale(image) -> np.ndarray:
    """Scale an image linearly to the range from 0 to 1; a constant image becomes 0."""
    low, high = image.min(), image.max()
    return (image - low) / ((high - low) or 1.0)


def show_image(ax, image, *, title=None, title_color="k", limits=(None, None)) -> None:
    """Draw an image, in grey or in colour.

    Parameters
    ----------
    ax : matplotlib Axes
    image : array-like of shape (h, w) or (c, h, w)
        Images of three channels are drawn in colour. Other images are drawn in grey, by
        their first channel.
    title : str, default=None
        Text above the image.
    title_color : str, default="k"
        Color of the title.
    limits : tuple of float (low, high), default=(None, None)
        Pixel values that are drawn black and white. By default the minimum and maximum of
        the image.
    """
    image = np.asarray(image)
    if image.ndim == 3:
        image = image.transpose(1, 2, 0) if len(image) == 3 else image[0]
    if image.ndim == 3 and image.dtype.kind == "f":
        image = rescale(image)
    low, high = limits
    ax.imshow(image, cmap="gray", interpolation="nearest", vmin=low, vmax=high)
    if title is not None:
        ax.set_title(title, fontsize="small", color=title_color)


def escape_label(name) -> str:
    r"""Escape a name so that matplotlib displays it literally.

    matplotlib interprets text between two dollar signs as a formula, and raises an error if
    it is not a valid one. Control characters would make an SVG file invalid XML.

    Parameters
    ----------
    name : object
        A name, such as a class label.

    Returns
    -------
    str
    """
    return make_printable(str(name)).replace("$", r"\$")


def add_legend(parent, lines, **options):
    """Add a legend of lines under their own labels.

    By itself, matplotlib omits labels that begin with an underscore.

    Parameters
    ----------
    parent : matplotlib Axes or Figure
    lines : list of matplotlib Artist
    **options
        Additional parameters of matplotlib's ``legend``.

    Returns
    -------
    matplotlib Legend
    """
    legend = parent.legend(lines, [str(k) for k in range(len(lines))], **options)
    for text, line in zip(legend.get_texts(), lines, strict=True):
        text.set_text(line.get_label())
    return legend


def update_legend(ax, lines):
    """Add a legend of the labelled artists of the axes and of `lines`.

    Parameters
    ----------
    ax : matplotlib Axes
    lines : list of matplotlib Artist
        Artists that appear in the legend whatever their labels.

    Returns
    -------
    matplotlib Legend
    """
    others, _ = ax.get_legend_handles_labels()
    return add_legend(ax, [*(line for line in others if line not in lines), *lines])
