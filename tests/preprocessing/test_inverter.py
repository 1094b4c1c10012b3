import numpy as np
import pytest

from sklenet.preprocessing import Inverter


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "float32"])
@pytest.mark.parametrize("maximum", [None, 16, 100])
def test_inverting_twice_restores_the_image(dtype, maximum, X):
    X = X.astype(dtype)
    inverter = Inverter(maximum=maximum)
    negative = inverter.fit_transform(X)
    assert negative.dtype == X.dtype
    assert np.array_equal(negative.astype(int), (maximum or 16) - X.astype(int))
    assert np.array_equal(inverter.transform(negative), X)
    assert np.array_equal(inverter.inverse_transform(negative), X)


def test_a_maximum_below_that_of_X_is_rejected(X):
    with pytest.raises(
        ValueError, match=r"'maximum' parameter of Inverter is 15.*up to .*16"
    ):
        Inverter(maximum=15).fit(X)
    with pytest.raises(ValueError, match="up to 16: its data type uint8 cannot hold"):
        Inverter(maximum=15).transform(X)
