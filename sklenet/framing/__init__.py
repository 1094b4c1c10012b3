"""Read an image file as a model reads it: whole, or one digit, or a line of digits."""

import numpy as np

from sklenet._utils.printable import make_printable
from sklenet.datasets.decoder import decode_image, resize_and_pad
from sklenet.framing.digits import frame_digit, frame_line
from sklenet.images.shapes import ImageShape
from sklenet.preprocessing import DarkBackground

__all__ = ["assume_framing", "frame_digit", "frame_line", "read_image", "read_line"]


def read_image(
    path, image_shape: ImageShape, *, framing: str | None = None, always: bool = False
) -> np.ndarray:
    """Return the pixels of an image file in the shape that a model was trained on.

    Parameters
    ----------
    path : str or path-like
        A file of any of the formats of `sklenet.datasets.decoder`.
    image_shape : tuple of int (c, h, w)
        The shape of the result: grey or RGB.
    framing : {"digit", "whole"} or None, default=None
        "whole" fits the whole image into the shape and leaves its pixels as they are.
        "digit" finds the one figure on a plain background, dark on bright or bright on
        dark, and frames it as MNIST's digits are; for grey images only. None is "digit"
        for grey images and "whole" for RGB.
    always : bool, default=False
        Whether "digit" also frames images that already have the height and the width of
        `image_shape`. By default these only become bright on dark.

    Returns
    -------
    ndarray of shape (c * h * w,), uint8

    Raises
    ------
    ValueError
        If the file cannot be read as an image; with "digit", also if there is no figure,
        or several, or the shape is not grey. The message begins with the name of the file.
    """
    channels, *size = image_shape
    shape = (size[0], size[1])
    if framing is None:
        framing = "digit" if channels == 1 else "whole"
    if framing not in ("digit", "whole"):
        raise ValueError(f"framing must be 'digit', 'whole' or None. Got {framing!r}.")
    if framing == "whole":
        pixels = resize_and_pad(decode_image(path, channels, shape), shape)
        return (pixels if channels == 1 else pixels.transpose(2, 0, 1)).ravel()
    pixels = _decode_grey(path, image_shape, framing)
    if pixels.shape == shape and not always:
        return DarkBackground(maximum=255).transform(pixels[None])[0].ravel()
    return _name_errors(path, frame_digit, pixels, shape).ravel()


def read_line(path, image_shape: ImageShape) -> np.ndarray:
    """Return the figures in an image file from left to right, each framed by itself.

    Parameters
    ----------
    path : str or path-like
    image_shape : tuple of int (1, h, w)
        The shape of each figure in the result.

    Returns
    -------
    ndarray of shape (n, h * w), uint8

    Raises
    ------
    ValueError
        If the file cannot be read as an image, the figures do not stand in one line, or
        the shape is not grey.
    """
    pixels = _decode_grey(path, image_shape, "line")
    figures = _name_errors(path, frame_line, pixels, tuple(image_shape[1:]))
    return figures.reshape(len(figures), -1)


def assume_framing(image_shape: ImageShape, classes) -> str:
    """Return the framing of a model that was trained without one.

    Parameters
    ----------
    image_shape : tuple of int (c, h, w)
    classes : array-like
        The labels.

    Returns
    -------
    str
        "digit" for grey images in exactly the classes 0 to 9, as numbers or as text; else
        "whole".
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


def _name_errors(path, frame, pixels: np.ndarray, shape) -> np.ndarray:
    try:
        return frame(pixels, shape)
    except ValueError as error:
        raise ValueError(f"{make_printable(path)}: {error}") from None
