"""Images and their negatives."""

import numpy as np

from sklenet.display.axes import escape_label, make_grid, show_image
from sklenet.display.inputs import reshape_to_images, restore_columns
from sklenet.preprocessing import Inverter


class NegativeDisplay:
    """Images and their negatives, each with its predicted label.

    It is recommended to use :meth:`from_estimator` to create a `NegativeDisplay`. All
    parameters are stored as attributes.

    Parameters
    ----------
    images : ndarray of shape (n, h, w) or (n, c, h, w)
        Images.
    negatives : ndarray of shape (n, h, w) or (n, c, h, w)
        Negatives of the images.
    y_pred : array-like of shape (n,)
        Predicted labels of the images.
    y_pred_negatives : array-like of shape (n,)
        Predicted labels of the negatives.
    y_true : array-like of shape (n,), default=None
        True labels. If given, wrong predictions are shown in red.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that contain the grid of images.
    axes_ : ndarray of matplotlib Axes of shape (2, n)
        Axes of the individual images.
    figure_ : matplotlib Figure
        Figure containing the images.
    """

    def __init__(self, images, negatives, y_pred, y_pred_negatives, y_true=None):
        self.images = images
        self.negatives = negatives
        self.y_pred = y_pred
        self.y_pred_negatives = y_pred_negatives
        self.y_true = y_true

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, maximum=None, ax=None):
        """Plot images and their negatives, with the predictions of a classifier.

        Parameters
        ----------
        estimator : estimator instance
            Fitted classifier, or a fitted pipeline in which the last step is a classifier.
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            Images. They are shown in one row, so there should be only a few.
        y : array-like of shape (n,), default=None
            True labels. If given, wrong predictions are shown in red.
        maximum : float, default=None
            Pixel value of the negative of a black pixel. If `None`, the maximum of X.
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.NegativeDisplay`
            Object that stores the images and predictions.
        """
        negatives = Inverter(maximum=maximum).fit_transform(np.asarray(X))
        return cls(
            reshape_to_images(X, estimator),
            reshape_to_images(negatives, estimator),
            estimator.predict(X),
            estimator.predict(restore_columns(X, negatives)),
            y,
        ).plot(ax)

    def plot(self, ax=None):
        """Plot the images in the first row and the negatives in the second.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.NegativeDisplay`
            Object that stores the images and predictions.
        """
        n = len(self.images)
        self.ax_, self.axes_ = make_grid(ax, 2, n, (1.1 * n, 2.8))
        self.figure_ = self.ax_.figure
        y_true = [None] * n if self.y_true is None else np.asarray(self.y_true)
        limits = np.min(self.images), np.max(self.images)
        rows = [(self.images, self.y_pred), (self.negatives, self.y_pred_negatives)]
        for axes, (images, y_pred) in zip(self.axes_, rows, strict=True):
            for k, ax_image in enumerate(axes):
                is_wrong = self.y_true is not None and y_pred[k] != y_true[k]
                show_image(
                    ax_image,
                    images[k],
                    title=escape_label(y_pred[k]),
                    title_color="r" if is_wrong else "k",
                    limits=limits,
                )
        return self
