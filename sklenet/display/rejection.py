"""Rejection: leaving the doubtful images to a human."""

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d


def rejection_curve(y_true, y_pred, scores):
    """Return the error on the images that are kept, against the part that is rejected.

    Images are rejected from the lowest score up, those of equal scores together. What the
    paper asks of it is the part to reject for an error of 0.5 %:
    ``rejected[error <= 0.005].min()``, where it is reached.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
    scores : array-like of shape (n,)
        How sure each prediction is, such as ``LeNet5Classifier.score_samples(X)``; finite.

    Returns
    -------
    rejected : ndarray of shape (n_thresholds,)
        The part that is rejected, from 0 up; at least one image is kept.
    error : ndarray of shape (n_thresholds,)
        The part of the kept images that is classified wrongly.

    References
    ----------
    LeCun et al. 1998, section III.C.

    Examples
    --------
    >>> from sklenet.display.rejection import rejection_curve
    >>> rejected, error = rejection_curve([1, 2, 3, 4], [1, 2, 3, 7], [0.9, 0.5, 0.8, 0.1])
    >>> rejected.tolist(), error.tolist()
    ([0.0, 0.25, 0.5, 0.75], [0.25, 0.0, 0.0, 0.0])
    """
    y_true, y_pred = column_or_1d(y_true), column_or_1d(y_pred)
    scores = check_array(scores, ensure_2d=False, dtype=float, input_name="scores")
    scores = column_or_1d(scores)
    check_consistent_length(y_true, y_pred, scores)
    order = np.argsort(scores, kind="stable")
    wrong = (y_true != y_pred)[order]
    n = len(wrong)
    # Where a new score begins: nothing below it is kept.
    first = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    wrong_above = wrong.sum() - np.concatenate([[0], np.cumsum(wrong)])[first]
    return first / n, wrong_above / (n - first)


class RejectionCurveDisplay:
    """The error on the images that are kept, against the part that is rejected.

    Parameters
    ----------
    rejected, error : ndarray of shape (n_thresholds,)
        As :func:`rejection_curve` gives them.
    name : str, default=None
        Of the curve, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
    """

    def __init__(self, rejected, error, *, name=None):
        self.rejected = rejected
        self.error = error
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, X, y, *, name=None, ax=None):
        """Plot the curve of a fitted estimator, or pipeline, on the images X.

        Parameters
        ----------
        estimator : LeNet5Classifier or Pipeline
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
        y : array-like of shape (n,)
            What they are.
        name : str, default=None
            Of the curve; None: that of the class.
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        RejectionCurveDisplay
        """
        name = name or type(estimator).__name__
        scores = estimator.score_samples(X)
        return cls.from_predictions(y, estimator.predict(X), scores, name=name, ax=ax)

    @classmethod
    def from_predictions(cls, y_true, y_pred, scores, *, name=None, ax=None):
        """Plot the curve of predictions and of how sure they are.

        Parameters
        ----------
        y_true, y_pred, scores : array-like of shape (n,)
            As :func:`rejection_curve` takes them.
        name : str, default=None
            Of the curve, for the legend.
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        RejectionCurveDisplay
        """
        return cls(*rejection_curve(y_true, y_pred, scores), name=name).plot(ax=ax)

    def plot(self, ax=None):
        """Draw it, in percent.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a figure.

        Returns
        -------
        RejectionCurveDisplay
            Itself.
        """
        import matplotlib.pyplot as plt

        from sklenet.display.text import as_label, update_legend

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        label = None if self.name is None else as_label(self.name)
        (self.line_,) = ax.plot(100 * self.rejected, 100 * self.error, label=label)
        ax.set(xlabel="rejected (%)", ylabel="error on the rest (%)", ylim=(0, None))
        if self.name:
            update_legend(ax, [self.line_])
        self.ax_ = ax
        self.figure_ = ax.figure
        return self
