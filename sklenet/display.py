"""Pictures by scikit-learn's Display conventions; matplotlib is imported to plot."""

import numpy as np


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
