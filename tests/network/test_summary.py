import numpy as np
import pandas as pd
import pytest
from torch import nn

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.presets import lecun1998, lenet1

X, y = load_digits(return_X_y=True)


def fit_summary(**params):
    return LeNet5Classifier(**params | {"max_epochs": 1}).fit(X[:20], y[:20]).summary()


def test_counts_of_the_1998_network_are_those_of_the_paper():
    frame = fit_summary(**lecun1998())
    assert isinstance(frame, pd.DataFrame)
    assert frame["parameters"].to_dict() == {
        "C1": 156,
        "S2": 12,
        "C3": 1_516,
        "S4": 32,
        "C5": 48_120,
        "F6": 10_164,
        "output": 0,
        "all": 60_000,
    }
    paper = {"C1": 122_304, "S2": 5_880, "C3": 151_600, "S4": 2_000, "C5": 48_120}
    assert frame["connections"][list(paper)].to_dict() == paper
    # 25 products per unit of C1; 60 kernels at 10x10 positions in C3.
    assert frame["multiply_adds"][["C1", "C3"]].tolist() == [117_600, 150_000]


def test_layers_of_other_networks():
    images = np.kron(X[:20].reshape(-1, 8, 8), np.ones((3, 3)))
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    model = LeNet5Classifier(**lenet1() | {"max_epochs": 1}).fit(images, y[:20])
    frame = model.summary()
    assert list(frame.index) == ["C1", "S2", "C3", "S4", "output", "all"]
    assert frame.loc["all", "parameters"] == 2_578
    frame = fit_summary(hidden=(7, 6, 5), kernel_size=3, pooling="avg")
    assert list(frame.index[4:7]) == ["C5", "F6", "F7"]
    assert frame.loc["F7", "output_shape"] == (5,)


def test_parameters_of_activations_and_sizes_of_windows():
    frame = fit_summary(activation=nn.PReLU)
    assert frame.loc["all", "parameters"] == 61_706 + 4
    assert frame.loc["C5", "parameters"] == 48_120 + 1
    frame = fit_summary(pooling=lambda side: nn.AvgPool2d(4, side, 1))
    assert frame.loc["S2", "connections"] == 16 * 6 * 14 * 14


def test_an_estimator_that_is_not_fitted_has_no_summary():
    with pytest.raises(ValueError, match="not fitted"):
        LeNet5Classifier().summary()
