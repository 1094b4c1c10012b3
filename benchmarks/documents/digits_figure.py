"""Draw digits on their way through LeNet-5: docs/digits.png.

    python benchmarks/documents/picture.py

The first test images of MNIST of three digits, through a network trained for five epochs.
It needs the data in ``$SKLENET_DATA``.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sklenet import LeNet5Classifier
from sklenet.datasets import fetch_mnist
from sklenet.display import FeatureMapDisplay

PICTURE = Path(__file__).parents[2] / "docs" / "digits.png"
DIGITS = (4, 2, 9)


def draw() -> None:
    """Train, and draw a row per digit."""
    X, y = fetch_mnist(return_X_y=True)
    X_test, y_test = fetch_mnist(subset="test", return_X_y=True)
    classifier = LeNet5Classifier(activation="tanh", max_epochs=5, random_state=0).fit(X, y)
    figure, axes = plt.subplots(len(DIGITS), figsize=(12.5, 7.6), layout="constrained")
    for digit, ax in zip(DIGITS, axes, strict=True):
        first = np.flatnonzero(y_test == digit)[0]
        FeatureMapDisplay.from_estimator(classifier, X_test[first], ax=ax)
    figure.savefig(PICTURE, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    draw()
    print("wrote", PICTURE.name)
