"""Misclassified images."""

import math

import numpy as np

from sklenet.display.axes import escape_label, make_grid, show_image
from sklenet.display.inputs import reshape_to_images


class MisclassifiedDisplay:
    """Misclassified images with their true and predicted labels.

    It is recommended to use :meth:`from_estimator` to create a `MisclassifiedDisplay`. All
    parameters are stored as attributes.

    Parameters
    ----------
    images : array-like of shape (n, h, w) or (n, c, h, w)
        The misclassified images.
    y_true : array-like of shape (n,)
        True labels.
    y_pred : array-like of shape (n,)
        Predicted labels.
    probabilities : array-like of shape (n,), default=None
        Predicted probability of the predicted label of each image. If `None`, the
        probabilities are not shown.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that contain the grid of images.
    axes_ : ndarray of matplotlib Axes of shape (n_rows, n_columns)
        Axes of the individual images.
    figure_ : matplotlib Figure
        Figure containing the images.
    """

    def __init__(self, images, y_true, y_pred, probabilities=None):
        self.images = np.asarray(images)
        self.y_true = y_true
        self.y_pred = y_pred
        self.probabilities = probabilities

    @classmethod
    def from_estimator(cls, estimator, X, y, *, n_images=24, ax=None):
        """Plot the misclassified images with the highest predicted probabilities.

        Parameters
        ----------
        estimator : estimator instance
            Fitted classifier with `predict_proba`, or a fitted pipeline in which the last
            step is one.
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            Images.
        y : array-like of shape (n,)
            True labels.
        n_images : int, default=24
            Maximum number of images to show.
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.MisclassifiedDisplay`
            Object that stores the images and labels.
        """
        probabilities = estimator.predict_proba(X)
        y_pred = estimator.classes_[probabilities.argmax(axis=1)]
        confidence = probabilities.max(axis=1)
        y = np.asarray(y)
        wrong = np.flatnonzero(y_pred != y)
        wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:n_images]
        images = reshape_to_images(np.asarray(X)[wrong], estimator)
        return cls(images, y[wrong], y_pred[wrong], confidence[wrong]).plot(ax)

    def plot(self, ax=None, *, n_columns=8):
        """Plot the images in a grid, each below its true and its predicted label.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.
        n_columns : int, default=8
            Number of images per row.

        Returns
        -------
        display : :class:`~sklenet.display.MisclassifiedDisplay`
            Object that stores the images and labels.
        """
        n_rows = max(1, math.ceil(len(self.images) / n_columns))
        figsize = (1.1 * n_columns, 1.6 * n_rows)
        self.ax_, self.axes_ = make_grid(ax, n_rows, n_columns, figsize)
        self.figure_ = self.ax_.figure
        for k, image in enumerate(self.images):
            title = f"{escape_label(self.y_true[k])}\nas {escape_label(self.y_pred[k])}"
            if self.probabilities is not None:
                title += f" {self.probabilities[k]:.2f}"
            show_image(self.axes_.flat[k], image, title=title)
        return self
