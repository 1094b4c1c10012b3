"""The decoder of image files.

`load_image_folder` and `sklenet.framing.read_image`, which `sklenet predict` uses, both
call `decode_image`, so that a file always has the same pixels.
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
from PIL.ExifTags import Base as Tag

from sklenet._utils.printable import make_printable
from sklenet.images.shapes import ImageShape

# Formats that Pillow decodes without other programs or files. Excluded are formats that run
# a program (EPS), call the system's renderer (WMF), need a handler (BUFR, GRIB, HDF5) or
# contain files of other formats (ICNS, ICO, IPTC), SPIDER, which has no signature, and IM,
# which Pillow has deprecated. TGA has no signature either and is tried last.
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

# Limit on the memory for decoding an image. Including the libraries, the command then stays
# below 500 MB.
MAX_DECODED_BYTES = 112_000_000
# Baseline JPEGs are decoded at reduced size, which takes time but little memory.
MAX_JPEG_PIXELS = 500_000_000

# Bytes per pixel of the decoded image, and those that decoding takes in addition.
_MODE_BYTES = {"1": 1.0, "L": 1.0, "P": 1.0, "I;16": 2.0, "I;16B": 2.0}
_DECODER_BYTES = {"WEBP": 12, "AVIF": 8, "JPEG2000": 16, "PPM": 6}

# Images with more pixels than this are reduced, but not below this side length.
_MAX_CONVERTED_PIXELS = 4_000_000
_MIN_SIDE = 1024

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_HEIF_SUFFIXES = {".heic", ".heif", ".hif"}
_HEIF_REMEDY = (
    "to read HEIC images, install the package pillow-heif (pip install"
    " pillow-heif); or convert the image to JPEG or PNG"
)

_TRANSPOSE_BY_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class _Unreadable(Exception):
    """The reason why a file cannot be read, as part of the error message."""


def decode_image(path, channels: int, min_size: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Decode an image file.

    The image is turned upright according to its EXIF orientation. Pixel values are scaled
    by the bit depth of the file, not by their maximum: images of 8, 10, 12 or 16 bits with
    the same brightness give the same result, and floating-point pixels range from 0 (black)
    to 1 (white). Transparent images are put on a white background if their opaque pixels
    are dark, and on a black one if they are bright. If a file contains several images, the
    first one is decoded.

    Images with more than 4 million pixels can be reduced in size, but not below 1024 pixels
    per side or `min_size`.

    Parameters
    ----------
    path : str or path-like
        Image file in one of the `FORMATS`. Its name is not relevant.
    channels : {1, 3}
        Number of channels of the result: 1 for grey, 3 for RGB.
    min_size : tuple of int (height, width), default=(0, 0)
        Size below which the image is not reduced.

    Returns
    -------
    ndarray of shape (h, w) or (h, w, 3), uint8
        Pixels of the image.

    Raises
    ------
    ValueError
        If the file cannot be read as an image. The message begins with the file.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _Unreadable("not a regular file")
        with path.open("rb") as file:
            return _decode(file, channels, min_size)
    except _Unreadable as error:
        raise ValueError(f"{make_printable(path)}: {error}.") from None
    except OSError as error:
        reason = error.strerror or f"damaged or not supported ({make_printable(error)})"
        raise ValueError(f"{make_printable(path)}: {reason}.") from error
    except Exception as error:  # Pillow raises many types of errors on damaged files
        reason = make_printable(error) or type(error).__name__
        raise ValueError(
            f"{make_printable(path)}: damaged or not supported ({reason})."
        ) from error


def decode_resized(path, image_shape: ImageShape) -> np.ndarray:
    """Decode an image file and fit the whole image into a shape.

    Parameters
    ----------
    path : str or path-like
        Image file; see `decode_image`.
    image_shape : tuple of int (c, h, w)
        Desired shape, with 1 channel for grey or 3 for RGB; see `resize_and_pad`.

    Returns
    -------
    ndarray of shape (h, w) or (3, h, w), uint8
        Pixels of the image.

    Raises
    ------
    ValueError
        If the file cannot be read as an image. The message begins with the file.
    """
    channels, height, width = image_shape
    size = (height, width)
    pixels = resize_and_pad(decode_image(path, channels, size), size)
    return pixels if channels == 1 else pixels.transpose(2, 0, 1)


def resize_and_pad(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image, keeping its aspect ratio, and pad it to the desired size.

    Parameters
    ----------
    pixels : ndarray of shape (h, w) or (h, w, 3), uint8
        Pixels of the image.
    size : tuple of int (height, width)
        Desired size.

    Returns
    -------
    ndarray of shape (height, width) or (height, width, 3), uint8
        Resized image in the centre. Margins have the median colour of its corners.
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
    """Return whether a file name has the suffix of an image format, supported or not."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in _HEIF_SUFFIXES or suffix in Image.registered_extensions():
        return suffix != ".pdf"  # Pillow only writes it
    return (_mime_types().guess_type(f"image{suffix}")[0] or "").startswith("image/")


@functools.cache
def _mime_types() -> mimetypes.MimeTypes:
    return mimetypes.MimeTypes()  # without the types of the operating system


def _decode(file: BinaryIO, channels: int, min_size: tuple[int, int]) -> np.ndarray:
    image = _open(file)
    if not image.width * image.height:
        raise _Unreadable("an image without pixels")
    _check_size(image, file, min_size)
    depth = _PixelDepth(image)  # before loading, which discards the header
    image.load()
    factor = _get_reduction_factor(image, min_size)
    pixels, alpha = _convert(image, "L" if channels == 1 else "RGB", factor, depth)
    depth.check()
    if alpha is not None:
        pixels = _add_background(pixels, alpha)
    transpose = _TRANSPOSE_BY_ORIENTATION.get(_get_orientation(image) or 1)
    if transpose is not None:
        pixels = np.asarray(Image.fromarray(pixels).transpose(transpose))
    return pixels


def _open(file: BinaryIO) -> Image.Image:
    """Open an image and read its header.

    `PIL.Image.open` does the same, but also compares the size with a global limit and
    warns before the limits of this module can be applied.
    """
    Image.init()
    prefix = file.read(16)
    is_heif = prefix[4:8] == b"ftyp" and prefix[8:12] in _HEIF_BRANDS
    formats = FORMATS + (("HEIF",) if is_heif and _has_heif() else ())
    reason = None
    for name in formats:
        if name not in Image.OPEN:  # Pillow was built without this format
            continue
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(prefix) is not True:  # False or a reason
            continue
        file.seek(0)
        try:
            return factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            if accept is not None:
                reason = (
                    reason or f"damaged or not supported ({name}: {make_printable(error)})"
                )
    if is_heif:
        raise _Unreadable(_HEIF_REMEDY)
    raise _Unreadable(
        reason
        or "not an image that can be read; the supported formats are "
        + ", ".join(sorted(FORMATS))
    )


def _has_heif() -> bool:
    """Return whether Pillow can read HEIF; register pillow-heif if it is installed."""
    if "HEIF" not in Image.OPEN:
        try:
            importlib.import_module("pillow_heif").register_heif_opener()
        except ImportError:
            return False
    return "HEIF" in Image.OPEN


def _check_size(image: Any, file: BinaryIO, min_size: tuple[int, int]) -> None:
    """Reject images whose decoding takes too much memory; reduce large JPEGs."""
    size, n_pixels = image.size, image.width * image.height
    bytes_per_pixel = _MODE_BYTES.get(image.mode, 4.0)
    bytes_per_pixel += _DECODER_BYTES.get(image.format, 0)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        if n_pixels > MAX_JPEG_PIXELS:
            raise _too_large_error(image, size, MAX_JPEG_PIXELS)
        if n_pixels > _MAX_CONVERTED_PIXELS:
            side = max(_MIN_SIDE, *min_size)
            image.draft(None, (side, side))
        bytes_per_pixel *= image.width * image.height / n_pixels
        if not _has_single_scan(image, file):
            # All coefficients, of two bytes each, are kept until the last scan is read.
            areas = [h * v for _, h, v, _ in image.layer]
            bytes_per_pixel += 2 * sum(areas) / max(areas)
    if image.format == "TIFF":
        tile_sides = [image.tag_v2.get(tag, 0) for tag in (Tag.TileWidth, Tag.TileLength)]
        if all(isinstance(side, int) for side in tile_sides):
            n_pixels = max(n_pixels, tile_sides[0] * tile_sides[1])
    if bytes_per_pixel * n_pixels > MAX_DECODED_BYTES:
        raise _too_large_error(image, size, MAX_DECODED_BYTES / bytes_per_pixel)


def _has_single_scan(image, file: BinaryIO) -> bool:
    """Return whether a JPEG has a single scan, so that it is decoded row by row."""
    # The file is positioned after the header of the first scan: two bytes for its length,
    # one for the number of components, two for each component, and three more.
    n = len(image.getbands())
    length = 6 + 2 * n
    file.seek(-length, os.SEEK_CUR)
    header = file.read(length)
    return not image.info.get("progressive") and header[:3] == bytes([0, length, n])


def _too_large_error(image, size: tuple[int, int], limit: float) -> _Unreadable:
    return _Unreadable(
        f"an image of {size[0]} x {size[1]} pixels, but the limit for this kind of"
        f" {image.format} is {limit / 1e6:.0f} million. Reduce its size, or save it as a"
        " baseline JPEG"
    )


class _PixelDepth:
    """The range of pixel values that a file can hold, and those that it does hold.

    Parameters
    ----------
    image : PIL.Image.Image
        Image whose header has been read.
    """

    def __init__(self, image: Any) -> None:
        mode = image.mode
        self.is_deep = mode in ("I", "F") or mode.startswith("I;16")
        self.white: float = 1.0 if mode == "F" else 65535.0
        self.is_negative = False  # whether 0 is white
        self.is_unsigned = False
        self.low, self.high = np.inf, -np.inf
        if self.is_deep and image.format == "TIFF":
            bits = int(image.tag_v2.get(Tag.BitsPerSample, (16,))[0])
            sample_format = image.tag_v2.get(Tag.SampleFormat, (1,))[0]
            is_signed = sample_format == 2
            self.is_unsigned = sample_format == 1 and bits == 32
            self.is_negative = image.tag_v2.get(Tag.PhotometricInterpretation) == 0
            if mode != "F":
                self.white = 2.0 ** (bits - is_signed) - 1

    def scale(self, strip: Image.Image) -> Image.Image:
        """Convert a strip of the image to 8 bits per pixel."""
        pixels = np.asarray(strip)
        if self.is_unsigned:  # Pillow reads them as signed integers
            pixels = pixels.view(np.uint32)
        pixels = pixels.astype(np.float64)
        if not np.isfinite(pixels).all():
            raise _Unreadable("not all of its pixel values are finite")
        self.low = min(self.low, pixels.min())
        self.high = max(self.high, pixels.max())
        levels = (pixels / self.white * 255).round().clip(0, 255).astype(np.uint8)
        return Image.fromarray(255 - levels if self.is_negative else levels)

    def check(self) -> None:
        """Raise an error if the pixel values do not match the range of the file."""
        if not self.is_deep:
            return
        used = f"its pixel values range from {self.low:g} to {self.high:g}"
        if self.low < 0 or self.high > self.white * (1 + 1e-6):
            raise _Unreadable(
                f"{used}, but must be between 0 (black) and {self.white:g} (white). Rescale"
                " them, or save the image with 8 bits per pixel"
            )
        if 0 < 16 * self.high <= self.white:
            raise _Unreadable(
                f"{used}, while those of the file can range from 0 to {self.white:g}: the"
                " image would be black. Rescale them, or save it with 8 bits per pixel"
            )


def _get_reduction_factor(image: Image.Image, min_size: tuple[int, int]) -> int:
    """Return the integer factor by which a large image is reduced."""
    if image.width * image.height <= _MAX_CONVERTED_PIXELS:
        return 1
    # The same for both sides, which are swapped if the image is turned upright later.
    min_side = max(_MIN_SIDE, *min_size)
    return max(1, min(image.width, image.height) // min_side)


def _convert(
    image: Image.Image, mode: str, factor: int, depth: _PixelDepth
) -> tuple[np.ndarray, np.ndarray | None]:
    """Convert an image to grey or RGB, strip by strip.

    Returns
    -------
    pixels : ndarray of shape (h, w) or (h, w, 3), uint8
        Pixels, multiplied by their opacity.
    alpha : ndarray of shape (h, w), uint8, or None
        Opacity of the pixels. None if all are opaque.
    """
    height = max(factor, _MAX_CONVERTED_PIXELS // 4 // image.width // factor * factor)
    pixel_strips, alpha_strips = [], []
    for top in range(0, image.height, height):
        box = (0, top, image.width, min(top + height, image.height))
        strip, alpha = _multiply_by_opacity(image.crop(box), depth)
        pixel_strips.append(_reduce(strip.convert(mode), factor))
        if alpha is not None:
            alpha_strips.append(_reduce(alpha, factor))
    pixels = np.concatenate(pixel_strips)
    if not alpha_strips:
        return pixels, None
    alpha_pixels = np.concatenate(alpha_strips)
    return pixels, None if (alpha_pixels == 255).all() else alpha_pixels


def _multiply_by_opacity(
    strip: Image.Image, depth: _PixelDepth
) -> tuple[Image.Image, Image.Image | None]:
    """Return a strip with 8 bits per channel times its opacity, and the opacity if any."""
    is_transparent = strip.has_transparency_data
    if depth.is_deep:
        scaled = depth.scale(strip)
        if not is_transparent:
            return scaled, None
        is_opaque = (np.asarray(strip) != strip.info["transparency"]).astype(np.uint8)
        pixels = np.asarray(scaled) * is_opaque
        return Image.fromarray(pixels), Image.fromarray(255 * is_opaque)
    if is_transparent:
        strip = strip.convert("RGBA")
        premultiplied = Image.merge("RGB", strip.convert("RGBa").split()[:3])
        return premultiplied, strip.getchannel("A")
    return strip if strip.mode in ("1", "L", "RGB") else strip.convert("RGB"), None


def _reduce(image: Image.Image, factor: int) -> np.ndarray:
    return np.asarray(image if factor == 1 else image.reduce(factor))


def _add_background(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Put pixels that are multiplied by their opacity on black or white, for contrast."""
    total_opacity = alpha.sum(dtype=np.int64)
    if not total_opacity:
        raise _Unreadable("the image is completely transparent")
    grey = pixels if pixels.ndim == 2 else np.asarray(Image.fromarray(pixels).convert("L"))
    # The pixels are multiplied by alpha / 255: this is true if their mean, weighted by
    # opacity, is above half of white.
    if 2 * grey.sum(dtype=np.int64) > total_opacity:
        return pixels
    white = 255 - alpha
    return pixels + (white if pixels.ndim == 2 else white[..., None])


def _get_orientation(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(Tag.Orientation)
    except Exception:  # damaged EXIF data; the pixels can still be read
        return None
