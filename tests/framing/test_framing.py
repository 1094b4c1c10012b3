import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.framing import (
    assume_framing,
    frame_digit,
    frame_line,
    read_image,
    read_line,
)


def page(height=200, width=160, *, paper=220.0, ink=120.0, box=(60, 50, 60, 24)):
    """Return a page with a rectangle of ink; `box` is (top, left, height, width)."""
    image = np.full((height, width), paper)
    top, left, h, w = box
    image[top : top + h, left : left + w] -= ink
    return image.clip(0, 255).astype(np.uint8)


def photo(digit, rng, *, negative=False):
    """Return a digit of MNIST as a photo of unevenly lit, noisy paper."""
    side = int(rng.integers(120, 400))
    big = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    height, width = rng.integers(side + 20, side + 300, 2)
    top, left = rng.integers(0, height - side), rng.integers(0, width - side)
    across = np.linspace(-1, 1, width)[None] * rng.uniform(-40, 40)
    down = np.linspace(-1, 1, height)[:, None] * rng.uniform(-30, 30)
    image = 200 + across + down
    ink = np.asarray(big, dtype=float) / 255 * rng.uniform(90, 170)
    image[top : top + side, left : left + side] -= ink
    image += rng.normal(0, 6, image.shape)
    image = image.clip(0, 255).astype(np.uint8)
    return 255 - image if negative else image


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
    image = page(220, 240, box=(top, left, height, width))
    framed = frame_digit(255 - image if negative else image, (28, 28))
    assert framed.shape == (28, 28)
    assert framed.dtype == np.uint8
    assert framed.max() == 255
    rows, columns = (np.flatnonzero((framed > 64).any(axis=axis)) for axis in (1, 0))
    assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
    centre = ndimage.center_of_mass(framed)
    assert np.allclose(centre, 13.5, atol=1.01)


def test_dark_on_bright_and_bright_on_dark_give_the_same_result():
    image = page()
    assert np.array_equal(frame_digit(image, (28, 28)), frame_digit(255 - image, (28, 28)))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (page(ink=0), "no digit found: nothing differs from the background"),
        (page(ink=20), "no digit found: nothing differs .* by more than"),
        (page(box=(5, 5, 190, 150)), "no single digit on a plain background"),
        (page(box=(60, 50, 5, 5)), "no digit found"),
    ],
)
def test_pages_without_a_single_digit_raise_an_error_with_the_reason(image, message):
    with pytest.raises(ValueError, match=message):
        frame_digit(image, (28, 28))


def test_two_digits_are_rejected():
    image = page(width=300, box=(60, 30, 60, 24))
    image[60:120, 220:244] -= 120
    with pytest.raises(ValueError, match=r"2 digits found.*Cut them apart"):
        frame_digit(image, (28, 28))


def test_specks_are_ignored():
    image = page()
    clean = frame_digit(image, (28, 28))
    image[5:8, 5:8] = 60
    image[190:193, 150:153] = 60
    assert np.array_equal(frame_digit(image, (28, 28)), clean)


def test_an_image_of_the_right_size_is_only_made_bright_on_dark(tmp_path):
    digit = np.zeros((28, 28), dtype=np.uint8)
    digit[5:20, 12:15] = 200
    for name, image in (("positive", digit), ("negative", 255 - digit)):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
        read = read_image(tmp_path / f"{name}.png", (1, 28, 28))
        assert np.array_equal(read, digit.ravel())


def test_a_whole_image_is_unchanged(tmp_path):
    digit = np.full((28, 28), 255, dtype=np.uint8)
    digit[5:20, 12:15] = 20
    Image.fromarray(digit).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png", (1, 28, 28), framing="whole")
    assert np.array_equal(read, digit.ravel())


def test_an_image_of_the_right_size_is_framed_on_request(tmp_path):
    digit = np.zeros((28, 28), dtype=np.uint8)
    digit[2:12, 3:9] = 200
    Image.fromarray(digit).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png", (1, 28, 28), framing="digit", always=True)
    assert np.array_equal(read.reshape(28, 28), frame_digit(digit, (28, 28)))
    assert np.ptp(np.flatnonzero(read.reshape(28, 28).any(axis=1))) == 19


def test_invalid_framings_are_rejected(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"framing must be .* Got 'line'"):
        read_image(tmp_path / "a.png", (1, 28, 28), framing="line")
    for read in (lambda *a: read_image(*a, framing="digit"), read_line):
        with pytest.raises(ValueError, match=r"for models of grey images, and this .* 3"):
            read(tmp_path / "a.png", (3, 28, 28))


@pytest.mark.parametrize(
    ("shape", "classes", "framing"),
    [
        ((1, 28, 28), np.arange(10), "digit"),
        ((1, 28, 28), np.array(list("0123456789")), "digit"),
        ((1, 28, 28), np.array(list("012345678x")), "whole"),
        ((1, 28, 28), np.arange(1, 11), "whole"),
        ((1, 28, 28), np.arange(5), "whole"),
        ((3, 28, 28), np.arange(10), "whole"),
    ],
)
def test_the_assumed_framing_of_models_without_one(shape, classes, framing):
    assert assume_framing(shape, classes) == framing


def test_colour_transparency_and_orientation_are_respected(tmp_path):
    colours = np.zeros((8, 8, 3), dtype=np.uint8)
    colours[..., 0] = 200
    Image.fromarray(colours).save(tmp_path / "red.png")
    read = read_image(tmp_path / "red.png", (3, 16, 16)).reshape(3, 16, 16)
    assert (read[0] == 200).all()
    assert not read[1:].any()
    ink = np.zeros((28, 28, 4), dtype=np.uint8)
    ink[5:20, 12:15, 3] = 255  # black on a transparent background
    Image.fromarray(ink).save(tmp_path / "clear.png")
    read = read_image(tmp_path / "clear.png", (1, 28, 28)).reshape(28, 28)
    assert (read[5:20, 12:15] == 255).all()
    assert read.sum() == 255 * 45
    upright = page(box=(60, 50, 60, 12))
    turned = Image.fromarray(np.rot90(upright).copy())
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated clockwise by 90 degrees
    turned.save(tmp_path / "turned.png", exif=exif)
    read = read_image(tmp_path / "turned.png", (1, 28, 28)).reshape(28, 28)
    assert np.array_equal(read, frame_digit(upright, (28, 28)))


def test_16_bit_images_are_read_like_8_bit_images(tmp_path):
    image = page()
    Image.fromarray(image).save(tmp_path / "8.png")
    Image.fromarray(image.astype(np.uint16) * 257).save(tmp_path / "16.png")
    eight, sixteen = (read_image(tmp_path / f"{n}.png", (1, 28, 28)) for n in (8, 16))
    assert np.array_equal(eight, sixteen)


def draw_seven(image, left=100, top=80, grey=60):
    """Draw a seven with thick strokes, 90 pixels high and 60 wide, on a page."""
    image[top : top + 12, left : left + 60] = grey
    for k in range(90):
        middle = left + 54 - k // 3
        image[top + k, middle - 6 : middle + 6] = grey
    return image


def tilted(image, slope):
    """Return an image whose columns are shifted down by `slope` pixels per column."""
    shifts = np.round(slope * np.arange(image.shape[1])).astype(int)
    return np.stack([np.roll(c, s) for c, s in zip(image.T, shifts, strict=True)], axis=1)


def underline(image):
    image[180:184, 70:190] = 0


def underline_that_touches(image):
    image[168:172, 70:190] = 0


def ruled(image):
    image[10::45] = 120
    image[11::45] = 120


def grid(image):
    ruled(image)
    image[:, 15::45] = 150


def box(image):
    for rows in (slice(60, 65), slice(185, 190)):
        image[rows, 85:180] = 30
    for columns in (slice(85, 90), slice(175, 180)):
        image[60:190, columns] = 30


def form(image):
    image[64:67, 10:290] = image[187:190, 10:290] = 90
    for left in range(10, 290, 92):
        image[64:190, left : left + 3] = 90


LINES = [underline, underline_that_touches, ruled, grid, box, form]


@pytest.mark.parametrize("slope", [0.0, 0.04])
@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("draw", LINES)
def test_lines_are_removed_and_strokes_that_cross_them_stay(draw, negative, slope):
    page = np.full((300, 300), 250, np.uint8)
    clean = tilted(draw_seven(page.copy()), slope)
    draw(page)
    lined = tilted(np.minimum(page, draw_seven(page.copy())), slope)
    if negative:
        clean, lined = 255 - clean, 255 - lined
    wanted, framed = (frame_digit(p, (28, 28)).astype(float) for p in (clean, lined))
    assert np.corrcoef(wanted.ravel(), framed.ravel())[0, 1] > 0.93


def test_thin_straight_strokes_of_digits_are_not_removed():
    """Strokes like lines: of a one, a seven, a four and an eleven."""
    page = np.full((300, 300), 250, np.uint8)
    one, seven, four, eleven = (page.copy() for _ in range(4))
    one[60:240, 150:154] = 0
    seven[60:64, 100:180] = 0
    seven[60:240, 176:180] = 0
    four[60:160, 100:104] = four[156:160, 100:200] = four[60:240, 170:174] = 0
    for image, height in ((one, 180), (seven, 180), (four, 180)):
        framed = frame_digit(image, (28, 28)) > 64
        assert np.ptp(np.flatnonzero(framed.any(axis=1))) + 1 == 20, height
    assert (frame_digit(seven, (28, 28))[:, 8:12] > 64).any()
    eleven[60:240, 100:104] = eleven[60:240, 160:164] = 0
    assert len(frame_line(eleven, (28, 28))) == 2


def number(*lefts, top=80, width=500):
    page = np.full((250, width), 250, np.uint8)
    for left in lefts:
        draw_seven(page, left, top)
    return page


def test_the_digits_of_a_line_are_read_from_left_to_right():
    (alone,) = frame_line(number(200), (28, 28))
    assert np.array_equal(alone, frame_digit(number(200), (28, 28)))
    page = number(300, 20, 160)
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
        frame_digit(number(20, 160, 300), (28, 28))


def test_pages_without_a_single_line_of_digits_are_rejected():
    page = np.minimum(number(20, 160, top=20), number(20, 160, top=140))
    with pytest.raises(ValueError, match="digits are not in a single line"):
        frame_line(page, (28, 28))
    joined = number(20, 78, 136)
    with pytest.raises(ValueError, match=r"\d times as wide as it is high: several digits"):
        frame_line(joined, (28, 28))
    with pytest.raises(ValueError, match="no digit found"):
        frame_line(np.full((50, 50), 200, np.uint8), (28, 28))


def test_errors_of_read_line_name_the_file(tmp_path):
    Image.fromarray(number(20, 160)).save(tmp_path / "a.png")
    rows = read_line(tmp_path / "a.png", (1, 28, 28))
    assert rows.shape == (2, 784)
    Image.new("L", (50, 50)).save(tmp_path / "blank.png")
    with pytest.raises(ValueError, match=r"blank.png: no digit found"):
        read_line(tmp_path / "blank.png", (1, 28, 28))


def test_real_digits_above_a_line_are_framed_as_without_the_line():
    X, _ = load_digits(return_X_y=True)
    for row in X[:40]:
        image = Image.fromarray((row.reshape(8, 8) * 15).astype(np.uint8))
        page = np.zeros((300, 300), np.uint8)
        page[30:230, 50:250] = image.resize((200, 200), Image.Resampling.BICUBIC)
        wanted = frame_digit(page, (28, 28)).astype(float)
        page[240:244] = 255
        framed = frame_digit(page, (28, 28)).astype(float)
        assert np.corrcoef(wanted.ravel(), framed.ravel())[0, 1] > 0.97


@pytest.mark.real_data("mnist")
def test_photos_of_digits_are_classified_almost_as_well_as_the_digits(real_data):
    from sklenet.datasets import fetch_mnist

    X, y = fetch_mnist(return_X_y=True)
    model = LeNet5Classifier(max_epochs=2, random_state=0).fit(X[:10_000], y[:10_000])
    X, y = fetch_mnist(subset="test", return_X_y=True)
    X, y = X[:200], y[:200]
    rng = np.random.default_rng(0)
    framed = [
        frame_digit(photo(row.reshape(28, 28), rng, negative=k % 2 == 1), (28, 28))
        for k, row in enumerate(X)
    ]
    assert model.score(np.array(framed), y) > model.score(X, y) - 0.03
