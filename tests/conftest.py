"""Fixtures that all tests share."""

import os
from pathlib import Path

# Set before scipy is imported, otherwise scikit-learn skips its checks of array API input.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest
from hypothesis import settings

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.datasets.registry import DATASETS

# No deadlines, because the machine may be busy.
settings.register_profile("sklenet", deadline=None)
settings.load_profile("sklenet")


@pytest.fixture(scope="session")
def digits():
    """300 embedded training digits as rows of pixels, and the 360 test digits."""
    X, y = load_digits(return_X_y=True)
    X_test, y_test = load_digits(subset="test", return_X_y=True)
    for array in (X, y, X_test, y_test):
        array.flags.writeable = False
    return X[:300], y[:300], X_test, y_test


@pytest.fixture(scope="session")
def fitted(digits):
    """A classifier after 5 epochs on 300 digits, which tests must not change."""
    X, y, *_ = digits
    return LeNet5Classifier(max_epochs=5, batch_size=16, random_state=0).fit(X, y)


@pytest.fixture
def real_data(request):
    """The folder of the data sets, for tests marked ``real_data(names)``."""
    names = request.node.get_closest_marker("real_data").args
    home = os.environ.get("SKLENET_DATA")
    if not home:
        pytest.skip("SKLENET_DATA, the folder of the data sets, is not set")
    for name in names:
        if not (Path(home) / DATASETS[name].source.folder).is_dir():
            pytest.skip(f"no {name} in SKLENET_DATA ({home})")
    return home
