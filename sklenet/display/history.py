"""Learning curves."""

import numpy as np

from sklenet.display.axes import escape_label, update_legend
from sklenet.display.inputs import get_final_estimator

# The metrics that are plotted by default, those of each list in a panel of its own.
_PANELS = {
    "loss": ["train_loss", "valid_loss"],
    "accuracy": ["train_accuracy", "valid_accuracy"],
}
_SUBSETS = {"train": "training", "valid": "validation"}


class TrainingHistoryDisplay:
    """Learning curves: metrics per epoch, as mean and range over several fits.

    By default, the loss and the accuracy are plotted in two panels, each on the training
    data and, if there are any, on the validation data.

    It is recommended to use :meth:`from_estimator`, :meth:`from_history`,
    :meth:`from_histories` or :meth:`from_search` to create a `TrainingHistoryDisplay`. All
    parameters are stored as attributes.

    Parameters
    ----------
    curves : dict of str to dict of str to array-like of shape (n_fits, n_epochs)
        For each metric, such as ``"train_loss"``, the curves by label, with one row per
        fit. The epochs after the last one of a fit that stopped early are NaN. Metrics that
        differ only in their prefix, ``"train_"`` or ``"valid_"``, share a panel.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the first panel.
    axes_ : ndarray of matplotlib Axes of shape (n_panels,)
        Axes of all panels.
    figure_ : matplotlib Figure
        Figure containing the curves.
    lines_ : list of matplotlib Line2D
        Lines of the first panel, followed by those of the others.
    """

    def __init__(self, curves):
        self.curves = {
            metric: {
                label: np.atleast_2d(np.asarray(rows, dtype=float))
                for label, rows in by_label.items()
            }
            for metric, by_label in curves.items()
        }

    @classmethod
    def from_histories(cls, histories, *, metric=None, ax=None):
        """Plot the training histories of several fits.

        Parameters
        ----------
        histories : dict of str to list of history
            Histories by label: the ``history_`` attribute of each fit.
        metric : str, default=None
            Metric to plot: ``"loss"`` or ``"accuracy"`` for that of the training and the
            validation data, or a key of the epochs of the histories, such as
            ``"valid_loss"``. If `None`, loss and accuracy.
        ax : matplotlib Axes or sequence of matplotlib Axes, default=None
            Axes object to plot on, or one for each panel. A single one has the first panel
            only. If `None`, a new figure is created.

        Returns
        -------
        display : :class:`~sklenet.display.TrainingHistoryDisplay`
            Object that stores the curves.
        """
        fits = [fit for group in histories.values() for fit in group]
        known = {key for fit in fits for epoch in fit for key in epoch}
        if metric is None:
            metrics = [key for keys in _PANELS.values() for key in keys]
        else:
            metrics = _PANELS.get(metric, [metric])
        found = [key for key in metrics if key in known]
        if not found:
            allowed = sorted(known | {name for name in _PANELS if f"train_{name}" in known})
            raise ValueError(
                f"The 'metric' parameter must be None or one of {allowed}. Got {metric!r}"
                " instead."
            )
        return cls({key: _collect_curves(histories, key) for key in found}).plot(ax)

    @classmethod
    def from_history(cls, history, *, metric=None, name=None, ax=None):
        """Plot the training history of one fit.

        Parameters
        ----------
        history : list of dict
            The ``history_`` attribute of a fitted estimator.
        metric : str, default=None
            Metric to plot; see :meth:`from_histories`.
        name : str, default=None
            Name of the curves for labelling. If `None`, they are labelled by their metric.
        ax : matplotlib Axes or sequence of matplotlib Axes, default=None
            Axes object to plot on, or one for each panel. A single one has the first panel
            only. If `None`, a new figure is created.

        Returns
        -------
        display : :class:`~sklenet.display.TrainingHistoryDisplay`
            Object that stores the curves.
        """
        return cls.from_histories({name or "": [history]}, metric=metric, ax=ax)

    @classmethod
    def from_estimator(cls, estimator, *, metric=None, name=None, ax=None):
        """Plot the training history of a fitted estimator.

        Parameters
        ----------
        estimator : LeNet5Classifier or Pipeline
            Fitted classifier, or a fitted pipeline in which the last step is one.
        metric : str, default=None
            Metric to plot; see :meth:`from_histories`.
        name : str, default=None
            Name of the curves for labelling. If `None`, they are labelled by their metric.
        ax : matplotlib Axes or sequence of matplotlib Axes, default=None
            Axes object to plot on, or one for each panel. A single one has the first panel
            only. If `None`, a new figure is created.

        Returns
        -------
        display : :class:`~sklenet.display.TrainingHistoryDisplay`
            Object that stores the curves.
        """
        classifier = get_final_estimator(estimator)
        return cls.from_history(classifier.history_, metric=metric, name=name, ax=ax)

    @classmethod
    def from_search(cls, search, *, metric=None, ax=None):
        """Plot the history of the best estimator of a search, labelled by its parameters.

        A search keeps no other fitted estimator. The histories of all fits of a study are
        in its records.

        Parameters
        ----------
        search : GridSearchCV or similar
            Fitted search over the parameters of a LeNet5Classifier, or of a pipeline in
            which the last step is one.
        metric : str, default=None
            Metric to plot; see :meth:`from_histories`.
        ax : matplotlib Axes or sequence of matplotlib Axes, default=None
            Axes object to plot on, or one for each panel. A single one has the first panel
            only. If `None`, a new figure is created.

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

    def plot(self, ax=None):
        """Plot the mean over the fits as a line and their range as a band.

        The curves of the training data are solid, and those of the validation data in the
        same panel are dashed.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of matplotlib Axes, default=None
            Axes object to plot on, or one for each panel. A single one has the first panel
            only. If `None`, a new figure is created.

        Returns
        -------
        display : :class:`~sklenet.display.TrainingHistoryDisplay`
            Object that stores the curves.
        """
        panels: dict[str, list[str]] = {}
        for metric in self.curves:
            prefix, _, name = metric.partition("_")
            panels.setdefault(name if prefix in _SUBSETS else metric, []).append(metric)
        self.axes_ = _make_panels(ax, len(panels))
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        self.lines_ = []
        for panel, (name, metrics) in zip(self.axes_, panels.items(), strict=False):
            lines = self._plot_panel(panel, metrics)
            ylabel = name if len(metrics) > 1 else metrics[0]
            panel.set(xlabel="epoch", ylabel=escape_label(ylabel.replace("_", " ")))
            panel.xaxis.get_major_locator().set_params(integer=True)
            if panel is self.ax_:
                update_legend(panel, lines)
            self.lines_ += lines
        return self

    def _plot_panel(self, ax, metrics: list[str]) -> list:
        """Plot metrics in the same axes, and return their lines."""
        lines = []
        colors: dict[str, str] = {}
        for metric in metrics:
            subset = _SUBSETS.get(metric.partition("_")[0], "") if len(metrics) > 1 else ""
            for label, rows in self.curves[metric].items():
                # The validation curve of a fit has the colour of its training curve.
                is_second = label in colors
                options = {"color": colors[label], "linestyle": "--"} if is_second else {}
                line = _plot_curve(ax, rows, **options)
                line.set_label(_make_label(label, subset, metric, len(rows)))
                lines.append(line)
                colors.setdefault(label, line.get_color())
        return lines


def _collect_curves(histories: dict, metric: str) -> dict[str, np.ndarray]:
    """Return an array (n_fits, n_epochs) of a metric for each label that has it."""
    curves = {}
    for label, fits in histories.items():
        rows = np.full((len(fits), max(map(len, fits))), np.nan)
        for row, history in zip(rows, fits, strict=True):
            row[: len(history)] = [epoch.get(metric, np.nan) for epoch in history]
        if not np.isnan(rows).all():
            curves[label] = rows
    return curves


def _make_panels(ax, n_panels: int) -> np.ndarray:
    """Return the given axes, or those of a new figure, as an array."""
    import matplotlib.pyplot as plt

    if ax is not None:
        return np.ravel(np.asarray(ax, dtype=object))
    figsize = (7.6, 3.4) if n_panels > 1 else None
    _, axes = plt.subplots(
        1, n_panels, figsize=figsize, squeeze=False, layout="constrained"
    )
    return axes[0]


def _plot_curve(ax, rows: np.ndarray, **options):
    """Plot the mean over the fits, with a band from the lowest to the highest value."""
    values = np.ma.masked_invalid(rows)
    epochs = np.arange(1, rows.shape[1] + 1)
    if np.isfinite(rows).any(axis=0).sum() < 2:
        options["marker"] = "o"  # a line needs two points
    (line,) = ax.plot(epochs, values.mean(axis=0).filled(np.nan), **options)
    if len(rows) > 1:
        low, high = values.min(axis=0), values.max(axis=0)
        ax.fill_between(epochs, low, high, alpha=0.2, color=line.get_color())
    return line


def _make_label(label: str, subset: str, metric: str, n_fits: int) -> str:
    if not label and not subset:
        text = metric.replace("_", " ")
    else:
        text = ", ".join(filter(None, (label, subset)))
    return escape_label(f"{text} (n = {n_fits})" if n_fits > 1 else text)
