"""Reading image files for a model."""

from collections.abc import Callable

import numpy as np

from sklenet._utils.printable import make_printable
from sklenet.datasets.decoder import decode_image, decode_resized
from sklenet.framing.digits import frame_digit, frame_line
from sklenet.images.shapes import ImageShape
from sklenet.preprocessing import DarkBackground


def read_image(
    path, image_shape: ImageShape, *, framing: str | None = None, always: bool = False
) -> np.ndarray:
    """Read an image file in the shape of the images that a model was trained on.

    Parameters
    ----------
    path : str or path-like
        Image file in one of ``sklenet.datasets.decoder.FORMATS``.
    image_shape : tuple of int (c, h, w)
        Shape of the result, with 1 channel for grey or 3 for RGB.
    framing : {"digit", "whole"} or None, default=None
        "whole" fits the whole image into the shape and does not change its polarity.
        "digit" finds the only digit on a plain page, dark on bright or bright on dark, and
        frames it like the digits of MNIST; it requires a grey shape. If None, it is "digit"
        for a grey shape and "whole" for RGB.
    always : bool, default=False
        Whether "digit" also frames images that already have the height and the width of
        `image_shape`. If False, such images are only made bright on dark.

    Returns
    -------
    ndarray of shape (c * h * w,), uint8
        Pixels of the image.

    Raises
    ------
    ValueError
        If the file cannot be read as an image, if `framing` is invalid or, with "digit", if
        the shape is not grey or there is not exactly one digit. Messages about the file
        begin with its name.
    """
    channels, height, width = image_shape
    if framing is None:
        framing = "digit" if channels == 1 else "whole"
    if framing not in ("digit", "whole"):
        raise ValueError(f"framing must be 'digit', 'whole' or None. Got {framing!r}.")
    if framing == "whole":
        return decode_resized(path, image_shape).ravel()
    pixels = _decode_grey(path, image_shape, framing)
    if pixels.shape == (height, width) and not always:
        return DarkBackground(maximum=255).transform(pixels[None])[0].ravel()
    return _frame(path, pixels, image_shape, frame_digit).ravel()


def read_line(path, image_shape: ImageShape) -> np.ndarray:
    """Read the digits in an image file from left to right, and frame each of them.

    Parameters
    ----------
    path : str or path-like
        Image file in one of ``sklenet.datasets.decoder.FORMATS``.
    image_shape : tuple of int (1, h, w)
        Shape of each framed digit.

    Returns
    -------
    ndarray of shape (n, h * w), uint8
        Pixels of the digits.

    Raises
    ------
    ValueError
        If the file cannot be read as an image, if there is no single line of digits, or if
        the shape is not grey. Messages about the file begin with its name.
    """
    pixels = _decode_grey(path, image_shape, "line")
    digits = _frame(path, pixels, image_shape, frame_line)
    return digits.reshape(len(digits), -1)


def read_digits(
    path, image_shape: ImageShape, *, framing: str, always: bool = False
) -> np.ndarray:
    """Read the digits of a line, or a single image, from a file.

    Parameters
    ----------
    path : str or path-like
        Image file in one of ``sklenet.datasets.decoder.FORMATS``.
    image_shape : tuple of int (c, h, w)
        Shape of the images that the model was trained on.
    framing : {"digit", "whole", "line"}
        "line" calls `read_line`, the others `read_image`.
    always : bool, default=False
        Whether "digit" also frames images that already have the size of `image_shape`.

    Returns
    -------
    ndarray of shape (n, c * h * w), uint8
        Pixels of the digits, or of one image.

    Raises
    ------
    ValueError
        If the file cannot be read; see `read_image` and `read_line`.
    """
    if framing == "line":
        return read_line(path, image_shape)
    return read_image(path, image_shape, framing=framing, always=always)[None]


def assume_framing(image_shape: ImageShape, classes) -> str:
    """Return the framing to use for a model that does not specify one.

    Parameters
    ----------
    image_shape : tuple of int (c, h, w)
        Shape of the images that the model was trained on.
    classes : array-like
        Class labels of the model.

    Returns
    -------
    {"digit", "whole"}
        "digit" if the images are grey and the classes are exactly 0 to 9, as numbers or
        strings. Otherwise "whole".
    """
    labels = [str(label) for label in np.asarray(classes).tolist()]
    are_digits = sorted(labels) == [str(digit) for digit in range(10)]
    return "digit" if image_shape[0] == 1 and are_digits else "whole"


def _decode_grey(path, image_shape: ImageShape, framing: str) -> np.ndarray:
    if image_shape[0] != 1:
        raise ValueError(
            f"framing={framing!r} is for models of grey images, and this one has"
            f" {image_shape[0]} channels. Use 'whole'."
        )
    return decode_image(path, 1)


def _frame(
    path, pixels: np.ndarray, image_shape: ImageShape, frame: Callable
) -> np.ndarray:
    """Call `frame_digit` or `frame_line`, and add the file to its error messages."""
    try:
        return frame(pixels, image_shape[1:])
    except ValueError as error:
        raise ValueError(f"{make_printable(path)}: {error}") from None
