"""The accuracies of one network for both kinds of images and of one for each."""

import negatives
import pandas as pd
import pytest

ACCURACIES = {
    # setting: (accuracy, accuracy in the test of inverted images)
    "one for positives": (0.99, 0.20),
    "one for negatives": (0.98, 0.10),
    "one for both": (0.97, 0.96),
}


class ConstructedResults:
    """Two fits of each setting: with seed 1, each accuracy is 0.005 lower."""

    fits = pd.DataFrame(
        {
            "data": "mnist",
            "setting": name,
            "seed": seed,
            "test_accuracy": own - 0.005 * seed,
            "negatives_accuracy": inverted - 0.005 * seed,
            "epochs": 30,
        }
        for name, (own, inverted) in ACCURACIES.items()
        for seed in (0, 1)
    )


def test_two_networks_are_evaluated_on_their_own_images():
    table = negatives.compute_accuracies(ConstructedResults(), "mnist")
    assert list(table.index.unique("setting")) == ["one for each", "one for both"]
    each = table.loc["one for each"]
    assert each["positives"].tolist() == pytest.approx([99.0, 98.5])
    assert each["negatives"].tolist() == pytest.approx([98.0, 97.5])
    assert each["epochs"].tolist() == [30, 30]
    both = table.loc["one for both"]
    assert both["positives"].tolist() == pytest.approx([97.0, 96.5])
    assert both["negatives"].tolist() == pytest.approx([96.0, 95.5])
