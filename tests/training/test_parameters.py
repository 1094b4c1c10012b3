"""Checks of parameters that need more than the type of a single one."""

import numpy as np
import pytest

from sklenet import LeNet5Classifier
from sklenet.training.parameters import (
    check_feature_range,
    check_kernel_size,
    check_size,
    count_weights,
    get_padding_width,
    make_canvas,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("parameters", "shape", "n_classes"),
    [
        ({}, (1, 8, 8), 10),
        ({"maps": (3, 5), "kernel_size": 3, "hidden": ()}, (1, 28, 28), 4),
        ({"padding": 2, "hidden": np.array([7, 6, 5])}, (3, 20, 24), 2),
    ],
)
def test_the_number_of_weights_is_that_of_the_network(parameters, shape, n_classes):
    classifier = LeNet5Classifier(max_epochs=1, random_state=0, **parameters)
    counted = count_weights(classifier, shape, n_classes)
    classifier.fit(RNG.random((20, *shape)), np.arange(20) % n_classes)
    assert counted == sum(p.numel() for p in classifier.module_.parameters())


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"hidden": (10**9,)}, "hidden"),
        ({"maps": (6, 10**8)}, "maps"),
        ({"padding": 10**5}, "padding"),
        ({"kernel_size": 10**4, "padding": 2 * 10**4}, "padding"),
        ({"hidden": (10**300,)}, "hidden"),
    ],
)
def test_the_parameter_that_makes_the_network_too_large_is_named(parameters, name):
    with pytest.raises(ValueError, match=f"'{name}' parameter.*more than the limit"):
        check_size(LeNet5Classifier(**parameters), (1, 28, 28), 10)


def test_the_limit_of_the_number_of_weights():
    check_size(LeNet5Classifier(), (1, 28, 28), 10, limit=61_706)
    with pytest.raises(ValueError, match="has 61,706 weights, more than the limit of 61,7"):
        check_size(LeNet5Classifier(), (1, 28, 28), 10, limit=61_705)


@pytest.mark.parametrize(
    ("kernel_size", "padding", "side"), [(5, 0, 16), (5, 4, 8), (3, 0, 10), (1, 0, 4)]
)
def test_the_smallest_images_for_a_kernel_size(kernel_size, padding, side):
    classifier = LeNet5Classifier(kernel_size=kernel_size, padding=padding)
    check_kernel_size(classifier, (1, side, side))
    with pytest.raises(ValueError, match=rf"'kernel_size' parameter is {kernel_size}"):
        check_kernel_size(classifier, (1, side, side - 1))


def test_the_canvas_is_described_by_the_parameters():
    params = LeNet5Classifier(feature_range=[-1, 1], padding=np.int64(3)).get_params()
    canvas = make_canvas(params, (1, 8, 8), (0.0, 16.0))
    assert canvas.shape == (1, 14, 14)
    assert (canvas.low, canvas.high, canvas.feature_range) == (0.0, 16.0, (-1.0, 1.0))
    assert get_padding_width("canvas") is None
    assert check_feature_range(None) is None


@pytest.mark.parametrize(
    "feature_range", [(1, 1), (0, np.inf), ("0", "1"), (0, 1, 2), (np.nan, 1)]
)
def test_invalid_feature_ranges_are_rejected(feature_range):
    with pytest.raises(ValueError, match=r"'feature_range' parameter.*Got"):
        check_feature_range(feature_range)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden": {120, 84}}, "'hidden' parameter"),
        ({"hidden": [True]}, "'hidden' parameter"),
        ({"maps": (6, 16, 32)}, "'maps' parameter"),
        ({"loss": "distance"}, "'loss' parameter is 'distance'"),
        ({"loss": lambda a, b: a, "label_smoothing": 0.1}, "'label_smoothing' parameter"),
        ({"device": "gpu"}, "'device' parameter"),
        ({"lr": -1.0}, "'lr' parameter"),
        ({"augment": "mirror"}, "'augment' parameter"),
    ],
)
def test_parameters_can_be_checked_without_data(parameters, message):
    LeNet5Classifier().check_parameters()
    with pytest.raises(ValueError, match=message):
        LeNet5Classifier(**parameters).check_parameters()
