import base64
import json

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from torch import nn

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.page.describe import describe_model

X, y = load_digits(return_X_y=True)
SMALL = {"max_epochs": 1, "maps": (2, 3), "hidden": (12,), "random_state": 0}


def decode(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


def test_weights_are_those_of_the_network():
    clf = LeNet5Classifier(**SMALL).fit(X[:200], y[:200])
    described = describe_model(clf, "small")
    assert [layer["name"] for layer in described["layers"]] == [
        *("C1", "S2", "C3", "S4", "C5", "output")
    ]
    weights = clf.module_.layers()
    for layer in described["layers"]:
        if "weight" in layer:
            expected = weights[layer["name"]].weight.detach().numpy().ravel()
            assert decode(layer["weight"]).tolist() == expected.tolist()
    json.dumps(described)  # only plain values


def test_missing_connections_have_no_kernel():
    connections = [[0], [1], [0, 1]]
    clf = LeNet5Classifier(**SMALL, connections=connections).fit(X[:200], y[:200])
    c3 = describe_model(clf, "small")["layers"][2]
    assert c3["connections"] == connections
    kernels = decode(c3["weight"]).reshape(3, 2, 25)
    assert not kernels[0, 1].any()
    assert not kernels[1, 0].any()
    assert kernels[2].any(axis=1).all()


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({"activation": nn.Softsign}, "activation"),
        ({"activation": nn.GELU("tanh")}, "activation"),
        ({"activation": nn.LeakyReLU(0.2)}, "activation"),
        ({"pooling": nn.MaxPool2d(3, stride=2, padding=1)}, "pooling"),
        ({"pooling": lambda side: nn.LPPool2d(2, side)}, "pooling"),
    ],
)
def test_layers_without_a_name_are_rejected(params, parameter):
    clf = LeNet5Classifier(**SMALL, **params).fit(X[:200], y[:200])
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter must be one of"):
        describe_model(clf, "custom")


def test_layers_that_equal_named_ones_have_their_names():
    clf = LeNet5Classifier(
        **SMALL, activation=nn.ReLU(inplace=True), pooling=nn.AvgPool2d((2, 2), stride=2)
    )
    c1, s2, *_ = describe_model(clf.fit(X[:200], y[:200]), "custom")["layers"]
    assert (c1["activation"], s2["pooling"]) == ("relu", "avg")


def test_an_unfitted_estimator_is_rejected():
    with pytest.raises(NotFittedError):
        describe_model(LeNet5Classifier(), "unfitted")


def test_names_are_safe_to_show():
    labels = np.where(y[:200] < 5, "low\x1b[0m", "high")
    described = describe_model(LeNet5Classifier(**SMALL).fit(X[:200], labels), "a\nb")
    assert "\x1b" not in "".join(described["classes"])
    assert "\n" not in described["name"]
