"""What each layer makes of an image: the picture that LeNet-5 is known by."""

import numpy as np
import torch

from sklenet.display.images import subdivide, to_classifier
from sklenet.network.losses import log_probabilities
from sklenet.training.batches import as_tensor
from sklenet.training.runtime import library_state


class FeatureMapDisplay:
    """One image on its way through the network, from the canvas to the probabilities.

    Parameters
    ----------
    maps : dict of str to ndarray
        Per layer, in order: maps of shape (n, height, width), or units of shape (n,).
    probabilities : ndarray of shape (n_classes,)
    classes : ndarray of shape (n_classes,)

    Attributes
    ----------
    ax_ : matplotlib Axes
        What is divided.
    axes_ : ndarray of matplotlib Axes
        One per layer, and one for the probabilities.
    figure_ : matplotlib Figure
    """

    def __init__(self, maps, probabilities, classes):
        self.maps = maps
        self.probabilities = probabilities
        self.classes = classes

    @classmethod
    @library_state()
    def from_estimator(cls, estimator, x, *, ax=None):
        """Plot what a fitted LeNet5Classifier, or a pipeline with one, makes of an image.

        Parameters
        ----------
        estimator : LeNet5Classifier or Pipeline
        x : array-like of shape (features,), (h, w), (c, h, w), or as one row of X
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        FeatureMapDisplay
        """
        classifier, X = to_classifier(estimator, one_row(estimator, x))
        network = classifier.to_torch()
        with torch.inference_mode():
            signal = network.canvas(as_tensor(np.asarray(X).reshape(1, -1)))
            maps = {"input": signal[0]}
            for name, layer in network.network.layers().items():
                signal = layer(signal)
                shown, _, part = name.partition("_")
                # After their activation, which the paper counts as a part of the layer.
                if part == "activation" or name in ("S2", "S4"):
                    maps[shown] = signal[0]
            probabilities = log_probabilities(network.criterion, signal).softmax(dim=1)
        return cls(
            {name: values.numpy() for name, values in maps.items()},
            probabilities[0].numpy(),
            classifier.classes_,
        ).plot(ax)

    def plot(self, ax=None):
        """Draw a column per layer: maps as images, units as small squares.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        FeatureMapDisplay
            Itself.
        """
        drawn = {name: _drawing(name, values) for name, values in self.maps.items()}
        widths = [image.shape[1] / image.shape[0] for image in drawn.values()]
        size = (2.6 * (sum(widths) + 1.4), 3.0)
        self.ax_, axes = subdivide(ax, 1, len(drawn) + 1, size, width_ratios=[*widths, 0.8])
        self.axes_, self.figure_ = axes[0], self.ax_.figure
        for part, (name, image) in zip(self.axes_, drawn.items(), strict=False):
            part.imshow(image, cmap="gray", interpolation="nearest")
            shape = self.maps[name].shape
            is_maps = len(shape) == 3
            units = f"{shape[0]}@{shape[1]}x{shape[2]}" if is_maps else shape[0]
            part.set_title(f"{name}\n{units}", fontsize="small")
        last = self.axes_[-1]
        last.set_axis_on()
        places = np.arange(len(self.classes))
        last.barh(places, self.probabilities, color="0.3")
        last.set_yticks(places, self.classes, fontsize="small")
        last.invert_yaxis()
        last.set(xlim=(0, 1), xticks=[0, 1])
        last.set_title("probability\n", fontsize="small")
        return self


def _drawing(name: str, values: np.ndarray) -> np.ndarray:
    """Return what is drawn of a layer, as one image."""
    if name == "input":
        values = _bright(values)
        return values[0] if len(values) != 3 else values.transpose(1, 2, 0)
    if values.ndim == 1:
        n_columns = 12 if len(values) > 200 else 6
        images, gap = values[:, None, None], 0
    else:
        n_columns = 2 if len(values) <= 8 else 3
        images, gap = np.array([_bright(image) for image in values]), 1
    n, height, width = images.shape
    n_rows = -(-n // n_columns)
    mosaic = np.full((n_rows * (height + gap), n_columns * (width + gap)), np.nan)
    for k, image in enumerate(images):
        top, left = k // n_columns * (height + gap), k % n_columns * (width + gap)
        mosaic[top : top + height, left : left + width] = image
    return mosaic[: -gap or None, : -gap or None]


def _bright(image: np.ndarray) -> np.ndarray:
    """Return an image with its darkest pixel at 0 and its brightest at 1."""
    low, high = image.min(), image.max()
    return (image - low) / ((high - low) or 1.0)


def one_row(estimator, x):
    """Return an image as the only row of an X."""
    x = np.asarray(x)
    n_features = getattr(estimator, "n_features_in_", None)
    if n_features is not None and x.size != n_features:
        raise ValueError(
            f"One image is drawn, of {n_features} pixels; x has shape {x.shape}."
        )
    return x.reshape(1, -1)
