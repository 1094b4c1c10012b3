import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklenet.images.canvas import Canvas
from sklenet.images.views import View, make_views, read_views

IMAGE = torch.arange(1, 785, dtype=torch.float32)[None]


def test_without_views_there_is_the_image_itself():
    canvas = Canvas((1, 28, 28))
    assert make_views(canvas, None) == [canvas]


@pytest.mark.parametrize(
    ("views", "changes"),
    [
        ("flip", [(True, 0, 0)]),
        ("shift", [(False, -1, 0), (False, 1, 0), (False, 0, -1), (False, 0, 1)]),
        (
            {"shift": 3},
            [(False, -3, 0), (False, 3, 0), (False, 0, -3), (False, 0, 3)],
        ),
        (
            ["flip", {"shift": 2}],
            [
                *((False, -2, 0), (False, 2, 0), (False, 0, -2), (False, 0, 2)),
                *((True, 0, 0), (True, -2, 0), (True, 2, 0), (True, 0, -2), (True, 0, 2)),
            ],
        ),
    ],
)
def test_views_are_mirrored_and_shifted(views, changes):
    canvas = Canvas((1, 28, 28), 0, 784)
    first, *others = make_views(canvas, views)
    assert first == canvas
    assert [(view.is_flipped, view.down, view.right) for view in others] == changes


@given(
    arrays(np.uint8, (2, 3 * 6 * 5)),
    st.booleans(),
    st.integers(-16, 16),
    st.integers(-16, 16),
    st.sampled_from([None, 0, 2]),
    st.sampled_from([None, (-0.1, 1.175)]),
)
def test_a_view_is_the_image_moved_over_background(
    rows, is_flipped, down, right, padding, feature_range
):
    own = ((3, 6, 5), 0, 255, feature_range, padding)
    canvas = Canvas(*own)
    images = canvas(torch.from_numpy(rows))
    images = images.flip(3) if is_flipped else images
    views = View(*own, is_flipped, down, right)(torch.from_numpy(rows))
    _, height, width = canvas.shape
    for i in range(height):
        for j in range(width):
            is_inside = 0 <= i - down < height and 0 <= j - right < width
            expected = images[:, :, i - down, j - right] if is_inside else canvas.background
            assert (views[:, :, i, j] == expected).all()


def test_a_shift_of_an_mnist_image_loses_no_pixel():
    down = View((1, 28, 28), 0, 784, None, down=2)(IMAGE)
    assert torch.equal(down[0, 0, 4:, 2:-2], IMAGE.view(28, 28))
    assert not down[0, 0, :4].any()


@pytest.mark.parametrize(
    ("views", "meaning"),
    [
        (None, (False, 0)),
        ([], (False, 0)),
        (("flip",), (True, 0)),
        (["flip", "shift"], (True, 1)),
        ([{"shift": 2}, "flip"], (True, 2)),
        (["shift", {"shift": 2}], (False, 2)),
        ([{"shift": np.int64(2)}], (False, 2)),
    ],
)
def test_views_can_be_written_in_several_ways(views, meaning):
    assert read_views(views) == meaning


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ("mirror", "must be made of 'flip', 'shift' and {'shift': distance}.*Got 'mirror'"),
        ({"flip": 0.5}, re.escape("Got {'flip': 0.5}")),
        ({}, re.escape("Got {}")),
        ([["flip"]], re.escape("Got ['flip']")),
        ([2], "Got 2"),
        (2, "Got 2"),
        (iter(["flip"]), "Got <list_iter"),
        ({"flip", "shift"}, "Got {'flip', 'shift'}"),
        ({"shift": 2, "flip": 1}, "Got {'flip': 1, 'shift': 2}"),
        ({"shift": 0}, "'shift': 0, but.* must be a whole number from 1 to 16"),
        ({"shift": 17}, "'shift': 17"),
        ({"shift": 1.5}, r"'shift': 1\.5"),
        ({"shift": True}, "'shift': True"),
        ({"shift": None}, "'shift': None"),
    ],
)
def test_other_views_are_errors(views, message):
    with pytest.raises(ValueError, match=f"The 'views' parameter .*{message}"):
        read_views(views)
