"""Mistakes."""

import numpy as np

from sklenet.display.images import as_images, show_image, subdivide
from sklenet.display.text import as_label


class MisclassifiedDisplay:
    """Images that a classifier got wrong, with its guesses.

    Parameters
    ----------
    images : array-like of shape (n, h, w) or (n, c, h, w)
    labels : array-like of shape (n,)
        What they are.
    guesses : array-like of shape (n,)
        What they were taken for.
    probabilities : array-like of shape (n,), default=None
        How sure the classifier was.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What is divided.
    axes_ : ndarray of matplotlib Axes
        One per image.
    figure_ : matplotlib Figure
    """

    def __init__(self, images, labels, guesses, probabilities=None):
        self.images = np.asarray(images)
        self.labels = labels
        self.guesses = guesses
        self.probabilities = probabilities

    @classmethod
    def from_estimator(cls, estimator, X, y, *, n_images=24, ax=None):
        """Plot the mistakes that a fitted classifier is most sure of.

        Parameters
        ----------
        estimator : fitted classifier
            With `predict_proba`; a pipeline too.
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
        y : array-like of shape (n,)
        n_images : int, default=24
            How many to show at most.
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        MisclassifiedDisplay
        """
        probabilities = estimator.predict_proba(X)
        guesses = estimator.classes_[probabilities.argmax(axis=1)]
        certainty = probabilities.max(axis=1)
        y = np.asarray(y)
        wrong = np.flatnonzero(guesses != y)
        wrong = wrong[np.argsort(-certainty[wrong], kind="stable")][:n_images]
        images = as_images(np.asarray(X)[wrong], estimator)
        return cls(images, y[wrong], guesses[wrong], certainty[wrong]).plot(ax)

    def plot(self, ax=None, *, n_columns=8):
        """Draw the images in rows, each under "label, guess".

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.
        n_columns : int, default=8
            Of images.

        Returns
        -------
        MisclassifiedDisplay
            Itself.
        """
        n_rows = max(1, -(-len(self.images) // n_columns))
        size = (1.1 * n_columns, 1.6 * n_rows)
        self.ax_, self.axes_ = subdivide(ax, n_rows, n_columns, size)
        self.figure_ = self.ax_.figure
        for k, image in enumerate(self.images):
            show_image(self.axes_.flat[k], image)
            title = f"{as_label(self.labels[k])}\nas {as_label(self.guesses[k])}"
            if self.probabilities is not None:
                title += f" {self.probabilities[k]:.2f}"
            self.axes_.flat[k].set_title(title, fontsize="small")
        return self
