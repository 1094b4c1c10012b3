import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklenet.datasets import load_digits
from sklenet.preprocessing import Inverter


@parametrize_with_checks([Inverter()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "float32"])
@pytest.mark.parametrize("maximum", [None, 16, 100])
def test_inverting_twice_gives_the_original(dtype, maximum):
    X = load_digits().data.astype(dtype)
    inverter = Inverter(maximum=maximum)
    negative = inverter.fit_transform(X)
    assert negative.dtype == X.dtype
    assert np.array_equal(negative.astype(int), (maximum or 16) - X.astype(int))
    assert np.array_equal(inverter.transform(negative), X)
    assert np.array_equal(inverter.inverse_transform(negative), X)


def test_maximum_below_the_datas():
    with pytest.raises(
        ValueError, match=r"'maximum' parameter of Inverter is 15.*up to .*16"
    ):
        Inverter(maximum=15).fit(load_digits().data)
