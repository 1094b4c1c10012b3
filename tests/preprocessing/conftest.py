import pytest

from sklenet.datasets import load_digits


@pytest.fixture(scope="module")
def X():
    return load_digits().data[:50]
