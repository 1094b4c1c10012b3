"""Rejection curves: the error that remains when doubtful images are rejected."""

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from sklenet.display.axes import escape_label, make_axes, update_legend


def rejection_curve(y_true, y_pred, scores):
    """Compute the error rate of the accepted images for all rejection thresholds.

    Images with the lowest scores are rejected first; images with equal scores are rejected
    together. The smallest fraction of images that must be rejected for an error rate of at
    most 0.5 %, the criterion of the 1998 paper, is ``rejected[error <= 0.005].min()`` if
    that error rate is reached.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        True labels.
    y_pred : array-like of shape (n,)
        Predicted labels.
    scores : array-like of shape (n,)
        Confidence of each prediction, such as the output of
        ``LeNet5Classifier.score_samples(X)``. Scores must be finite.

    Returns
    -------
    rejected : ndarray of shape (n_thresholds,)
        Fraction of the images that is rejected, in increasing order, starting at 0. At
        least one image is accepted.
    error : ndarray of shape (n_thresholds,)
        Fraction of the accepted images that is misclassified.

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
    # The first image of each distinct score: images before it have lower scores.
    first = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    n_wrong_rejected = np.concatenate([[0], np.cumsum(wrong)])[first]
    return first / n, (wrong.sum() - n_wrong_rejected) / (n - first)


class RejectionCurveDisplay:
    """Rejection curve visualization.

    The curve shows the error rate of the accepted images as a function of the fraction of
    images that is rejected.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to create a
    `RejectionCurveDisplay`. All parameters are stored as attributes.

    Parameters
    ----------
    rejected : ndarray of shape (n_thresholds,)
        Fraction of the images that is rejected.
    error : ndarray of shape (n_thresholds,)
        Fraction of the accepted images that is misclassified.
    name : str, default=None
        Name of the curve for labelling. If `None`, the curve is not labelled.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the rejection curve.
    figure_ : matplotlib Figure
        Figure containing the curve.
    line_ : matplotlib Line2D
        Rejection curve.

    See Also
    --------
    rejection_curve : Compute the points of the curve.
    """

    def __init__(self, rejected, error, *, name=None):
        self.rejected = rejected
        self.error = error
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, X, y, *, name=None, ax=None):
        """Plot the rejection curve of a fitted estimator.

        Parameters
        ----------
        estimator : LeNet5Classifier or Pipeline
            Fitted classifier, or a fitted pipeline in which the last step is one.
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            Images.
        y : array-like of shape (n,)
            True labels.
        name : str, default=None
            Name of the curve for labelling. If `None`, the name of the estimator's class.
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.RejectionCurveDisplay`
            Object that stores the computed values.
        """
        name = name or type(estimator).__name__
        scores = estimator.score_samples(X)
        return cls.from_predictions(y, estimator.predict(X), scores, name=name, ax=ax)

    @classmethod
    def from_predictions(cls, y_true, y_pred, scores, *, name=None, ax=None):
        """Plot the rejection curve of predictions with their scores.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            True labels.
        y_pred : array-like of shape (n,)
            Predicted labels.
        scores : array-like of shape (n,)
            Confidence of each prediction; see :func:`rejection_curve`.
        name : str, default=None
            Name of the curve for labelling. If `None`, the curve is not labelled.
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.RejectionCurveDisplay`
            Object that stores the computed values.
        """
        return cls(*rejection_curve(y_true, y_pred, scores), name=name).plot(ax=ax)

    def plot(self, ax=None):
        """Plot the curve in percent.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes object to plot on. If `None`, a new figure and axes are created.

        Returns
        -------
        display : :class:`~sklenet.display.RejectionCurveDisplay`
            Object that stores the computed values.
        """
        self.ax_ = make_axes(ax)
        self.figure_ = self.ax_.figure
        label = None if self.name is None else escape_label(self.name)
        (self.line_,) = self.ax_.plot(100 * self.rejected, 100 * self.error, label=label)
        self.ax_.set(xlabel="rejected (%)", ylabel="error on the rest (%)", ylim=(0, None))
        if self.name:
            update_legend(self.ax_, [self.line_])
        return self
