"""Learning curves."""

import numpy as np

from sklenet.display.images import last_step
from sklenet.display.text import as_label, update_legend


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
                row[: len(history)] = [epoch.get(metric, np.nan) for epoch in history]
            if np.isnan(rows).all():
                known = sorted({key for history in fits for row in history for key in row})
                raise ValueError(f"The 'metric' is {metric!r}, but known are {known}.")
            curves[label] = rows
        return cls(curves).plot(ax=ax, ylabel=metric.replace("_", " "))

    @classmethod
    def from_history(cls, history, *, metric="train_loss", name=None, ax=None):
        """Plot `metric` of one ``history_``.

        Parameters
        ----------
        history : list of dict
        metric : str, default="train_loss"
            A key of the history's rows.
        name : str, default=None
            Of the curve; None: `metric`.
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        TrainingHistoryDisplay
        """
        return cls.from_histories({name or metric: [history]}, metric=metric, ax=ax)

    @classmethod
    def from_estimator(cls, estimator, *, metric="train_loss", name=None, ax=None):
        """Plot `metric` of a fitted estimator, or of a pipeline that ends with one.

        Parameters
        ----------
        estimator : LeNet5Classifier or Pipeline
        metric : str, default="train_loss"
            A key of the history's rows.
        name : str, default=None
            Of the curve; None: that of the class.
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        TrainingHistoryDisplay
        """
        classifier = last_step(estimator)
        name = name or type(classifier).__name__
        return cls.from_history(classifier.history_, metric=metric, name=name, ax=ax)

    @classmethod
    def from_search(cls, search, *, metric="train_loss", ax=None):
        """Plot `metric` of the best estimator of a search, under its parameters.

        A search keeps no other fit: those of a study are in its records.

        Parameters
        ----------
        search : GridSearchCV or the like
        metric : str, default="train_loss"
            A key of the history's rows.
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        TrainingHistoryDisplay

        Raises
        ------
        AttributeError
            If the search was made with ``refit=False``, and has no best estimator.
        """
        best = search.best_params_.items()
        name = ", ".join(f"{key.rpartition('__')[2]}={value}" for key, value in best)
        return cls.from_estimator(search.best_estimator_, metric=metric, name=name, ax=ax)

    def plot(self, ax=None, *, ylabel="train loss"):
        """Draw the mean over fits as a line, and their range as a band.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.
        ylabel : str, default="train loss"

        Returns
        -------
        TrainingHistoryDisplay
            Itself.
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.lines_ = []
        for label, rows in self.curves.items():
            epochs = np.arange(1, rows.shape[1] + 1)
            name = f"{label} (n = {len(rows)})" if len(rows) > 1 else label
            self.lines_ += ax.plot(epochs, np.nanmean(rows, axis=0), label=as_label(name))
            if len(rows) > 1:
                low, high = np.nanmin(rows, axis=0), np.nanmax(rows, axis=0)
                colour = self.lines_[-1].get_color()
                ax.fill_between(epochs, low, high, alpha=0.2, color=colour)
        ax.set(xlabel="epoch", ylabel=ylabel, yscale="log")
        ax.xaxis.get_major_locator().set_params(integer=True)
        update_legend(ax, self.lines_)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self
