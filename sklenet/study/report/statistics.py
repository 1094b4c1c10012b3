"""Means, confidence intervals, t tests, their correction, and metrics per class."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from sklenet.study.report.metrics import UNBOUNDED


def describe(values, limits: tuple[float, float] = UNBOUNDED) -> dict[str, Any]:
    """Compute the mean of a sample, its standard deviation and its confidence interval.

    Parameters
    ----------
    values : array-like of shape (n,)
        The sample.
    limits : tuple of float (low, high), default=(-inf, inf)
        Smallest and largest possible value. The part of Student's interval outside of
        these limits is cut off. As the mean cannot be there, the coverage of the interval
        remains the same.

    Returns
    -------
    dict
        With ``mean``, ``sd``, ``n``, and the ends ``low`` and ``high`` of Student's 95%
        confidence interval of the mean. Values that are undefined for so small a sample
        are NaN.
    """
    values = np.asarray(values, dtype=float)
    n = len(values)
    mean = values.mean() if n else np.nan
    sd = values.std(ddof=1) if n > 1 else np.nan
    low = high = np.nan
    if n > 1:
        # Without variance, scipy's interval of a mean of zero is undefined.
        is_constant = np.ptp(values) == 0
        interval = (mean, mean) if is_constant else _t_test(values).confidence_interval()
        low, high = max(interval[0], limits[0]), min(interval[1], limits[1])
    return {"mean": mean, "sd": sd, "n": n, "low": low, "high": high}


def compute_p_value(differences) -> float:
    """Compute the p-value of the paired t test, whose hypothesis is a mean of zero.

    Parameters
    ----------
    differences : array-like of shape (n,)
        Differences of paired values, at least two.

    Returns
    -------
    float
        If all differences are equal, the test is undefined: 1 if they are zero, else 0.
    """
    differences = np.asarray(differences, dtype=float)
    if np.ptp(differences) == 0:
        return 0.0 if differences[0] else 1.0
    return float(_t_test(differences).pvalue)


def adjust_p_values(p_values) -> np.ndarray:
    """Adjust p-values for the number of tests, by the method of Holm.

    If all hypotheses with an adjusted p-value of at most 0.05 are rejected, the probability
    that any of them is true is at most 5%, whatever the dependence between the tests.

    Parameters
    ----------
    p_values : array-like of shape (n,)
        One p-value per test.

    Returns
    -------
    ndarray of shape (n,)
        Adjusted p-values, at most 1.
    """
    p_values = np.asarray(p_values, dtype=float)
    order = np.argsort(p_values, kind="stable")
    n_remaining = np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.maximum.accumulate(p_values[order] * n_remaining).clip(max=1)
    return adjusted


def _t_test(values: np.ndarray):
    with warnings.catch_warnings():
        # Paired differences are often nearly equal, of which scipy warns.
        warnings.simplefilter("ignore", RuntimeWarning)
        return stats.ttest_1samp(values, 0)


def compute_class_metrics(confusion: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Compute the precision, recall, F1 score and support of each class.

    Parameters
    ----------
    confusion : ndarray of shape (n_classes, n_classes)
        Confusion matrix, with the true classes in rows and the predicted ones in columns.
    names : list of str
        Names of the classes.

    Returns
    -------
    DataFrame
        One row per class, with the columns ``class``, ``precision``, ``recall``, ``f1``
        and ``support``. The precision of a class that was never predicted is NaN, as is
        the recall of a class without samples.
    """
    n_correct = confusion.diagonal()
    with np.errstate(invalid="ignore"):
        precision = n_correct / confusion.sum(axis=0)
        recall = n_correct / confusion.sum(axis=1)
        f1 = 2 * precision * recall / (precision + recall)
    columns = {"class": names, "precision": precision, "recall": recall, "f1": f1}
    return pd.DataFrame(columns | {"support": confusion.sum(axis=1)})
