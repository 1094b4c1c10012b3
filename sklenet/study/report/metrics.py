"""The range of each metric, and its value for predictions by chance."""

import math
import warnings
from functools import cache

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.metrics import get_scorer

Range = tuple[float, float]

UNBOUNDED: Range = (-math.inf, math.inf)

# Scorers of scikit-learn with another range than 0 to 1, by the beginning of their names.
_RANGES: dict[str, Range] = {
    "neg_": (-math.inf, 0.0),
    "d2_": (-math.inf, 1.0),
    "r2": (-math.inf, 1.0),
    "explained_variance": (-math.inf, 1.0),
    "matthews_corrcoef": (-1.0, 1.0),
    "adjusted_": (-1.0, 1.0),
    "mutual_info_score": (0.0, math.inf),
    "positive_likelihood_ratio": (0.0, math.inf),
}

# Number of samples of each class with which the chance level is computed.
_N_PER_CLASS = 10


def get_range(metric: str) -> Range:
    """Return the smallest and the largest value that a metric can have.

    Parameters
    ----------
    metric : str
        Name of a scorer of scikit-learn, or of a metric in the history of a fit, such as
        ``"train_loss"``, or ``"epochs"``.
    """
    if metric in ("train_loss", "valid_loss", "epochs"):
        return 0.0, math.inf
    for beginning, limits in _RANGES.items():
        if metric.startswith(beginning):
            return limits
    return 0.0, 1.0


def get_difference_range(limits: Range) -> Range:
    """Return the range of differences between two values of a range."""
    width = limits[1] - limits[0]
    return -width, width


@cache
def compute_chance_level(metric: str, n_classes: int) -> float:
    """Compute the value of a metric for predictions that do not depend on the image.

    They are those of :class:`sklearn.dummy.DummyClassifier` on equally frequent classes.

    Parameters
    ----------
    metric : str
        Name of a scorer of scikit-learn.
    n_classes : int

    Returns
    -------
    float
        NaN if the metric is undefined for such predictions.
    """
    y = np.repeat(np.arange(n_classes), _N_PER_CLASS)
    X = np.zeros((len(y), 1))
    classifier = DummyClassifier(strategy="prior").fit(X, y)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(get_scorer(metric)(classifier, X, y))
    except ValueError:  # for example, a metric for two classes only
        return math.nan
