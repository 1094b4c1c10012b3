"""Draw ``docs/digits.png``: the feature maps of three digits.

    SKLENET_DATA=FOLDER python benchmarks/documents/digits_figure.py

The digits are the first test images of MNIST with their labels; the network is trained on
MNIST for five epochs.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sklenet import LeNet5Classifier
from sklenet.datasets import fetch_mnist
from sklenet.display import FeatureMapDisplay

FIGURE = Path(__file__).parents[2] / "docs" / "digits.png"
DIGITS = (4, 2, 9)


def draw_figure() -> None:
    """Train the network, and draw one row per digit."""
    X, y = fetch_mnist(return_X_y=True)
    X_test, y_test = fetch_mnist(subset="test", return_X_y=True)
    classifier = LeNet5Classifier(activation="tanh", max_epochs=5, random_state=0).fit(X, y)
    figure, axes = plt.subplots(len(DIGITS), figsize=(12.5, 7.6), layout="constrained")
    for digit, ax in zip(DIGITS, axes, strict=True):
        first = np.flatnonzero(y_test == digit)[0]
        FeatureMapDisplay.from_estimator(classifier, X_test[first], ax=ax)
    figure.savefig(FIGURE, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    draw_figure()
    print("wrote", FIGURE.name)
