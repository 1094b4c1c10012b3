"""Image files framed as the images that a model was trained on.

A file is read as a whole, as a single digit on a page, or as a line of digits.
"""

from sklenet.framing.digits import frame_digit, frame_line
from sklenet.framing.read import assume_framing, read_image, read_line

__all__ = ["assume_framing", "frame_digit", "frame_line", "read_image", "read_line"]
