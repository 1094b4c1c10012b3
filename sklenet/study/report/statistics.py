"""Descriptive statistics: means, confidence intervals, t tests and metrics per class."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats


def describe(values) -> dict[str, Any]:
    """Compute the mean of a sample, its standard deviation and its confidence interval.

    Parameters
    ----------
    values : array-like of shape (n,)
        The sample.

    Returns
    -------
    dict
        With ``mean``, ``sd``, ``n``, and the limits ``low`` and ``high`` of Student's 95%
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
        low, high = (mean, mean) if is_constant else _t_test(values).confidence_interval()
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
