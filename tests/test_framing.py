import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from sklenet import LeNet5Classifier
from sklenet.framing import frame_digit, read_image


def page(height=200, width=160, *, paper=220.0, ink=120.0, box=(60, 50, 60, 24)):
    """Return paper with a rectangle of ink at (top, left), (height, width)."""
    image = np.full((height, width), paper)
    top, left, h, w = box
    image[top : top + h, left : left + w] -= ink
    return image.clip(0, 255).astype(np.uint8)


def photo(digit, rng, *, negative=False):
    """Return a digit of MNIST as it looks on unevenly lit, noisy paper."""
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
def test_the_figure_fills_20_of_28_and_is_centred(height, width, top, left, negative):
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


def test_dark_on_bright_and_bright_on_dark_are_the_same():
    image = page()
    assert np.array_equal(frame_digit(image, (28, 28)), frame_digit(255 - image, (28, 28)))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (page(ink=0), "no figure found: nothing differs from the background"),
        (page(ink=20), "no figure found: nothing differs .* by more than"),
        (page(box=(5, 5, 190, 150)), "no single figure on a plain background"),
        (page(box=(60, 50, 5, 5)), "no figure found"),
    ],
)
def test_what_is_no_figure_is_refused_with_the_reason(image, message):
    with pytest.raises(ValueError, match=message):
        frame_digit(image, (28, 28))


def test_two_figures_are_refused():
    image = page(width=300, box=(60, 30, 60, 24))
    image[60:120, 220:244] -= 120
    with pytest.raises(ValueError, match=r"2 figures found.*cut them apart"):
        frame_digit(image, (28, 28))


def test_specks_of_dust_are_left_out():
    image = page()
    clean = frame_digit(image, (28, 28))
    image[5:8, 5:8] = 60
    image[190:193, 150:153] = 60
    assert np.array_equal(frame_digit(image, (28, 28)), clean)


def test_an_image_of_the_right_size_is_taken_as_it_is(tmp_path):
    digit = np.zeros((28, 28), dtype=np.uint8)
    digit[5:20, 12:15] = 200
    for name, image in (("positive", digit), ("negative", 255 - digit)):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
        read = read_image(tmp_path / f"{name}.png", (1, 28, 28))
        assert np.array_equal(read, digit.ravel())


def test_colour_transparency_and_orientation(tmp_path):
    colours = np.zeros((8, 8, 3), dtype=np.uint8)
    colours[..., 0] = 200
    Image.fromarray(colours).save(tmp_path / "red.png")
    read = read_image(tmp_path / "red.png", (3, 16, 16)).reshape(3, 16, 16)
    assert (read[0] == 200).all()
    assert not read[1:].any()
    ink = np.zeros((28, 28, 4), dtype=np.uint8)
    ink[5:20, 12:15, 3] = 255  # black on nothing
    Image.fromarray(ink).save(tmp_path / "clear.png")
    read = read_image(tmp_path / "clear.png", (1, 28, 28)).reshape(28, 28)
    assert (read[5:20, 12:15] == 255).all()
    assert read.sum() == 255 * 45
    upright = page(box=(60, 50, 60, 12))
    turned = Image.fromarray(np.rot90(upright).copy())
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by a quarter
    turned.save(tmp_path / "turned.png", exif=exif)
    read = read_image(tmp_path / "turned.png", (1, 28, 28)).reshape(28, 28)
    assert np.array_equal(read, frame_digit(upright, (28, 28)))


def test_16_bits_of_grey_are_read_as_8(tmp_path):
    image = page()
    Image.fromarray(image).save(tmp_path / "8.png")
    Image.fromarray(image.astype(np.uint16) * 257).save(tmp_path / "16.png")
    eight, sixteen = (read_image(tmp_path / f"{n}.png", (1, 28, 28)) for n in (8, 16))
    assert np.array_equal(eight, sixteen)


@pytest.mark.real_data("mnist")
def test_photos_of_digits_are_read_about_as_well_as_the_digits(real_data):
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
