"""The cost of training a setting."""

import numpy as np
import pytest
import rendering
import training_cost
from hypothesis import given
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline

from sklenet import LeNet5Classifier
from sklenet.datasets.registry import DATASETS
from sklenet.preprocessing import PixelScaler


@pytest.mark.parametrize(
    ("data", "parameters", "c1", "others"),
    [
        # Multiply-adds: kernels of 5x5 at each position; C3 is fully connected.
        ("mnist", {}, 6 * 25 * 28**2, 16 * 6 * 25 * 10**2 + 400 * 120 + 120 * 84 + 840),
        ("cifar10", {}, 18 * 25 * 28**2, 96 * 25 * 10**2 + 400 * 120 + 120 * 84 + 840),
        ("mnist", {"padding": 0}, 150 * 24**2, 2400 * 8**2 + 256 * 120 + 120 * 84 + 840),
    ],
)
def test_operations_are_those_of_a_forward_and_a_backward_pass(
    data, parameters, c1, others
):
    classifier = LeNet5Classifier(max_epochs=7, augment="crop", **parameters)
    pipeline = make_pipeline(PixelScaler(), classifier)
    count = training_cost.count_operations(pipeline, DATASETS[data])
    assert count == 4 * c1 + 6 * others
    assert classifier.max_epochs == 7


def test_costs_are_those_of_all_images_and_epochs():
    results = rendering.read_results("ladder")
    table = training_cost.compute_costs(results, "mnist").set_index("setting")
    fits = results.fits[results.fits["data"] == "mnist"]
    assert table.index.tolist() == fits["setting"].unique().tolist()
    for name, group in fits[fits["n_parameters"] == 61_706].groupby("setting"):
        n_images = 60_000 * group["epochs"].iloc[0]
        row = table.loc[name]
        assert row["operations"] == (6 * 416_520 - 2 * 117_600) * n_images
        assert row["mean"] == pytest.approx(100 * group["test_accuracy"].mean())
        assert row["low"] < row["mean"] < row["high"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_places_are_moved_apart_in_their_order(places):
    moved = training_cost.spread(places, 0.1)
    assert len(moved) == len(places)
    order = np.argsort(places, kind="stable")
    assert (np.diff(moved[order]) >= 0.1 - 1e-9).all()
    assert moved.mean() == pytest.approx(np.mean(places), abs=1e-9)
    assert np.allclose(training_cost.spread(moved, 0.1), moved)
