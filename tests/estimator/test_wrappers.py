from functools import partial

import numpy as np
import pytest
from wrappers import WRAPPERS

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits

FAST = partial(LeNet5Classifier, max_epochs=8, batch_size=16, lr=0.003, random_state=0)


@pytest.fixture(scope="module")
def small():
    X, y = load_digits(return_X_y=True)
    return (X[:300] / 16).astype(np.float32), y[:300]


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrapper(name, small):
    WRAPPERS[name](FAST, *small)
