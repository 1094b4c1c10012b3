"""Class labels and class weights."""

import json
import tomllib

import numpy as np
import pytest
import torch

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.training.samples.labels import (
    check_labels,
    format_label,
    format_labels,
    make_class_weights,
)

QUICK = {"max_epochs": 1, "random_state": 0}


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        ([0, 1, 2], (1, 2)),
        ([0, 1, 2], ("1", "2")),
        ([0, 1, 2], (1.0, 2.0)),
        ([0, 1, 2], ("1.0", " 2 ")),
        ([0, 1, 2], (np.int64(1), np.uint8(2))),
        ([0, 1, 2], (np.float32(1), np.str_("2"))),
        ([0.0, 1.0, 2.0], (1, "2")),
        (["0", "1", "2"], ("1", np.str_("2"))),
        (["0", "1", "2"], (1, np.int64(2))),
        (["0", "1", "2"], (1.0, 2.0)),
        (["a", "b", "c"], ("b", "c")),
        ([-5, 7, 2**53 + 1], (7, str(2**53 + 1))),
        (["1", "01", "1.0"], ("01", "1.0")),
    ],
)
def test_keys_match_by_value_or_text(labels, keys):
    classes = np.unique(labels)
    weights = make_class_weights({keys[0]: 2.0, keys[1]: 0.5}, classes, classes)
    by_label = dict(zip(classes.tolist(), weights.tolist(), strict=True))
    wanted = dict(zip(np.array(labels).tolist(), (1.0, 2.0, 0.5), strict=True))
    assert by_label == wanted


def test_keys_from_toml_and_json():
    parsed = tomllib.loads("class_weight = { 0 = 2.0, 7 = 0.5 }")["class_weight"]
    again = json.loads(json.dumps({0: 2.0, 7: 0.5}))
    for class_weight in (parsed, again):
        for classes in (np.array([0, 3, 7]), np.array(["0", "3", "7"])):
            weights = make_class_weights(class_weight, classes, classes)
            assert weights.tolist() == [2, 1, 0.5]


def test_objects_as_labels():
    classes = np.array(["0", "1"], dtype=object)
    assert make_class_weights({1: 3}, classes, classes).tolist() == [1, 3]


@pytest.mark.parametrize(
    "keys", [(False, True), ("False", "True"), ("false", "true"), (0, 1)]
)
def test_keys_of_boolean_classes(keys):
    classes = np.array([False, True])
    weights = make_class_weights(dict(zip(keys, (2, 3), strict=True)), classes, classes)
    assert weights.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("classes", "class_weight", "message"),
    [
        ([0, 1], {2: 1}, r"the key 2, which matches none of the classes \[0, 1\]"),
        ([0, 1], {"a": 1}, "the key 'a'"),
        ([0, 1], {0.5: 1}, "the key 0.5"),
        ([0, 1], {None: 1}, "the key None"),
        ([0, 1], {float("nan"): 1}, "the key nan"),
        ([0, 1], {"": 1}, "the key ''"),
        (["a", "b"], {0: 1}, "the key 0"),
        (["01", "02"], {1: 1}, "the key 1"),
        ([0, 1], {1: 1, "1": 2}, "two keys, 1 and '1', for the class 1"),
        (["0", "1"], {1: 1, "1": 2}, "two keys, 1 and '1', for the class '1'"),
        ([0, 1], {"1": 1, "1.0": 1}, "two keys"),
        (["1", "1.0"], {1: 1}, "several classes"),
        ([0, 1], {1: -1}, "Got -1 for the class 1"),
        ([0, 1], {1: np.nan}, "Got nan for the class 1"),
        ([0, 1], {1: np.inf}, "Got inf"),
        ([0, 1], {1: None}, "Got None"),
        ([0, 1], {1: "2"}, "Got '2'"),
    ],
)
def test_wrong_class_weights(classes, class_weight, message):
    classes = np.array(classes)
    with pytest.raises(ValueError, match=f"'class_weight' parameter.*{message}"):
        make_class_weights(class_weight, classes, classes)


def test_balanced_weights_ignore_absent_classes():
    weights = make_class_weights("balanced", np.arange(3), np.array([0, 0, 0, 2]))
    assert weights == pytest.approx([4 / (2 * 3), 1, 4 / (2 * 1)])
    assert make_class_weights(None, np.arange(3), np.arange(3)) is None
    assert make_class_weights({}, np.arange(3), np.arange(3)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("keys", [("0", "7"), (0, 7), (np.int64(0), 7.0)])
def test_the_estimator_applies_class_weights_by_label(text, keys):
    X, y = (array[:100] for array in load_digits(return_X_y=True))
    labels = y.astype(str) if text else y
    class_weight = dict(zip(keys, (3.0, 0.5), strict=True))
    sample_weight = np.select([y == 0, y == 7], [3.0, 0.5], 1.0)
    fitted, expected, partly = (LeNet5Classifier(**QUICK) for _ in range(3))
    fitted.set_params(class_weight=class_weight).fit(X, labels)
    expected.fit(X, labels, sample_weight)
    assert np.array_equal(fitted.predict_proba(X), expected.predict_proba(X))
    partly.set_params(class_weight=class_weight).partial_fit(X, labels, np.unique(labels))
    expected = LeNet5Classifier(**QUICK).partial_fit(
        X, labels, np.unique(labels), sample_weight=sample_weight
    )
    assert np.array_equal(partly.predict_proba(X), expected.predict_proba(X))


def test_labels_in_messages_are_written_as_in_python():
    assert format_label(np.int64(1)) == "1"
    assert format_label(np.str_("b")) == "'b'"
    assert format_labels(np.array([1, 2])) == "[1, 2]"
    assert format_labels(np.array(["a"])) == "['a']"
    assert format_labels(np.array([True])) == "[True]"
    assert format_labels(np.arange(99)).endswith("8, 9, ... (99 in all)]")


@pytest.mark.parametrize("text", [False, True])
def test_labels_in_messages_of_the_estimator(text):
    X, y = (array[:60] for array in load_digits(return_X_y=True))
    labels, shown = (y.astype(str), "'9'") if text else (y, "9")
    fitted = LeNet5Classifier(**QUICK).fit(X, labels)
    with pytest.raises(ValueError, match=rf"y_val has labels \[{shown}\]") as error:
        fitted.fit(X[y < 9], labels[y < 9], X_val=X, y_val=labels)
    assert "np." not in str(error.value)
    fitted.set_params(warm_start=True)
    with pytest.raises(ValueError, match=rf"trained on \[.*{shown}\]") as error:
        fitted.fit(X[y < 9], labels[y < 9])
    assert "np." not in str(error.value)


def test_labels_that_scikit_learn_checks():
    for y in (
        [1, 2],
        ["a", "b"],
        [1, 2.0, True],
        np.array([1.5, np.inf]),
        np.array([[1], [2]]),
        np.array([[1, 2], [3, 4]]),
        np.array([[2, -1], [0, 1]]),
        3,
        torch.tensor([1, 2]),
        np.array(["a", "b"], dtype=object),
    ):
        check_labels(y)


def test_a_fold_that_lacks_a_class_accepts_weights_of_all_classes():
    weights = {"a": 1.0, "b": 2.0, "c": 3.0}
    found = make_class_weights(weights, np.array(["a", "c"]), np.array(["a", "c", "c"]))
    assert found.tolist() == [1.0, 3.0]
    with pytest.raises(ValueError, match=r"key 'b', which matches none of the classes"):
        make_class_weights({"a": 1.0, "b": 2.0}, np.array(["a", "c"]), np.array(["a", "c"]))
