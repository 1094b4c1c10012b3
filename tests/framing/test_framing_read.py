import numpy as np
import pytest
from drawn_pages import draw_page, draw_sevens
from PIL import Image

from sklenet.framing import assume_framing, frame_digit, read_image, read_line


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
    upright = draw_page(box=(60, 50, 60, 12))
    turned = Image.fromarray(np.rot90(upright).copy())
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated clockwise by 90 degrees
    turned.save(tmp_path / "turned.png", exif=exif)
    read = read_image(tmp_path / "turned.png", (1, 28, 28)).reshape(28, 28)
    assert np.array_equal(read, frame_digit(upright, (28, 28)))


def test_16_bit_images_are_read_like_8_bit_images(tmp_path):
    image = draw_page()
    Image.fromarray(image).save(tmp_path / "8.png")
    Image.fromarray(image.astype(np.uint16) * 257).save(tmp_path / "16.png")
    eight, sixteen = (read_image(tmp_path / f"{n}.png", (1, 28, 28)) for n in (8, 16))
    assert np.array_equal(eight, sixteen)


def test_errors_of_read_line_name_the_file(tmp_path):
    Image.fromarray(draw_sevens(20, 160)).save(tmp_path / "a.png")
    rows = read_line(tmp_path / "a.png", (1, 28, 28))
    assert rows.shape == (2, 784)
    Image.new("L", (50, 50)).save(tmp_path / "blank.png")
    with pytest.raises(ValueError, match=r"blank.png: no digit found"):
        read_line(tmp_path / "blank.png", (1, 28, 28))
