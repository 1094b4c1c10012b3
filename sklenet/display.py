"""Pictures by scikit-learn's Display conventions; matplotlib is imported to plot."""

import math

import numpy as np

from sklenet.images import infer_image_shape


class TrainingHistoryDisplay:
    """Training loss per epoch, with its range over several fits.

    Parameters
    ----------
    curves : dict of str to array-like of shape (n_fits, n_epochs)
        Per label, one curve per fit; a fit that ended early has NaN behind its last
        epoch.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
    """

    def __init__(self, curves):
        self.curves = {
            label: np.atleast_2d(np.asarray(rows, dtype=float))
            for label, rows in curves.items()
        }

    @classmethod
    def from_histories(cls, histories, *, metric="train_loss", ax=None):
        """Plot `metric` of several histories.

        Parameters
        ----------
        histories : dict of str to list of history
            Per label, the ``history_`` of each fit.
        metric : str, default="train_loss"
            A key of the histories' rows.
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        TrainingHistoryDisplay
        """
        curves = {}
        for label, fits in histories.items():
            rows = np.full((len(fits), max(map(len, fits))), np.nan)
            for row, history in zip(rows, fits, strict=True):
                row[: len(history)] = [epoch[metric] for epoch in history]
            curves[label] = rows
        return cls(curves).plot(ax=ax, ylabel=metric.replace("_", " "))

    @classmethod
    def from_estimator(cls, estimator, *, metric="train_loss", ax=None):
        """Plot `metric` of one fitted estimator's ``history_``."""
        histories = {type(estimator).__name__: [estimator.history_]}
        return cls.from_histories(histories, metric=metric, ax=ax)

    def plot(self, ax=None, *, ylabel="train loss"):
        """Draw the mean over fits as a line, and their range as a band."""
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots()
        self.lines_ = []
        for label, rows in self.curves.items():
            epochs = np.arange(1, rows.shape[1] + 1)
            name = f"{label} (n = {len(rows)})" if len(rows) > 1 else label
            self.lines_ += ax.plot(epochs, np.nanmean(rows, axis=0), label=name)
            if len(rows) > 1:
                low, high = np.nanmin(rows, axis=0), np.nanmax(rows, axis=0)
                colour = self.lines_[-1].get_color()
                ax.fill_between(epochs, low, high, alpha=0.2, color=colour)
        ax.set(xlabel="epoch", ylabel=ylabel, yscale="log")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
        self.ax_ = ax
        self.figure_ = ax.figure
        return self


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
    axes_ : ndarray of matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, images, labels, guesses, probabilities=None):
        self.images = np.asarray(images)
        self.labels = labels
        self.guesses = guesses
        self.probabilities = probabilities

    @classmethod
    def from_estimator(cls, estimator, X, y, *, n_images=24):
        """Plot the mistakes that a fitted classifier is most sure of.

        Parameters
        ----------
        estimator : fitted classifier
            With `predict_proba`; a pipeline too.
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
        y : array-like of shape (n,)
        n_images : int, default=24
            How many to show at most.

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
        images = as_images(np.asarray(X)[wrong])
        return cls(images, y[wrong], guesses[wrong], certainty[wrong]).plot()

    def plot(self, *, n_columns=8):
        """Draw the images in rows, each under "label, guess"."""
        import matplotlib.pyplot as plt

        n = len(self.images)
        n_rows = max(1, -(-n // n_columns))
        figure, axes = plt.subplots(
            n_rows,
            n_columns,
            figsize=(1.1 * n_columns, 1.6 * n_rows),
            squeeze=False,
            layout="constrained",
        )
        for k, ax in enumerate(axes.flat):
            ax.set_axis_off()
            if k < n:
                show_image(ax, self.images[k])
                title = f"{self.labels[k]}\nas {self.guesses[k]}"
                if self.probabilities is not None:
                    title += f" {self.probabilities[k]:.2f}"
                ax.set_title(title, fontsize="small")
        self.axes_, self.figure_ = axes, figure
        return self


def as_images(X) -> np.ndarray:
    """Return flat rows as the images (n, c, h, w) they are read as; images as they are."""
    if X.ndim > 2:
        return X
    shape = infer_image_shape(X.shape[1])
    missing = math.prod(shape) - X.shape[1]
    return np.pad(X, ((0, 0), (0, missing))).reshape(-1, *shape)


def show_image(ax, image) -> None:
    """Draw an image (h, w) or (c, h, w), grey from dark to bright or in colour."""
    image = np.asarray(image)
    if image.ndim == 3:
        image = image[0] if len(image) != 3 else image.transpose(1, 2, 0)
    if image.ndim == 3 and image.dtype.kind == "f":
        image = (image - image.min()) / ((image.max() - image.min()) or 1)
    ax.imshow(image, cmap="gray", interpolation="nearest")
