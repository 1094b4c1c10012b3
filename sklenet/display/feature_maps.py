"""The feature maps of an image, layer by layer."""

import math

import numpy as np
import torch

from sklenet.display.axes import escape_label, make_grid, rescale
from sklenet.display.inputs import reshape_to_row, split_pipeline
from sklenet.network.losses import compute_log_probabilities
from sklenet.training.batches import as_tensor
from sklenet.training.runtime import library_state


class FeatureMapDisplay:
    """Feature maps and units of all layers for one image, and the class probabilities.

    It is recommended to use :meth:`from_estimator` to create a `FeatureMapDisplay`. All
    parameters are stored as attributes.

    Parameters
    ----------
    feature_maps : dict of str to ndarray
        Outputs by layer, from the input to the last hidden layer: feature maps of shape
        (n, height, width) or units of shape (n,).
    probabilities : ndarray of shape (n_classes,)
        Class probabilities that the network predicts for this image, without the other
        `views` of the classifier.
    classes : ndarray of shape (n_classes,)
        Class labels.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that contain the figures of all layers.
    axes_ : ndarray of matplotlib Axes of shape (n_layers + 1,)
        Axes of the layers and, last, of the class probabilities.
    figure_ : matplotlib Figure
        Figure containing the feature maps.
    """

    def __init__(self, feature_maps, probabilities, classes):
        self.feature_maps = feature_maps
        self.probabilities = probabilities
        self.classes = classes

    @classmethod
    @library_state()
    def from_estimator(cls, estimator, x, *, ax=None):
        """Plot the feature maps of a fitted estimator for one image.

        Parameters
        ----------
        estimator : LeNet5Classifier or Pipeline
            Fitted classifier, or a fitted pipeline in which the last step is one.
        x : array-like of shape (features,), (h, w), (c, h, w) or (1, features)
            One image.
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.FeatureMapDisplay`
            Object that stores the feature maps.
        """
        classifier, X = split_pipeline(estimator, reshape_to_row(estimator, x))
        network = classifier.to_torch()
        with torch.inference_mode():
            outputs = network.canvas(as_tensor(np.asarray(X).reshape(1, -1)))
            feature_maps = {"input": outputs[0].numpy()}
            for name, layer in network.network.layers().items():
                outputs = layer(outputs)
                layer_name, _, suffix = name.partition("_")
                # The paper counts the activation function as part of its layer.
                if suffix == "activation" or name in ("S2", "S4"):
                    feature_maps[layer_name] = outputs[0].numpy()
            log_probabilities = compute_log_probabilities(network.criterion, outputs)
            probabilities = log_probabilities.softmax(dim=1)[0].numpy()
        return cls(feature_maps, probabilities, classifier.classes_).plot(ax)

    def plot(self, ax=None):
        """Plot one column per layer: feature maps as images, units as small squares.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.FeatureMapDisplay`
            Object that stores the feature maps.
        """
        images = [_draw_layer(name, values) for name, values in self.feature_maps.items()]
        widths = [image.shape[1] / image.shape[0] for image in images]
        figsize = (2.6 * (sum(widths) + 1.4), 3.0)
        self.ax_, axes = make_grid(
            ax, 1, len(images) + 1, figsize, width_ratios=[*widths, 0.8]
        )
        self.axes_, self.figure_ = axes[0], self.ax_.figure
        for ax_layer, image, (name, values) in zip(
            self.axes_[:-1], images, self.feature_maps.items(), strict=True
        ):
            n, *size = values.shape
            shape = f"{n}@{size[0]}x{size[1]}" if size else n
            ax_layer.imshow(image, cmap="gray", interpolation="nearest")
            ax_layer.set_title(f"{name}\n{shape}", fontsize="small")
        self._plot_probabilities(self.axes_[-1])
        return self

    def _plot_probabilities(self, ax):
        ax.set_axis_on()
        positions = np.arange(len(self.classes))
        ax.barh(positions, self.probabilities, color="0.3")
        ax.set_yticks(positions, map(escape_label, self.classes), fontsize="small")
        ax.invert_yaxis()
        ax.set(xlim=(0, 1), xticks=[0, 1])
        ax.set_title("probability\n", fontsize="small")


def _draw_layer(name: str, values: np.ndarray) -> np.ndarray:
    """Return the outputs of a layer as one image."""
    if name == "input":
        values = rescale(values)
        return values.transpose(1, 2, 0) if len(values) == 3 else values[0]
    if values.ndim == 1:
        n_columns = 12 if len(values) > 200 else 6
        return _tile(values[:, None, None], n_columns, gap=0)
    n_columns = 2 if len(values) <= 8 else 3
    return _tile(np.array([rescale(image) for image in values]), n_columns, gap=1)


def _tile(images: np.ndarray, n_columns: int, gap: int) -> np.ndarray:
    """Return one image of several images (n, h, w) in rows, with NaN between them."""
    n, height, width = images.shape
    n_rows = math.ceil(n / n_columns)
    height, width = height + gap, width + gap
    tiles = np.full((n_rows * n_columns, height, width), np.nan)
    tiles[:n, : height - gap, : width - gap] = images
    grid = tiles.reshape(n_rows, n_columns, height, width).swapaxes(1, 2)
    mosaic = grid.reshape(n_rows * height, n_columns * width)
    return mosaic[: -gap or None, : -gap or None]
