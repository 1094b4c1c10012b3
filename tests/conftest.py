import os
from pathlib import Path

# Before scipy is imported: scikit-learn's checks of array API input are skipped without.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest
from hypothesis import settings

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.datasets.registry import DATASETS

# A test's time is the machine's, which may be busy with other things.
settings.register_profile("sklenet", deadline=None)
settings.load_profile("sklenet")


@pytest.fixture(scope="session")
def digits():
    """300 real training digits, flat, in 10 classes, and the 360 test digits."""
    X, y = load_digits(return_X_y=True)
    X_test, y_test = load_digits(subset="test", return_X_y=True)
    for array in (X, y, X_test, y_test):
        array.flags.writeable = False
    return X[:300], y[:300], X_test, y_test


@pytest.fixture(scope="session")
def fitted(digits):
    """A classifier after 5 epochs on 300 digits; not to be changed."""
    X, y, *_ = digits
    return LeNet5Classifier(max_epochs=5, batch_size=16, random_state=0).fit(X, y)


@pytest.fixture
def real_data(request):
    """The data home, for tests marked ``real_data(names)``."""
    names = request.node.get_closest_marker("real_data").args
    home = os.environ.get("SKLENET_DATA")
    if not home:
        pytest.skip("SKLENET_DATA names no folder of real data sets")
    for name in names:
        if not (Path(home) / DATASETS[name].source.folder).is_dir():
            pytest.skip(f"no {name} in SKLENET_DATA ({home})")
    return home
