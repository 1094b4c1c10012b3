import numpy as np

from sklenet.network.lecun1998.codes import (
    make_codes,
    make_digit_bitmaps,
    make_separated_codes,
)


def test_bitmaps_of_the_digits():
    bitmaps = make_digit_bitmaps()
    assert bitmaps.shape == (10, 12, 7)
    assert set(np.unique(bitmaps)) == {-1.0, 1.0}
    assert len(np.unique(bitmaps.reshape(10, 84), axis=0)) == 10
    one = ["".join("#" if v > 0 else "." for v in row) for row in bitmaps[1]]
    assert one[:3] == ["...##..", "..###..", ".####.."]
    # Similar digits have similar codes: 8 is closer to 0, 3, 6, 9 than to 1, 4, 7.
    distances = ((bitmaps - bitmaps[8]) ** 2).sum(axis=(1, 2))
    assert distances[[0, 3, 6, 9]].max() < distances[[1, 4, 7]].min()


def test_codes_of_digits_and_of_other_classes():
    bitmaps = make_digit_bitmaps().reshape(10, 84)
    assert np.array_equal(make_codes(np.arange(10), 84), bitmaps)
    assert np.array_equal(make_codes(np.array(["3", "7"]), 84), bitmaps[[3, 7]])
    for classes, length in ((np.arange(11), 84), (np.arange(10), 80), (["a", "b"], 84)):
        codes = make_codes(np.array(classes), length)
        assert codes.shape == (len(classes), length)
        assert np.array_equal(codes, make_separated_codes(len(classes), length))
    for n in (2, 10, 26, 62):
        codes = make_separated_codes(n, 84)
        n_different = (codes[:, None] != codes).sum(axis=2) + 84 * np.eye(n, dtype=int)
        assert n_different.min() >= 84 // 4
        assert set(np.unique(codes)) == {-1.0, 1.0}
