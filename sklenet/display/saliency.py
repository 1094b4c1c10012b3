"""Saliency maps: the pixels that a prediction depends on."""

import numpy as np
import torch

from sklenet.display.axes import escape_label, make_grid, show_image
from sklenet.display.inputs import split_pipeline
from sklenet.images.shapes import to_images
from sklenet.network.losses import compute_log_probabilities
from sklenet.training.batches import as_tensor
from sklenet.training.runtime import library_state


class SaliencyDisplay:
    """Images and, below each, a map of how much each pixel contributes to a class.

    It is recommended to use :meth:`from_estimator` to create a `SaliencyDisplay`. All
    parameters are stored as attributes.

    Parameters
    ----------
    images : ndarray of shape (n, c, h, w)
        Images with pixel values from 0 to 1.
    saliency : ndarray of shape (n, h, w)
        Saliency of each pixel.
    classes : array-like of shape (n,)
        Class whose probability each saliency map explains.
    method : {"occlusion", "gradient"}
        Method by which the saliency was computed.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that contain the grid of images.
    axes_ : ndarray of matplotlib Axes of shape (2, n)
        Axes of the images and of the saliency maps.
    figure_ : matplotlib Figure
        Figure containing the images.
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
        """Plot the saliency maps of a fitted estimator.

        Parameters
        ----------
        estimator : LeNet5Classifier or Pipeline
            Fitted classifier, or a fitted pipeline in which the last step is one. The
            saliency is computed for the images as transformed by the preceding steps, and
            for each image alone, without the other `views` of the classifier.
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            Images. They are shown in one row, so there should be only a few.
        method : {"occlusion", "gradient"}, default="occlusion"
            Method by which the saliency is computed.

            - "occlusion": the decrease of the log-probability of the class when a window
              of the image is filled with background, averaged over all windows that
              contain the pixel (Zeiler and Fergus, 2014).
            - "gradient": the absolute derivative of the log-probability with respect to
              the pixel, the maximum over the channels (Simonyan et al., 2014).
        classes : array-like of shape (n,), default=None
            Class to explain for each image. If `None`, the predicted class.
        window : int, default=None
            Side length of the window in pixels, for "occlusion". If `None`, a quarter of
            the image's smaller side, but at least 2.
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.SaliencyDisplay`
            Object that stores the images and saliency maps.
        """
        if method not in ("occlusion", "gradient"):
            raise ValueError(
                "The 'method' parameter of SaliencyDisplay.from_estimator must be one of"
                f" {{'occlusion', 'gradient'}}. Got {method!r} instead."
            )
        classes = estimator.predict(X) if classes is None else np.asarray(classes)
        classifier, X = split_pipeline(estimator, X)
        X = np.asarray(X)
        X = X.reshape(len(X), -1)
        unknown = sorted(set(classes.tolist()) - set(classifier.classes_.tolist()))
        if unknown:
            raise ValueError(
                "The 'classes' parameter of SaliencyDisplay.from_estimator must contain"
                f" only classes seen during fit. Got {unknown[0]!r}."
            )
        network = classifier.to_torch()
        columns = np.searchsorted(classifier.classes_, classes)
        saliency = [
            _compute_occlusion(classifier, network, row, column, window)
            if method == "occlusion"
            else _compute_gradient(classifier, network, row, column)
            for row, column in zip(X, columns, strict=True)
        ]
        low, high = classifier.pixel_range_
        images = (to_images(X, classifier.image_shape_) - low) / ((high - low) or 1)
        return cls(images.clip(0, 1), np.array(saliency), classes, method).plot(ax)

    def plot(self, ax=None):
        """Plot the images in the first row and the saliency maps in the second.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.SaliencyDisplay`
            Object that stores the images and saliency maps.
        """
        n = len(self.images)
        self.ax_, self.axes_ = make_grid(ax, 2, n, (1.3 * n, 3.0))
        self.figure_ = self.ax_.figure
        for k, (ax_image, ax_saliency) in enumerate(self.axes_.T):
            show_image(ax_image, self.images[k], title=escape_label(self.classes[k]))
            ax_saliency.imshow(self.saliency[k], cmap="magma")
        self.axes_[1, 0].set_title(self.method, fontsize="small", loc="left")
        return self


def _compute_occlusion(classifier, network, row, column, window) -> np.ndarray:
    """Return the mean decrease of a log-probability over the windows at each pixel."""
    (image,) = to_images(row[None], classifier.image_shape_)
    _, height, width = image.shape
    side = window or max(2, min(height, width) // 4)
    windows = [
        (slice(max(0, i), i + side), slice(max(0, j), j + side))
        for i in range(1 - side, height)
        for j in range(1 - side, width)
    ]
    # Pixels that are not scaled are placed on a canvas of zeros.
    background = 0 if classifier.feature_range is None else classifier.pixel_range_[0]
    images = np.repeat(image[None], len(windows) + 1, axis=0)
    for occluded, (rows, columns) in zip(images[1:], windows, strict=True):
        occluded[:, rows, columns] = background
    X = images.reshape(len(images), -1)[:, : len(row)]
    with torch.inference_mode():
        log_probabilities = _compute_log_probabilities(network, as_tensor(X))
    original, *values = log_probabilities[:, column].tolist()
    decrease, n_windows = np.zeros((height, width)), np.zeros((height, width))
    for value, (rows, columns) in zip(values, windows, strict=True):
        decrease[rows, columns] += original - value
        n_windows[rows, columns] += 1
    return decrease / n_windows


def _compute_gradient(classifier, network, row, column) -> np.ndarray:
    """Return the absolute derivative of a log-probability with respect to each pixel."""
    pixels = torch.tensor(row[None].astype(float), requires_grad=True)
    _compute_log_probabilities(network, pixels)[0, column].backward()
    assert pixels.grad is not None
    (gradient,) = to_images(pixels.grad.abs().numpy(), classifier.image_shape_)
    return gradient.max(axis=0)


def _compute_log_probabilities(network, pixels) -> torch.Tensor:
    """Return log-probabilities that are accurate even for probabilities of 0 and 1."""
    outputs = network.network(network.canvas(pixels)).double()
    return compute_log_probabilities(network.criterion, outputs).log_softmax(dim=1)
