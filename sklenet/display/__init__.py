"""Figures of fitted estimators, following scikit-learn's Display conventions.

matplotlib is imported only when a figure is plotted. The displays of scikit-learn, such as
:class:`~sklearn.metrics.ConfusionMatrixDisplay`, work with the estimator too.
"""

from sklenet.display.feature_maps import FeatureMapDisplay
from sklenet.display.filters import FilterDisplay
from sklenet.display.history import TrainingHistoryDisplay
from sklenet.display.misclassified import MisclassifiedDisplay
from sklenet.display.negatives import NegativeDisplay
from sklenet.display.predictions import PredictionDisplay
from sklenet.display.rejection import RejectionCurveDisplay, rejection_curve
from sklenet.display.saliency import SaliencyDisplay

__all__ = [
    "FeatureMapDisplay",
    "FilterDisplay",
    "MisclassifiedDisplay",
    "NegativeDisplay",
    "PredictionDisplay",
    "RejectionCurveDisplay",
    "SaliencyDisplay",
    "TrainingHistoryDisplay",
    "rejection_curve",
]
