"""What is said of a few numbers: their mean, spread and interval."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats


def describe(values) -> dict[str, Any]:
    """Return mean, sd, n, and the ends of Student's 95 % interval of the mean."""
    values = np.asarray(values, dtype=float)
    n = len(values)
    mean = values.mean() if n else np.nan
    sd = values.std(ddof=1) if n > 1 else np.nan
    half = stats.t.ppf(0.975, n - 1) * sd / np.sqrt(n) if n > 1 else np.nan
    return {"mean": mean, "sd": sd, "n": n, "low": mean - half, "high": mean + half}


def p_value(differences) -> float:
    """Return the p value of the paired t test, of no difference on average."""
    if not differences.std():  # all the same: the test is not defined
        return 1.0 if not differences[0] else 0.0
    return float(stats.ttest_1samp(differences, 0).pvalue)


def compute_class_metrics(confusion: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Return precision, recall, F1 and support of each class.

    Parameters
    ----------
    confusion : ndarray of shape (n_classes, n_classes)
        Of true classes, in rows, and guesses.
    names : list of str
    """
    right = confusion.diagonal()
    with np.errstate(invalid="ignore"):  # a class that was never guessed
        precision = right / confusion.sum(axis=0)
        recall = right / confusion.sum(axis=1)
        f1 = 2 * precision * recall / (precision + recall)
    frame = {"class": names, "precision": precision, "recall": recall, "f1": f1}
    return pd.DataFrame(frame | {"support": confusion.sum(axis=1)})
