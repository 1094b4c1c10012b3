"""Image files as arrays of bytes: the one decoder of all that reads image files.

`load_image_folder` and `sklenet.framing.read_image`, which `sklenet predict` uses, both
call `decode_image`, so that a file has the same pixels everywhere.
"""

import functools
import importlib
import mimetypes
import os
import stat
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, JpegImagePlugin

from sklenet._utils.printable import make_printable

# Formats that Pillow decodes by itself, from the file alone. Left out are those that start
# a program (EPS), call the system's renderer (WMF), need a handler (BUFR, GRIB, HDF5), hold
# files of other formats (ICNS, ICO, IPTC) or are recognised by their content's plausibility
# only (SPIDER), and IM, which Pillow is about to drop. TGA has no signature either and is
# tried last.
FORMATS = (
    "PNG",
    "JPEG",
    "WEBP",
    "TIFF",
    "GIF",
    "BMP",
    "DIB",
    "AVIF",
    "JPEG2000",
    "PPM",
    "QOI",
    "PCX",
    "DCX",
    "SGI",
    "SUN",
    "PSD",
    "DDS",
    "MSP",
    "XBM",
    "TGA",
)

# The memory that decoding one image may take. Together with the libraries of the command
# it stays below 500 MB.
MAX_DECODED_BYTES = 112_000_000
# Baseline JPEGs are decoded at an eighth of their size, which takes time but no memory.
MAX_JPEG_PIXELS = 500_000_000

# Bytes that a pixel takes while it is decoded, beyond what Pillow keeps of it.
_DECODER_BYTES = {"WEBP": 12, "AVIF": 8, "JPEG2000": 16, "PPM": 6}

# An image of more pixels than this is made smaller while it is converted.
_MAX_CONVERTED_PIXELS = 4_000_000
_LEAST_SIDE = 1024

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_HEIF_SUFFIXES = {".heic", ".heif", ".hif"}
_HEIF_REMEDY = (
    "HEIC images are read where the package pillow-heif is installed (pip install"
    " pillow-heif); or convert the image to JPEG or PNG"
)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112


class _Unreadable(Exception):
    """The reason why a file cannot be read, for the user."""


def decode_image(path, channels: int, least: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Return the pixels of an image file.

    The image is turned upright by its EXIF orientation. Pixels are scaled by the depth of
    the file, never by their own maximum: an image of 10, 12 or 16 bits is that of 8 bits
    with the same brightness, and floating-point pixels go from 0 (black) to 1 (white). A
    transparent image is put on white if what is opaque is dark, and on black if it is
    bright. Of a file with several images the first is read.

    An image with more than 4 million pixels may come out smaller, but not smaller than
    1024 pixels or `least`.

    Parameters
    ----------
    path : str or path-like
        A file of one of the `FORMATS`, whatever its name.
    channels : {1, 3}
        1 for a grey image, 3 for RGB.
    least : tuple of int (height, width)
        The size below which the image is not made smaller.

    Returns
    -------
    ndarray of shape (h, w) or (h, w, 3), uint8

    Raises
    ------
    ValueError
        If the file cannot be read as an image. The message has the name of the file.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _Unreadable("not a regular file")
        with path.open("rb") as file:
            return _decode(file, channels, least)
    except _Unreadable as error:
        raise ValueError(f"{make_printable(path)}: {error}.") from None
    except OSError as error:
        reason = error.strerror or f"damaged, or not supported ({make_printable(error)})"
        raise ValueError(f"{make_printable(path)}: {reason}.") from error
    except Exception as error:
        # Pillow's plugins raise many kinds of errors on damaged files.
        reason = make_printable(error) or type(error).__name__
        raise ValueError(
            f"{make_printable(path)}: damaged, or not supported ({reason})."
        ) from error


def resize_and_pad(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the whole image in another size, its proportions kept.

    Parameters
    ----------
    pixels : ndarray of shape (h, w) or (h, w, 3), uint8
    size : tuple of int (height, width)

    Returns
    -------
    ndarray of shape (height, width) or (height, width, 3), uint8
        The image is centred. Its margins, if its proportions are others, have the median
        colour of its corners.
    """
    if pixels.shape[:2] == tuple(size):
        return pixels
    image, (height, width) = Image.fromarray(pixels), size
    scale = min(width / image.width, height / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    resampling = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
    fitted = np.empty((height, width, *pixels.shape[2:]), np.uint8)
    fitted[:] = np.median(corners, axis=0).astype(np.uint8)
    top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
    fitted[top : top + inner[1], left : left + inner[0]] = image.resize(inner, resampling)
    return fitted


def is_image_name(name: str) -> bool:
    """Return whether a file's name ends as that of an image, readable or not."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in _HEIF_SUFFIXES or suffix in Image.registered_extensions():
        return suffix != ".pdf"  # Pillow writes it only
    return (_types().guess_type(f"image{suffix}")[0] or "").startswith("image/")


@functools.cache
def _types() -> mimetypes.MimeTypes:
    return mimetypes.MimeTypes()  # without the system's own lists


def _decode(file: BinaryIO, channels: int, least: tuple[int, int]) -> np.ndarray:
    image = _open(file)
    if not image.width * image.height:
        raise _Unreadable("an image without pixels")
    _check_size(image, file, least)
    depth = _Depth(image)  # from the header: loading closes it
    image.load()
    factor = _factor(image, least)
    colours, alpha = _convert(image, "L" if channels == 1 else "RGB", factor, depth)
    depth.check()
    if alpha is not None:
        colours = _put_on_paper(colours, alpha)
    turn = _UPRIGHT.get(_orientation(image) or 1)
    if turn is not None:
        colours = np.asarray(Image.fromarray(colours).transpose(turn))
    return colours


def _open(file: BinaryIO) -> Image.Image:
    """Return the image, its header read.

    `PIL.Image.open` does the same, but checks the size against a global limit, of which
    it warns before anything can be decided here.
    """
    Image.init()
    prefix = file.read(16)
    is_heif = prefix[4:8] == b"ftyp" and prefix[8:12] in _HEIF_BRANDS
    formats = FORMATS + (("HEIF",) if is_heif and _has_heif() else ())
    reason = None
    for name in formats:
        if name not in Image.OPEN:  # a Pillow built without it
            continue
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(prefix) is not True:  # a reason is no
            continue
        file.seek(0)
        try:
            return factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            if accept is not None:
                reason = (
                    reason or f"damaged, or not supported ({name}: {make_printable(error)})"
                )
    if is_heif:
        raise _Unreadable(_HEIF_REMEDY)
    raise _Unreadable(
        reason
        or "not an image that can be read: the formats are " + ", ".join(sorted(FORMATS))
    )


def _has_heif() -> bool:
    """Return whether Pillow can read HEIF, after letting pillow-heif register itself."""
    if "HEIF" not in Image.OPEN:
        try:
            importlib.import_module("pillow_heif").register_heif_opener()
        except ImportError:
            return False
    return "HEIF" in Image.OPEN


def _check_size(image: Any, file: BinaryIO, least: tuple[int, int]) -> None:
    """Raise if decoding takes too much memory; let a large JPEG be decoded smaller."""
    size, pixels = image.size, image.width * image.height
    per_pixel = {"1": 1.0, "L": 1.0, "P": 1.0, "I;16": 2.0, "I;16B": 2.0}.get(image.mode, 4)
    per_pixel += _DECODER_BYTES.get(image.format, 0)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        if pixels > MAX_JPEG_PIXELS:
            raise _too_large(image, size, MAX_JPEG_PIXELS)
        if pixels > _MAX_CONVERTED_PIXELS:
            side = max(_LEAST_SIDE, *least)
            image.draft(None, (side, side))
        per_pixel *= image.width * image.height / pixels
        if not _is_in_one_scan(image, file):
            # All coefficients, of two bytes, are kept until the last scan has been read.
            areas = [h * v for _, h, v, _ in image.layer]
            per_pixel += 2 * sum(areas) / max(areas)
    if image.format == "TIFF":
        sides = [image.tag_v2.get(tag, 0) for tag in (322, 323)]  # of a tile
        if all(isinstance(side, int) for side in sides):
            pixels = max(pixels, sides[0] * sides[1])
    if per_pixel * pixels > MAX_DECODED_BYTES:
        raise _too_large(image, size, MAX_DECODED_BYTES / per_pixel)


def _is_in_one_scan(image, file: BinaryIO) -> bool:
    """Return whether a JPEG can be decoded row by row."""
    # The plugin stops behind the header of the first scan: its length, of two bytes, the
    # number of its components, two bytes for each and three more.
    n = len(image.getbands())
    length = 6 + 2 * n
    file.seek(-length, os.SEEK_CUR)
    header = file.read(length)
    return not image.info.get("progressive") and header[:3] == bytes([0, length, n])


def _too_large(image, size: tuple[int, int], limit: float) -> _Unreadable:
    return _Unreadable(
        f"an image of {size[0]} x {size[1]} pixels, and the limit for this kind of"
        f" {image.format} is {limit / 1e6:.0f} million. Make it smaller, or save it as a"
        " baseline JPEG"
    )


class _Depth:
    """The scale of an image's pixels: that of its file, not of its own maximum.

    Parameters
    ----------
    image : PIL.Image.Image
        With its header read.
    """

    def __init__(self, image: Any) -> None:
        mode = image.mode
        self.is_deep = mode in ("I", "F") or mode.startswith("I;16")
        self.white: float = 1.0 if mode == "F" else 65535.0
        self.is_negative = self.is_unsigned = False
        self.low, self.high = np.inf, -np.inf
        if self.is_deep and image.format == "TIFF":
            bits = int(image.tag_v2.get(258, (16,))[0])
            kind = image.tag_v2.get(339, (1,))[0]
            is_signed = kind == 2
            self.is_unsigned = kind == 1 and bits == 32
            self.is_negative = image.tag_v2.get(262) == 0  # 0 is white
            if mode != "F":
                self.white = 2.0 ** (bits - is_signed) - 1

    def scale(self, strip: Image.Image) -> Image.Image:
        """Return a strip of the image with 8 bits per pixel."""
        pixels = np.asarray(strip)
        if self.is_unsigned:  # Pillow has signed integers only
            pixels = pixels.view(np.uint32)
        pixels = pixels.astype(np.float64)
        if not np.isfinite(pixels).all():
            raise _Unreadable("its pixels are not all finite")
        self.low = min(self.low, pixels.min())
        self.high = max(self.high, pixels.max())
        levels = (pixels / self.white * 255).round().clip(0, 255).astype(np.uint8)
        return Image.fromarray(255 - levels if self.is_negative else levels)

    def check(self) -> None:
        """Raise if the pixels of the strips are not on the scale of the file."""
        if not self.is_deep:
            return
        used = f"its pixels go from {self.low:g} to {self.high:g}"
        if self.low < 0 or self.high > self.white * (1 + 1e-6):
            raise _Unreadable(
                f"{used}, and only 0 (black) to {self.white:g} (white) can be read. Scale"
                " them, or save the image with 8 bits per pixel"
            )
        if 0 < 16 * self.high <= self.white:
            raise _Unreadable(
                f"{used}, of a range from 0 to {self.white:g}: the image would be black."
                " Scale its pixels, or save it with 8 bits per pixel"
            )


def _factor(image: Image.Image, least: tuple[int, int]) -> int:
    """Return how many pixels of a large image become one, in each direction."""
    if image.width * image.height <= _MAX_CONVERTED_PIXELS:
        return 1
    # An image may be turned upright later.
    least_side = max(_LEAST_SIDE, *least)
    return max(1, min(image.width, image.height) // least_side)


def _convert(
    image: Image.Image, mode: str, factor: int, depth: _Depth
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the pixels, and their opacity if any is not 255; by strips of the image.

    Colours are premultiplied by the opacity.
    """
    is_clear = image.has_transparency_data
    height = max(factor, _MAX_CONVERTED_PIXELS // 4 // image.width // factor * factor)
    colours, alphas = [], []
    for top in range(0, image.height, height):
        box = (0, top, image.width, min(top + height, image.height))
        strip = image.crop(box)
        alpha = None
        if depth.is_deep:
            if is_clear:
                clear = np.asarray(strip) == image.info["transparency"]
                alpha = Image.fromarray(np.where(clear, 0, 255).astype(np.uint8))
            strip = depth.scale(strip)
            if alpha is not None:
                opaque = np.asarray(alpha) // 255
                strip = Image.fromarray(np.asarray(strip) * opaque)
        elif is_clear:
            strip = strip.convert("RGBA")
            alpha = strip.getchannel("A")
            strip = Image.merge("RGB", strip.convert("RGBa").split()[:3])
        elif strip.mode not in ("1", "L", "RGB"):
            strip = strip.convert("RGB")
        colours.append(_reduce(strip.convert(mode), factor))
        if alpha is not None:
            alphas.append(_reduce(alpha, factor))
    pixels = np.concatenate(colours)
    if not alphas:
        return pixels, None
    alpha_pixels = np.concatenate(alphas)
    return pixels, None if (alpha_pixels == 255).all() else alpha_pixels


def _reduce(image: Image.Image, factor: int) -> np.ndarray:
    return np.asarray(image if factor == 1 else image.reduce(factor))


def _put_on_paper(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return premultiplied colours on white or on black, on whichever they stand out."""
    weight = alpha.sum(dtype=np.int64)
    if not weight:
        raise _Unreadable("the image is transparent everywhere")
    grey = (
        colours if colours.ndim == 2 else np.asarray(Image.fromarray(colours).convert("L"))
    )
    # The mean of what is opaque: sums are of brightness times opacity / 255.
    if 2 * grey.sum(dtype=np.int64) > weight:
        return colours
    missing = 255 - alpha
    return colours + (missing if colours.ndim == 2 else missing[..., None])


def _orientation(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(_ORIENTATION)
    except Exception:  # damaged EXIF data; the pixels are whole
        return None
