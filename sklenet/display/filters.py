"""The kernels of C1 and C3."""

import numpy as np

from sklenet.display.images import last_step, subdivide
from sklenet.network.lecun1998.layers import PartialConv2d


class FilterDisplay:
    """Kernels of a convolution: per map of its output, one per map of its input.

    Kernels of C1 for three colours are drawn as one, others in grey with 0 in the middle.
    Where two maps are not connected, nothing is.

    Parameters
    ----------
    kernels : ndarray of shape (n_maps, n_inputs, height, width)
        NaN where there is none.
    name : str, default="C1"
        Of the layer.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What is divided.
    axes_ : ndarray of matplotlib Axes
        For C1, in rows of maps; for C3, and for C1 with another number of channels than 1
        or 3, a row for each input map and a column for each output map.
    figure_ : matplotlib Figure
    """

    def __init__(self, kernels, *, name="C1"):
        self.kernels = np.asarray(kernels, dtype=float)
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, layer="C1", ax=None):
        """Plot the kernels of a fitted LeNet5Classifier, or of a pipeline with one.

        Parameters
        ----------
        estimator : LeNet5Classifier or Pipeline
        layer : {"C1", "C3"}, default="C1"
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        FilterDisplay
        """
        if layer not in ("C1", "C3"):
            raise ValueError(f"The 'layer' is {layer!r}, but must be 'C1' or 'C3'.")
        convolution = last_step(estimator).module_.layers()[layer]
        if isinstance(convolution, PartialConv2d):
            kernels = np.full(convolution.shape, np.nan)
            flat = kernels.reshape(-1, *convolution.shape[2:])
            flat[convolution.index.cpu().numpy()] = convolution.weight.detach().cpu()
        else:
            kernels = convolution.weight.detach().cpu().numpy()
        return cls(kernels, name=layer).plot(ax)

    def plot(self, ax=None, *, n_columns=6):
        """Draw the kernels; maps of one input, or of colours.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.
        n_columns : int, default=6
            Of kernels of one input, or of colours.

        Returns
        -------
        FilterDisplay
            Itself.
        """
        n_maps, n_inputs = self.kernels.shape[:2]
        scale = np.nanmax(np.abs(self.kernels)) or 1.0
        one_each = self.name == "C1" and n_inputs in (1, 3)
        if one_each:
            n_columns = min(n_columns, n_maps)
            n_rows = -(-n_maps // n_columns)
        else:
            n_rows, n_columns = n_inputs, n_maps
        size = (0.5 + 0.7 * n_columns, 0.6 + 0.7 * n_rows)
        self.ax_, self.axes_ = subdivide(ax, n_rows, n_columns, size)
        self.figure_ = self.ax_.figure
        for k, kernels in enumerate(self.kernels):
            if one_each:
                _draw(self.axes_.flat[k], kernels, scale)
                continue
            for m, kernel in enumerate(kernels):
                _draw(self.axes_[m, k], kernel[None], scale)
        self.axes_[0, 0].set_title(self.name, fontsize="medium", loc="left")
        return self


def _draw(ax, kernels, scale) -> None:
    if np.isnan(kernels).any():
        return
    if len(kernels) == 3:
        ax.imshow(0.5 + kernels.transpose(1, 2, 0) / (2 * scale))
    else:
        ax.imshow(kernels[0], cmap="gray", vmin=-scale, vmax=scale)
