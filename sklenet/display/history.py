"""Learning curves."""

import numpy as np

from sklenet.display.axes import escape_label, make_axes, update_legend
from sklenet.display.inputs import get_final_estimator


class TrainingHistoryDisplay:
    """Learning curves: a metric per epoch, as mean and range over several fits.

    It is recommended to use :meth:`from_estimator`, :meth:`from_history`,
    :meth:`from_histories` or :meth:`from_search` to create a `TrainingHistoryDisplay`. All
    parameters are stored as attributes.

    Parameters
    ----------
    curves : dict of str to array-like of shape (n_fits, n_epochs)
        Curves by label, with one row per fit. The epochs after the last one of a fit that
        stopped early are NaN.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure containing the curves.
    lines_ : list of matplotlib Line2D
        Line of each label.
    """

    def __init__(self, curves):
        self.curves = {
            label: np.atleast_2d(np.asarray(rows, dtype=float))
            for label, rows in curves.items()
        }

    @classmethod
    def from_histories(cls, histories, *, metric="train_loss", ax=None):
        """Plot a metric of the training histories of several fits.

        Parameters
        ----------
        histories : dict of str to list of history
            Histories by label: the ``history_`` attribute of each fit.
        metric : str, default="train_loss"
            Metric to plot, a key of the epochs of the histories.
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.TrainingHistoryDisplay`
            Object that stores the curves.
        """
        curves = {}
        for label, fits in histories.items():
            rows = np.full((len(fits), max(map(len, fits))), np.nan)
            for row, history in zip(rows, fits, strict=True):
                row[: len(history)] = [epoch.get(metric, np.nan) for epoch in history]
            if np.isnan(rows).all():
                known = sorted({key for fit in fits for epoch in fit for key in epoch})
                raise ValueError(
                    f"The 'metric' parameter must be one of {known}. Got {metric!r}"
                    " instead."
                )
            curves[label] = rows
        return cls(curves).plot(ax=ax, ylabel=metric.replace("_", " "))

    @classmethod
    def from_history(cls, history, *, metric="train_loss", name=None, ax=None):
        """Plot a metric of the training history of one fit.

        Parameters
        ----------
        history : list of dict
            The ``history_`` attribute of a fitted estimator.
        metric : str, default="train_loss"
            Metric to plot, a key of the epochs of the history.
        name : str, default=None
            Name of the curve for labelling. If `None`, the name of the metric.
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.TrainingHistoryDisplay`
            Object that stores the curves.
        """
        return cls.from_histories({name or metric: [history]}, metric=metric, ax=ax)

    @classmethod
    def from_estimator(cls, estimator, *, metric="train_loss", name=None, ax=None):
        """Plot a metric of the training history of a fitted estimator.

        Parameters
        ----------
        estimator : LeNet5Classifier or Pipeline
            Fitted classifier, or a fitted pipeline in which the last step is one.
        metric : str, default="train_loss"
            Metric to plot, a key of the epochs of the history.
        name : str, default=None
            Name of the curve for labelling. If `None`, the name of the estimator's class.
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.TrainingHistoryDisplay`
            Object that stores the curves.
        """
        classifier = get_final_estimator(estimator)
        name = name or type(classifier).__name__
        return cls.from_history(classifier.history_, metric=metric, name=name, ax=ax)

    @classmethod
    def from_search(cls, search, *, metric="train_loss", ax=None):
        """Plot a metric of the best estimator of a search, labelled by its parameters.

        A search keeps no other fitted estimator. The histories of all fits of a study are
        in its records.

        Parameters
        ----------
        search : GridSearchCV or similar
            Fitted search over the parameters of a LeNet5Classifier, or of a pipeline in
            which the last step is one.
        metric : str, default="train_loss"
            Metric to plot, a key of the epochs of the history.
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.TrainingHistoryDisplay`
            Object that stores the curves.

        Raises
        ------
        AttributeError
            If the search has no best estimator because of ``refit=False``.
        """
        best = search.best_params_.items()
        name = ", ".join(f"{key.rpartition('__')[2]}={value}" for key, value in best)
        return cls.from_estimator(search.best_estimator_, metric=metric, name=name, ax=ax)

    def plot(self, ax=None, *, ylabel="train loss"):
        """Plot the mean over the fits as a line and their range as a band.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.
        ylabel : str, default="train loss"
            Label of the y-axis.

        Returns
        -------
        display : :class:`~sklenet.display.TrainingHistoryDisplay`
            Object that stores the curves.
        """
        self.ax_ = make_axes(ax)
        self.figure_ = self.ax_.figure
        self.lines_ = []
        for label, rows in self.curves.items():
            epochs = np.arange(1, rows.shape[1] + 1)
            name = escape_label(f"{label} (n = {len(rows)})" if len(rows) > 1 else label)
            (line,) = self.ax_.plot(epochs, np.nanmean(rows, axis=0), label=name)
            self.lines_.append(line)
            if len(rows) > 1:
                low, high = np.nanmin(rows, axis=0), np.nanmax(rows, axis=0)
                self.ax_.fill_between(epochs, low, high, alpha=0.2, color=line.get_color())
        self.ax_.set(xlabel="epoch", ylabel=ylabel, yscale="log")
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        update_legend(self.ax_, self.lines_)
        return self
