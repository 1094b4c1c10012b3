"""The tables of the ladder, from fits whose accuracies are known."""

import ladder
import pandas as pd
import pytest


def make_fits(accuracies):
    """Return fits of two seeds per setting, given (test, validation, training) of each."""
    return pd.DataFrame(
        [
            {
                "data": "mnist",
                "setting": setting,
                "seed": seed,
                "test_accuracy": test,
                "valid_accuracy": valid,
                "train_accuracy": train,
                "epochs": 120,
            }
            for setting, fits in accuracies.items()
            for seed, (test, valid, train) in enumerate(fits)
        ]
    )


FITS = make_fits(
    {
        "crops by 2": [(0.70, 0.70, 0.90), (0.74, 0.72, 0.92)],
        "crops by 4": [(0.72, 0.73, 0.80), (0.75, 0.73, 0.82)],
    }
)


def test_settings_are_compared_by_validation_accuracy_paired_over_the_seeds():
    first, second = ladder.compare_settings(FITS)
    assert first["setting"] == "crops by 2"
    assert first["validation accuracy (%)"] == "71.00 ± 1.41"
    assert first["training accuracy (%)"] == "91.00 ± 1.41"
    assert first["difference"] == first["95% CI"] == ""
    # Differences of 3 and 1: mean 2, standard error 1; t is 12.71 with two seeds.
    assert second["difference"] == "+2.00"
    assert second["95% CI"] == "-10.71 to +14.71"


class OfFits:
    fits = FITS


def test_a_rung_has_the_gain_over_the_previous_one():
    first, second = ladder.compute_rungs(OfFits, "mnist").to_dict("records")
    assert first["mean"] == pytest.approx(72)
    assert pd.isna(first["gain_mean"])
    assert second["gain_mean"] == pytest.approx(1.5)  # the mean of 2 and 1
    assert second["training"] == pytest.approx(81)
    assert second["epochs"] == 120
