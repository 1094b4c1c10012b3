import numpy as np
import pytest
from drawn_pages import draw_page, draw_sevens, make_photo
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from sklenet import LeNet5Classifier
from sklenet.datasets import fetch_mnist
from sklenet.framing import frame_digit, frame_line


@settings(max_examples=40)
@given(
    height=st.integers(10, 120),
    width=st.integers(10, 120),
    top=st.integers(20, 60),
    left=st.integers(20, 60),
    negative=st.booleans(),
)
def test_the_digit_fills_20_of_28_pixels_and_is_centred(height, width, top, left, negative):
    if max(height, width) < 20:
        height = 20
    image = draw_page(220, 240, box=(top, left, height, width))
    framed = frame_digit(255 - image if negative else image, (28, 28))
    assert framed.shape == (28, 28)
    assert framed.dtype == np.uint8
    assert framed.max() == 255
    rows, columns = (np.flatnonzero((framed > 64).any(axis=axis)) for axis in (1, 0))
    assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
    centre = ndimage.center_of_mass(framed)
    assert np.allclose(centre, 13.5, atol=1.01)


def test_dark_on_bright_and_bright_on_dark_give_the_same_result():
    image = draw_page()
    assert np.array_equal(frame_digit(image, (28, 28)), frame_digit(255 - image, (28, 28)))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (draw_page(ink=0), "no digit found: nothing differs from the background"),
        (draw_page(ink=20), "no digit found: nothing differs .* by more than"),
        (draw_page(box=(5, 5, 190, 150)), "no single digit on a plain background"),
        (draw_page(box=(60, 50, 5, 5)), "no digit found"),
    ],
)
def test_pages_without_a_single_digit_raise_an_error_with_the_reason(image, message):
    with pytest.raises(ValueError, match=message):
        frame_digit(image, (28, 28))


def test_two_digits_are_rejected():
    image = draw_page(width=300, box=(60, 30, 60, 24))
    image[60:120, 220:244] -= 120
    with pytest.raises(ValueError, match=r"2 digits found.*Cut them apart"):
        frame_digit(image, (28, 28))


def test_specks_are_ignored():
    image = draw_page()
    clean = frame_digit(image, (28, 28))
    image[5:8, 5:8] = 60
    image[190:193, 150:153] = 60
    assert np.array_equal(frame_digit(image, (28, 28)), clean)


def test_the_digits_of_a_line_are_read_from_left_to_right():
    (alone,) = frame_line(draw_sevens(200), (28, 28))
    assert np.array_equal(alone, frame_digit(draw_sevens(200), (28, 28)))
    page = draw_sevens(300, 20, 160)
    page[100:160, 165:195] = 250  # removes the foot of the digit in the middle
    digits = frame_line(page, (28, 28))
    assert digits.shape == (3, 28, 28)
    assert digits.dtype == np.uint8
    assert np.abs(digits[0].astype(int) - alone).max() < 60
    assert np.abs(digits[2].astype(int) - alone).max() < 60
    page[190:194, :] = 0
    assert len(frame_line(page, (28, 28))) == 3


def test_the_error_for_several_digits_suggests_reading_a_line():
    with pytest.raises(ValueError, match=r"3 digits found.*--framing line"):
        frame_digit(draw_sevens(20, 160, 300), (28, 28))


def test_pages_without_a_single_line_of_digits_are_rejected():
    page = np.minimum(draw_sevens(20, 160, top=20), draw_sevens(20, 160, top=140))
    with pytest.raises(ValueError, match="digits are not in a single line"):
        frame_line(page, (28, 28))
    joined = draw_sevens(20, 78, 136)
    with pytest.raises(ValueError, match=r"\d times as wide as it is high: several digits"):
        frame_line(joined, (28, 28))
    with pytest.raises(ValueError, match="no digit found"):
        frame_line(np.full((50, 50), 200, np.uint8), (28, 28))


@pytest.mark.real_data("mnist")
def test_photos_of_digits_are_classified_almost_as_well_as_the_digits(real_data):
    X, y = fetch_mnist(return_X_y=True)
    model = LeNet5Classifier(max_epochs=2, random_state=0).fit(X[:10_000], y[:10_000])
    X, y = fetch_mnist(subset="test", return_X_y=True)
    X, y = X[:200], y[:200]
    rng = np.random.default_rng(0)
    framed = [
        frame_digit(make_photo(row.reshape(28, 28), rng, negative=k % 2 == 1), (28, 28))
        for k, row in enumerate(X)
    ]
    assert model.score(np.array(framed), y) > model.score(X, y) - 0.03
