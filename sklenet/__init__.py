"""LeNet-5 as a scikit-learn estimator."""

from sklenet.estimator import LeNet5Classifier
from sklenet.pretrained import load_pretrained

__version__ = "0.1.0"

__all__ = ["LeNet5Classifier", "__version__", "load_pretrained"]
