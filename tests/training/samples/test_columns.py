"""Detection of columns that are not pixels."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.training.samples.columns import (
    check_number_of_columns,
    describe_additional_columns,
)

X, y = (array[:60] for array in load_digits(return_X_y=True))
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("n_features", "n_additional", "shape"),
    [
        (65, 1, "1x8x8"),
        (66, 2, "1x8x8"),
        (193, 1, "3x8x8"),
        (257, 1, "1x16x16"),
        (785, 1, "1x28x28"),
        (786, 2, "1x28x28"),
        (1025, 1, "1x32x32"),
        (3073, 1, "3x32x32"),
        (3074, 2, "3x32x32"),
    ],
)
def test_additional_columns(n_features, n_additional, shape):
    found, message = describe_additional_columns(n_features)
    assert found == n_additional
    assert f"{n_features} columns" in message
    assert shape in message


@pytest.mark.parametrize(
    "n_features", [*range(1, 65), 784, 783, 1024, 3072, 787, 67, 100, 841, 192, 3075]
)
def test_images_and_tables_have_no_additional_columns(n_features):
    assert describe_additional_columns(n_features) is None


@pytest.mark.parametrize("n_features", [65, 785, 3073])
def test_additional_columns_without_evidence_lead_to_a_warning(n_features):
    rows = RNG.integers(0, 255, (60, n_features))
    with pytest.warns(UserWarning, match=f"X has {n_features} columns, one column more"):
        check_number_of_columns(rows, None, y)


def frame(names):
    return pd.DataFrame(X, columns=[names.format(k) for k in range(64)])


@pytest.mark.parametrize("names", ["pixel{}", "{}", "p_0_{}", "1x{}", "px{}.0"])
@pytest.mark.parametrize("extra", ["label", "Unnamed: 0", "class", "anything"])
def test_a_column_whose_name_differs_from_the_others(names, extra):
    data = frame(names)
    data.insert(0, extra, RNG.permutation(60))
    with pytest.raises(ValueError, match=f"one column more.*'{extra}'"):
        LeNet5Classifier().fit(data, y)
    with pytest.raises(ValueError, match=f"one column more.*'{extra}'"):
        LeNet5Classifier().fit(pl.DataFrame(data), y)


def test_a_common_label_name_among_irregular_names():
    names = [f"{chr(97 + k // 26)}{chr(97 + k % 26)}" for k in range(64)]
    data = pd.DataFrame(np.c_[X, RNG.permutation(60)], columns=[*names, "Label"])
    with pytest.raises(ValueError, match="'Label'"):
        LeNet5Classifier().fit(data, y)


@pytest.mark.parametrize("position", [0, 1, 63, 64])
def test_columns_of_labels_and_row_numbers(position):
    labels = np.insert(X, position, y, axis=1)
    place = position if position < 2 else position - 65
    for given in (y, np.array(list("abcdefghij"))[y], y.astype(float)):
        with pytest.raises(ValueError, match=rf"X\[:, {place}\], which holds the labels"):
            LeNet5Classifier().fit(labels, given)
    counted = np.insert(X, position, np.arange(7, 67), axis=1)
    with pytest.raises(ValueError, match=rf"X\[:, {place}\], which counts the rows"):
        LeNet5Classifier().partial_fit(counted, y, range(10))


def test_a_label_and_an_index():
    with pytest.raises(ValueError, match=r"the rows, X\[:, 1\], which holds the lab"):
        LeNet5Classifier().fit(np.c_[np.arange(60), y, X], y)


@pytest.mark.filterwarnings("error")
def test_images_of_a_given_shape_and_pixels_in_data_frames():
    quick = LeNet5Classifier(max_epochs=1)
    quick.fit(frame("pixel{}"), y)
    quick.set_params(image_shape=(5, 13)).fit(np.c_[RNG.permutation(60), X], y)
    quick.set_params(image_shape=None).fit(X.reshape(-1, 8, 8), y)


def test_an_image_shape_without_the_label_column():
    with pytest.raises(ValueError, match=r"'image_shape'.*65 features.*one column more"):
        LeNet5Classifier(image_shape=(8, 8)).fit(np.c_[y, X], y)


def test_tables_can_be_learned():
    rows, labels = RNG.normal(size=(40, 65)), np.arange(40) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert LeNet5Classifier(max_epochs=1).fit(rows, labels).n_features_in_ == 65
