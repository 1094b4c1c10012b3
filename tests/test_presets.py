"""Published settings."""

from pathlib import Path

import pytest

from sklenet import LeNet5Classifier, presets
from sklenet.study import read_study

STUDIES = Path(__file__).parents[1] / "benchmarks" / "studies"

PRESETS = [presets.lecun1998, presets.lenet1, presets.pytorch_tutorial]


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid_parameters(preset):
    LeNet5Classifier(**preset())._validate_params()


def n_parameters(model):
    return {
        name: sum(p.numel() for p in layer.parameters())
        for name, layer in model.module_.layers().items()
        if list(layer.parameters())
    }


def test_lecun1998_has_60_000_weights_and_learns(digits):
    X, y, X_test, y_test = digits
    model = LeNet5Classifier(**presets.lecun1998(), random_state=0).fit(X, y)
    assert sum(n_parameters(model).values()) == 60_000
    assert model.score(X_test, y_test) > 0.85


def test_lenet1_has_2578_weights_on_28x28_pixels(digits):
    X, y, *_ = digits
    X = X.reshape(-1, 8, 8).repeat(4, axis=1).repeat(4, axis=2)[:, 2:30, 2:30]
    model = LeNet5Classifier(**presets.lenet1() | {"max_epochs": 1}, random_state=0)
    model.fit(X, y)
    assert n_parameters(model) == {
        "C1": 104,
        "S2": 8,
        "C3": 512,
        "S4": 24,
        "output": 1930,
    }


def test_the_study_of_1998_uses_the_preset():
    study = read_study(STUDIES / "lecun1998.toml")
    preset = presets.lecun1998()
    assert study.estimator == preset | {"feature_range": list(preset["feature_range"])}


def test_a_custom_connection_table_allows_warm_starts(digits):
    X, y, *_ = digits
    options = presets.lenet1() | {"padding": "canvas", "max_epochs": 2}
    model = LeNet5Classifier(**options, warm_start=True).fit(X, y).fit(X, y)
    assert model.n_iter_ == 4
