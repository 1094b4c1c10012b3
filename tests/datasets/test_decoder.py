"""The decoder: formats, bit depth, transparency, orientation, limits, damaged files."""

import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from sklenet._utils.printable import make_printable
from sklenet.datasets import load_image_folder
from sklenet.datasets.decoder import FORMATS, decode_image, resize_and_pad
from sklenet.framing import read_image

GREY = np.random.default_rng(0).integers(0, 256, (40, 30), dtype=np.uint8)


def decode(image, path, channels=1, **options):
    image.save(path, **options)
    return decode_image(path, channels)


def max_difference(one, other):
    return np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max()


def tiff(pixels: bytes, bits: int, photometric: int) -> bytes:
    """Return an uncompressed TIFF of 30x40 grey pixels."""
    tags = [(256, 30), (257, 40), (258, bits), (259, 1), (262, photometric)]
    tags += [(273, 8 + 2 + 9 * 12 + 4), (277, 1), (278, 40), (279, len(pixels))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + pixels


def png(width: int, height: int, colour: int, bits: int, rows=None) -> bytes:
    """Return a PNG file of a black image, or only of its first rows."""
    row = b"\0" + bytes((width * {0: 1, 2: 3, 6: 4}[colour] * bits + 7) // 8)
    compressor = zlib.compressobj(1)
    n_rows = rows or height
    data = b"".join(compressor.compress(row) for _ in range(n_rows)) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


@pytest.mark.parametrize(
    "suffix",
    [
        *("png", "apng", "bmp", "dib", "gif", "tif", "tiff", "jp2", "j2k", "pgm", "ppm"),
        *("pcx", "sgi", "tga", "dds", "qoi", "webp", "jpg", "jpeg", "jpe", "jfif"),
        *("avif", "mpo"),
    ],
)
def test_every_format_gives_the_same_pixels(suffix, tmp_path):
    smooth = Image.fromarray(GREY).resize((30, 40)).resize((8, 8)).resize((64, 64))
    image = smooth.convert("RGB") if suffix in ("qoi", "mpo") else smooth
    options = {"lossless": True} if suffix == "webp" else {}
    (tmp_path / "class").mkdir()
    path = tmp_path / "class" / f"image.{suffix}"
    exact = suffix not in ("jpg", "jpeg", "jpe", "jfif", "avif", "mpo")
    assert max_difference(decode(image, path, **options), smooth) <= (0 if exact else 25)
    bunch = load_image_folder(tmp_path, image_shape=(64, 64))
    assert np.array_equal(bunch.data[0], read_image(path, (1, 64, 64), framing="whole"))
    assert bunch.skipped == []


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_is_converted(mode, tmp_path):
    if mode == "YCbCr" and PIL.__version__ < "13":
        pytest.skip("Pillow before 13 cannot decode YCbCr that is not compressed")
    image = Image.fromarray(np.where(GREY > 127, 255, 0).astype(np.uint8)).convert(mode)
    suffix = {"CMYK": "tif", "YCbCr": "tif"}.get(mode, "png")
    for channels in (1, 3):
        read = decode(image, tmp_path / f"image.{suffix}", channels)
        wanted = np.asarray(image.convert("RGB"))
        assert read.shape == ((40, 30) if channels == 1 else (40, 30, 3))
        assert max_difference(read, wanted[..., 0] if channels == 1 else wanted) <= 1


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm", "jp2"])
def test_16_bits_are_scaled_by_the_bit_depth_and_not_by_the_maximum(suffix, tmp_path):
    dark = GREY // 4 + 20
    for levels in (GREY, dark):
        deep = Image.fromarray(levels.astype(np.uint16) * 257)
        assert max_difference(decode(deep, tmp_path / f"deep.{suffix}"), levels) == 0


@pytest.mark.parametrize("maximum", [15, 255, 1000, 1023, 4095, 65535])
def test_the_maximum_of_a_pgm_is_white(maximum, tmp_path):
    levels = np.round(GREY / 255 * maximum)
    kind = ">u2" if maximum > 255 else "u1"
    header = b"P5\n30 40\n%d\n" % maximum
    (tmp_path / "a.pgm").write_bytes(header + levels.astype(kind).tobytes())
    wanted = levels / maximum * 255
    assert np.abs(decode_image(tmp_path / "a.pgm", 1) - wanted).max() <= 0.51


def test_a_tiff_with_12_bits_or_with_zero_as_white(tmp_path):
    rows = []
    for row in np.round(GREY / 255 * 4095).astype(int):
        rows.append(int("".join(f"{v:012b}" for v in row), 2).to_bytes(45, "big"))
    (tmp_path / "12.tif").write_bytes(tiff(b"".join(rows), 12, 1))
    assert max_difference(decode_image(tmp_path / "12.tif", 1), GREY) <= 1
    inverted = ((255 - GREY).astype("<u2") * 257).tobytes()
    (tmp_path / "white.tif").write_bytes(tiff(inverted, 16, 0))
    assert max_difference(decode_image(tmp_path / "white.tif", 1), GREY) == 0


def test_32_bit_integers_and_floating_point_pixels(tmp_path):
    levels = GREY.astype(np.int64) * (2**31 - 1) // 255
    signed = Image.fromarray(levels.astype(np.int32))
    assert max_difference(decode(signed, tmp_path / "32.tif"), GREY) == 0
    for suffix in ("tif", "pfm"):
        numbers = Image.fromarray((GREY / 255).astype(np.float32))
        assert max_difference(decode(numbers, tmp_path / f"a.{suffix}"), GREY) == 0


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (
            (GREY // 4).astype(np.uint16),
            "from 0 to 63, while those of the file can range from 0 to 65535",
        ),
        (GREY.astype(np.uint16) * 16, "from 0 to 4080, while .* range from 0 to 65535"),
        (GREY.astype(np.int32), "from 0 to 255, while .* range from 0 to 2.14748e.09"),
        (GREY.astype(np.int32) - 9, "from -9 to 246, but .* 0 .black. and 2.14748e.09"),
        (
            GREY.astype(np.float32),
            "from 0 to 255, but must be between 0 .black. and 1 .white.",
        ),
        (np.full((9, 9), np.nan, np.float32), "not all of its pixel values are finite"),
    ],
)
def test_pixels_that_do_not_match_the_range_of_their_file_are_rejected(
    pixels, message, tmp_path
):
    with pytest.raises(ValueError, match=rf"a.tif: .*{message}"):
        decode(Image.fromarray(pixels), tmp_path / "a.tif")


@pytest.mark.parametrize("ink", [0, 100, 200, 255])
@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "L16"])
@pytest.mark.parametrize("side", [28, 100])
def test_ink_on_a_transparent_background_is_preserved(ink, mode, side, tmp_path):
    opaque = np.zeros((side, side), np.uint8)
    opaque[side // 4 : side * 3 // 4, side * 3 // 7 : side * 4 // 7] = 255
    if mode == "P":
        image = Image.fromarray(opaque // 255)
        image.putpalette([ink ^ 1] * 3 + [ink] * 3)
        options = {"transparency": 0}
    elif mode == "L16":
        clear = np.where(opaque > 0, ink * 257, 12345)
        image, options = Image.fromarray(clear.astype(np.uint16)), {"transparency": 12345}
    else:
        grey = Image.fromarray(np.full_like(opaque, ink))
        image, options = Image.merge("LA", [grey, Image.fromarray(opaque)]), {}
        image = image.convert(mode)
    read = decode(image, tmp_path / "a.png", **options)
    paper = 0 if ink > 127 else 255
    assert max_difference(read, np.where(opaque > 0, ink, paper)) <= 1
    framed = read_image(tmp_path / "a.png", (1, 28, 28)).reshape(28, 28)
    assert framed[10, 14] > 90
    assert framed[0].max() == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_a_completely_transparent_image_is_rejected(channels, tmp_path):
    with pytest.raises(ValueError, match="the image is completely transparent"):
        decode(Image.new("RGBA", (28, 28), (9, 9, 9, 0)), tmp_path / "a.png", channels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
def test_images_are_turned_upright_by_their_exif_orientation(orientation, suffix, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {"quality": 100}
    image = Image.fromarray(np.kron(GREY[:5, :4], np.ones((8, 8), np.uint8)))
    read = decode(image, tmp_path / f"a.{suffix}", exif=exif, **options)
    flips = {1: "", 2: "h", 3: "hv", 4: "v", 5: "t", 6: "th", 7: "thv", 8: "tv"}
    wanted = np.asarray(image)
    for flip in flips[orientation]:
        wanted = {"h": wanted[:, ::-1], "v": wanted[::-1], "t": wanted.T}[flip]
    assert max_difference(read, wanted) <= (4 if suffix == "jpg" else 0)


def test_a_damaged_orientation_is_ignored(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert np.array_equal(decode_image(tmp_path / "a.png", 1), GREY)


# Files that are not images, damaged or malicious files


def test_the_format_is_recognised_by_the_content(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.jpg", format="PNG")
    assert np.array_equal(decode_image(tmp_path / "a.jpg", 1), GREY)
    program = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n({tmp_path}/x) (w) file\n"
    (tmp_path / "a.png").write_text(program)
    with pytest.raises(ValueError, match=r"a.png: not an image that can be read.*PNG"):
        decode_image(tmp_path / "a.png", 1)
    for name in ("EPS", "WMF", "MPEG", "HDF5", "GRIB", "BUFR", "IPTC", "ICNS"):
        assert name not in FORMATS


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
@pytest.mark.parametrize("suffix", ["heic", "HEIF", "hif", "jpg"])
def test_the_error_for_heic_suggests_pillow_heif(brand, suffix, tmp_path):
    (tmp_path / "class").mkdir()
    path = tmp_path / "class" / f"a.{suffix}"
    path.write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(100))
    remedy = r"pip install pillow-heif\); or convert the image to JPEG"
    with pytest.raises(ValueError, match=remedy):
        decode_image(path, 1)
    with pytest.raises(OSError, match=remedy):
        load_image_folder(tmp_path)


HEIF = """
import sys
sys.path.insert(0, sys.argv[1])
from sklenet.datasets.decoder import decode_image
print(decode_image(sys.argv[2], 1).shape)
"""


def test_heic_is_read_if_pillow_heif_is_installed(tmp_path):
    # A replacement that provides the only function of pillow-heif that is called.
    (tmp_path / "pillow_heif.py").write_text(
        "from PIL import Image, ImageFile\n"
        "class Heif(ImageFile.ImageFile):\n"
        "    format = 'HEIF'\n"
        "    def _open(self):\n"
        "        self._size, self._mode, self.tile = (7, 5), 'L', []\n"
        "        self.im = Image.core.new('L', (7, 5))\n"
        "def register_heif_opener():\n"
        "    Image.register_open('HEIF', Heif, lambda prefix: prefix[4:8] == b'ftyp')\n"
    )
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    done = subprocess.run(
        [sys.executable, "-c", HEIF, str(tmp_path), str(tmp_path / "a.heic")],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "(5, 7)\n", done.stderr


def test_special_files_do_not_block(tmp_path):
    (tmp_path / "class").mkdir()
    os.mkfifo(tmp_path / "class" / "pipe.png")
    (tmp_path / "class" / "link.png").symlink_to("/dev/zero")
    (tmp_path / "class" / "none.png").symlink_to("nowhere")
    (tmp_path / "class" / "folder.png").mkdir()
    Image.fromarray(GREY).save(tmp_path / "class" / "folder.png" / "image.png")
    bunch = load_image_folder(tmp_path, on_error="skip")
    reasons = {file.split("/")[-1]: reason for file, reason in bunch.skipped}
    assert reasons == {
        "pipe.png": "not a regular file.",
        "link.png": "not a regular file.",
        "none.png": "No such file or directory.",
    }
    for name in (".", "class/pipe.png"):
        with pytest.raises(ValueError, match="not a regular file"):
            decode_image(tmp_path / name, 1)


def test_control_characters_in_file_names_are_escaped(tmp_path):
    path = tmp_path / "a\x1b[31m\n\udcff.png"
    with pytest.raises(ValueError, match="No such file") as error:
        decode_image(path, 1)
    assert str(error.value).isprintable()
    assert make_printable("é\x1b") == "é\\x1b"


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    """Bytes of an image in formats whose decoders are written in C or in Python."""
    folder = tmp_path_factory.mktemp("whole")
    image = Image.fromarray(GREY).convert("RGB")
    contents = {}
    for suffix in ("png", "jpg", "webp", "avif", "tif", "gif", "bmp", "jp2", "pcx", "tga"):
        image.save(folder / f"a.{suffix}")
        contents[suffix] = (folder / f"a.{suffix}").read_bytes()
    return contents


@settings(max_examples=150)
@given(data=st.data())
def test_damaged_images_raise_an_error_that_names_the_file(
    whole_files, tmp_path_factory, data
):
    suffix = data.draw(st.sampled_from(sorted(whole_files)))
    content = bytearray(whole_files[suffix])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(
            st.integers(0, 255)
        )
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        pixels = decode_image(path, 3)
    except ValueError as raised:
        error = str(raised)
    else:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        return
    assert error.startswith(f"{path}: ")


def test_large_images_are_reduced_but_not_below_the_minimum_size(tmp_path):
    image = Image.fromarray(GREY).resize((2400, 2100))
    reduced = decode(image, tmp_path / "a.png")
    assert reduced.shape == (1050, 1200)
    assert max_difference(reduced, image.reduce(2)) <= 1
    assert decode_image(tmp_path / "a.png", 1, (2100, 2400)).shape == (2100, 2400)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(image, tmp_path / "a.jpg", exif=exif).shape == (1200, 1050)


PEAK = """
import sys
from pathlib import Path
from sklenet.cli import main
from sklenet.datasets.decoder import decode_image

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024  # not rusage: the parent's

imported = peak()
for path in sys.argv[2:]:
    try:
        print(decode_image(path, int(sys.argv[1])).shape)
    except ValueError as error:
        print(error)
print(peak() - imported)
"""


def measure(channels, *paths):
    """Return the lines printed for the images, and the megabytes that decoding takes.

    The process has 340 MB after its imports with the pinned torch; builds with CUDA are
    larger.
    """
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(channels), *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, peak = done.stdout.splitlines()
    return lines, int(peak)


def test_huge_images_are_rejected_before_they_are_decoded(tmp_path):
    bombs = []
    for k, size in enumerate([(50_000, 50_000, 0, 1), (20_000, 20_000, 2, 8)]):
        bombs.append(tmp_path / f"{k}.png")
        bombs[-1].write_bytes(png(*size, rows=100))
    tile = tiff(b"", 8, 1).replace(
        struct.pack("<HHI", 273, 4, 1), struct.pack("<HHI", 322, 4, 1)
    )
    bombs.append(tmp_path / "many.tif")
    bombs[-1].write_bytes(
        tile.replace(struct.pack("<II", 1, 30), struct.pack("<II", 1, 65535))
    )
    lines, peak = measure(1, *bombs)
    assert (
        "an image of 50000 x 50000 pixels, but the limit for this kind of PNG" in lines[0]
    )
    assert "an image of 20000 x 20000 pixels" in lines[1]
    assert "many.tif: " in lines[2]
    assert peak < 60


def test_decoding_200_megapixels_takes_less_than_500_megabytes(tmp_path):
    small = Image.fromarray(np.kron(GREY, np.ones((64, 68), np.uint8)))
    photo = tmp_path / "photo.jpg"
    small.resize((16_320, 12_240), Image.Resampling.NEAREST).save(photo, quality=50)
    lines, peak = measure(3, photo)
    assert lines == ["(1530, 2040, 3)"]
    assert peak < 160
    largest = tmp_path / "largest.png"
    largest.write_bytes(png(5200, 5300, 6, 8))  # decoded before its transparency is known
    lines, peak = measure(3, largest)
    assert "completely transparent" in lines[0]
    assert peak < 160


def test_large_jpegs_with_several_scans_are_rejected(tmp_path):
    image = Image.fromarray(np.kron(GREY, np.ones((150, 250), np.uint8)))  # 7500 x 6000
    image.save(tmp_path / "a.jpg", progressive=True, quality=30)
    assert decode_image(tmp_path / "a.jpg", 1).shape == (1500, 1875)
    colour = image.convert("RGB")
    colour.save(tmp_path / "b.jpg", progressive=True, quality=30, subsampling=0)
    with pytest.raises(ValueError, match="a baseline JPEG"):
        decode_image(tmp_path / "b.jpg", 3)


def test_resize_and_pad_keeps_the_aspect_ratio():
    wide = np.full((10, 40, 3), (200, 100, 0), np.uint8)
    wide[3:7, 10:30] = 0
    padded = resize_and_pad(wide, (20, 20))
    assert (padded[[0, 1, 18, 19]] == (200, 100, 0)).all()
    assert (padded[9, 10] == 0).all()
    assert resize_and_pad(wide, (10, 40)) is wide


def test_global_settings_of_pillow_are_unchanged(tmp_path):
    before = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK
    decode(Image.fromarray(GREY), tmp_path / "a.png")
    assert before == (Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK)
