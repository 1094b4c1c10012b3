"""Which pixels a guess rests on."""

import numpy as np
import torch

from sklenet.display.images import show_image, subdivide, to_classifier
from sklenet.display.text import as_label
from sklenet.images.shapes import to_images
from sklenet.network.losses import log_probabilities
from sklenet.training.batches import as_tensor
from sklenet.training.runtime import library_state


class SaliencyDisplay:
    """Images, and under each how much every pixel matters for a class.

    Parameters
    ----------
    images : ndarray of shape (n, c, h, w)
        From 0 to 1.
    saliency : ndarray of shape (n, h, w)
    classes : array-like of shape (n,)
        The class each is about.
    method : {"occlusion", "gradient"}

    Attributes
    ----------
    ax_ : matplotlib Axes
        What is divided.
    axes_ : ndarray of matplotlib Axes of shape (2, n)
    figure_ : matplotlib Figure
    """

    def __init__(self, images, saliency, classes, method):
        self.images = images
        self.saliency = saliency
        self.classes = classes
        self.method = method

    @classmethod
    @library_state()
    def from_estimator(
        cls, estimator, X, *, method="occlusion", classes=None, window=None, ax=None
    ):
        """Plot what the guesses of a fitted LeNet5Classifier, or a pipeline, rest on.

        Parameters
        ----------
        estimator : LeNet5Classifier or Pipeline
            A pipeline's steps are applied first; saliency is of what comes of them.
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            A few images.
        method : {"occlusion", "gradient"}, default="occlusion"
            "occlusion": by how much the class' log-probability falls, on average over all
            windows that cover the pixel, when a window is filled with background
            (Zeiler and Fergus, 2014). "gradient": the absolute derivative of the
            log-probability by the pixel, the largest of its colours' (Simonyan et al.,
            2014).
        classes : array-like of shape (n,), default=None
            The class of each image to be explained; None: the guess.
        window : int, default=None
            The side of the window; None: a quarter of the image's.
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        SaliencyDisplay
        """
        given = X
        classifier, X = to_classifier(estimator, X)
        X = np.asarray(X)
        rows = X.reshape(len(X), -1)
        guesses = estimator.predict(given) if classes is None else np.asarray(classes)
        unknown = sorted(set(guesses.tolist()) - set(classifier.classes_.tolist()))
        if unknown:
            raise ValueError(f"The 'classes' have {unknown[0]!r}, which was not learnt.")
        targets = np.searchsorted(classifier.classes_, guesses)
        if method == "occlusion":
            make = _occlusion
        elif method == "gradient":
            make = _gradient
        else:
            raise ValueError(
                f"The 'method' is {method!r}, but must be 'occlusion' or 'gradient'."
            )
        network = classifier.to_torch()
        saliency = np.array(
            [
                make(classifier, network, row, k, window)
                for row, k in zip(rows, targets, strict=True)
            ]
        )
        low, high = classifier.pixel_range_
        images = (to_images(rows, classifier.image_shape_) - low) / ((high - low) or 1)
        return cls(images.clip(0, 1), saliency, guesses, method).plot(ax)

    def plot(self, ax=None):
        """Draw the images in the upper row, what matters, bright, in the lower.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        SaliencyDisplay
            Itself.
        """
        n = len(self.images)
        self.ax_, self.axes_ = subdivide(ax, 2, n, (1.3 * n, 3.0))
        self.figure_ = self.ax_.figure
        for k in range(n):
            show_image(self.axes_[0, k], self.images[k])
            self.axes_[0, k].set_title(as_label(self.classes[k]), fontsize="small")
            self.axes_[1, k].imshow(self.saliency[k], cmap="magma")
        self.axes_[1, 0].set_title(self.method, fontsize="small", loc="left")
        return self


def _occlusion(classifier, network, row, target, window):
    (image,) = to_images(row[None], classifier.image_shape_)
    _, height, width = image.shape
    side = window or max(2, min(height, width) // 4)
    covered = np.zeros((height, width))
    fall = np.zeros((height, width))
    plain = classifier.feature_range is None  # pixels as they are, on a background of 0
    background = 0 if plain else classifier.pixel_range_[0]
    places = [
        (slice(max(0, i), i + side), slice(max(0, j), j + side))
        for i in range(1 - side, height)
        for j in range(1 - side, width)
    ]
    occluded = np.repeat(image[None], len(places) + 1, axis=0)
    for changed, (rows, columns) in zip(occluded[1:], places, strict=True):
        changed[:, rows, columns] = background
    rows_of = occluded.reshape(len(occluded), -1)[:, : len(row)]
    with torch.inference_mode():
        logs = _log_probabilities(network, as_tensor(rows_of))
    before, *after = logs[:, target].tolist()
    for value, place in zip(after, places, strict=True):
        fall[place] += before - value
        covered[place] += 1
    return fall / covered


def _gradient(classifier, network, row, target, window):
    pixels = torch.tensor(row[None].astype(float), requires_grad=True)
    _log_probabilities(network, pixels)[0, target].backward()
    assert pixels.grad is not None
    (slopes,) = to_images(pixels.grad.abs().numpy(), classifier.image_shape_)
    return slopes.max(axis=0)


def _log_probabilities(network, pixels) -> torch.Tensor:
    """Return log-probabilities that are exact where probabilities are 0 or 1."""
    outputs = network.network(network.canvas(pixels)).double()
    return log_probabilities(network.criterion, outputs).log_softmax(dim=1)
