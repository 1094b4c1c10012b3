"""Images and their negatives."""

import numpy as np

from sklenet.display.images import as_images, like, show_image, subdivide
from sklenet.display.text import as_label
from sklenet.preprocessing import Inverter


class NegativeDisplay:
    """Images above their negatives, each with what it is taken for.

    Parameters
    ----------
    images, negatives : ndarray of shape (n, h, w) or (n, c, h, w)
    guesses, negative_guesses : array-like of shape (n,)
    labels : array-like of shape (n,), default=None
        What they are; wrong guesses are red.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What is divided.
    axes_ : ndarray of matplotlib Axes of shape (2, n)
    figure_ : matplotlib Figure
    """

    def __init__(self, images, negatives, guesses, negative_guesses, labels=None):
        self.images = images
        self.negatives = negatives
        self.guesses = guesses
        self.negative_guesses = negative_guesses
        self.labels = labels

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, maximum=None, ax=None):
        """Plot images, and what a fitted classifier takes them and their negatives for.

        Parameters
        ----------
        estimator : fitted classifier
            A pipeline too.
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            A few images.
        y : array-like of shape (n,), default=None
            What they are.
        maximum : float, default=None
            What black becomes in a negative; None takes the largest pixel of X.
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        NegativeDisplay
        """
        negatives = Inverter(maximum=maximum).fit_transform(np.asarray(X))
        return cls(
            as_images(X, estimator),
            as_images(negatives, estimator),
            estimator.predict(X),
            estimator.predict(like(X, negatives)),
            y,
        ).plot(ax)

    def plot(self, ax=None):
        """Draw the images in the upper row, the negatives in the lower.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        NegativeDisplay
            Itself.
        """
        n = len(self.images)
        self.ax_, self.axes_ = subdivide(ax, 2, n, (1.1 * n, 2.8))
        self.figure_ = self.ax_.figure
        rows = [(self.images, self.guesses), (self.negatives, self.negative_guesses)]
        limits = np.min(self.images), np.max(self.images)
        for axes, (images, guesses) in zip(self.axes_, rows, strict=True):
            for k, (part, image, guess) in enumerate(
                zip(axes, images, guesses, strict=True)
            ):
                show_image(part, image, limits)
                wrong = self.labels is not None and guess != np.asarray(self.labels)[k]
                part.set_title(
                    as_label(guess), fontsize="small", color="r" if wrong else "k"
                )
        return self
