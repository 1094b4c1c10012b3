"""The kernels of C1 and C3."""

import math

import numpy as np

from sklenet.display.axes import make_grid
from sklenet.display.inputs import get_final_estimator
from sklenet.network.lecun1998.layers import PartialConv2d


class FilterDisplay:
    """Kernels of a convolutional layer.

    Each output map has one kernel per input map. The three kernels of a map of C1 that
    takes RGB images are drawn as one RGB image. All other kernels are drawn in grey, with
    mid-grey for 0. Cells of unconnected maps are empty.

    It is recommended to use :meth:`from_estimator` to create a `FilterDisplay`. All
    parameters are stored as attributes.

    Parameters
    ----------
    kernels : ndarray of shape (n_maps, n_inputs, height, width)
        The kernels. Kernels of missing connections are NaN.
    name : str, default="C1"
        Name of the layer.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that contain the grid of kernels.
    axes_ : ndarray of matplotlib Axes of shape (n_rows, n_columns)
        Axes of the individual kernels. For C1 with 1 or 3 input channels, the cells are
        the output maps, row by row. Otherwise, each row is an input map and each column an
        output map.
    figure_ : matplotlib Figure
        Figure containing the kernels.
    """

    def __init__(self, kernels, *, name="C1"):
        self.kernels = np.asarray(kernels, dtype=float)
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, layer="C1", ax=None):
        """Plot the kernels of a fitted estimator.

        Parameters
        ----------
        estimator : LeNet5Classifier or Pipeline
            Fitted classifier, or a fitted pipeline in which the last step is one.
        layer : {"C1", "C3"}, default="C1"
            Convolutional layer whose kernels are plotted.
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.FilterDisplay`
            Object that stores the kernels.
        """
        if layer not in ("C1", "C3"):
            raise ValueError(
                "The 'layer' parameter of FilterDisplay.from_estimator must be one of"
                f" {{'C1', 'C3'}}. Got {layer!r} instead."
            )
        convolution = get_final_estimator(estimator).module_.layers()[layer]
        if isinstance(convolution, PartialConv2d):
            kernels = np.full(convolution.shape, np.nan)
            flat = kernels.reshape(-1, *convolution.shape[2:])
            flat[convolution.index.cpu().numpy()] = convolution.weight.detach().cpu()
        else:
            kernels = convolution.weight.detach().cpu().numpy()
        return cls(kernels, name=layer).plot(ax)

    def plot(self, ax=None, *, n_columns=6):
        """Plot the kernels in a grid.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.
        n_columns : int, default=6
            Maximum number of kernels per row for C1 with 1 or 3 input channels. Otherwise,
            there is one column per output map.

        Returns
        -------
        display : :class:`~sklenet.display.FilterDisplay`
            Object that stores the kernels.
        """
        n_maps, n_inputs = self.kernels.shape[:2]
        if self.name == "C1" and n_inputs in (1, 3):
            cells = list(self.kernels)
            n_columns = min(n_columns, n_maps)
        else:  # one row per input map
            cells = list(
                self.kernels.swapaxes(0, 1).reshape(-1, 1, *self.kernels.shape[2:])
            )
            n_columns = n_maps
        n_rows = math.ceil(len(cells) / n_columns)
        figsize = (0.5 + 0.7 * n_columns, 0.6 + 0.7 * n_rows)
        self.ax_, self.axes_ = make_grid(ax, n_rows, n_columns, figsize)
        self.figure_ = self.ax_.figure
        scale = np.nanmax(np.abs(self.kernels)) or 1.0
        for ax_kernel, kernel in zip(self.axes_.flat, cells, strict=False):
            _draw_kernel(ax_kernel, kernel, scale)
        self.axes_[0, 0].set_title(self.name, fontsize="medium", loc="left")
        return self


def _draw_kernel(ax, kernel, scale) -> None:
    """Draw a kernel of shape (1 or 3, h, w), unless it is one of a missing connection."""
    if np.isnan(kernel).any():
        return
    if len(kernel) == 3:
        ax.imshow(0.5 + kernel.transpose(1, 2, 0) / (2 * scale))
    else:
        ax.imshow(kernel[0], cmap="gray", vmin=-scale, vmax=scale)
