"""Views of an image, mirrored or shifted, over which predictions are averaged."""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral

import torch
from torch.nn import functional as F

from sklenet.images.canvas import Canvas

# Default of the distance of "shift" in pixels, and its limit: half of the canvas.
_SHIFT, _MAX_SHIFT = 1, 16

VIEWS = ("flip", "shift")


@dataclass(frozen=True)
class View(Canvas):
    """A canvas on which images are mirrored and shifted.

    Parameters
    ----------
    is_flipped : bool
        Whether images are mirrored, left to right, before they are shifted.
    down, right : int
        Distances of the shift in pixels. What it moves beyond the canvas is lost, and what
        it uncovers is background.
    """

    is_flipped: bool = False
    down: int = 0
    right: int = 0

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Convert rows (n, n_features) to images (n, channels, height, width)."""
        images = super().__call__(rows)
        if self.is_flipped:
            images = images.flip(3)
        _, height, width = self.shape
        down = min(max(self.down, -height), height)
        right = min(max(self.right, -width), width)
        return F.pad(images, (right, -right, down, -down), value=self.background)


def read_views(views) -> tuple[bool, int]:
    """Return what the parameter `views` means: whether to flip, and how far to shift.

    Parameters
    ----------
    views : None, str, dict, or list of str and dict
        A later entry of a list overrides an earlier one of the same name.

    Returns
    -------
    flip : bool
    shift : int
        Distance in pixels, 0 for no shifted views.

    Raises
    ------
    ValueError
        If it is something else, a name is unknown, or the distance of a shift is out of
        its range.
    """
    if views is None:
        return False, 0
    parts = views if isinstance(views, list | tuple) else [views]
    flip, shift = False, 0
    for part in parts:
        if part == "flip":
            flip = True
        elif part == "shift":
            shift = _SHIFT
        elif isinstance(part, Mapping) and list(part) == ["shift"]:
            shift = _check_distance(part["shift"])
        else:
            raise ValueError(
                "The 'views' parameter of LeNet5Classifier must be made of 'flip', 'shift'"
                " and {'shift': distance}, such as ['flip', {'shift': 2}]. Got"
                f" {reprlib.repr(part)}."
            )
    return flip, shift


def _check_distance(distance) -> int:
    if (
        isinstance(distance, Integral)
        and not isinstance(distance, bool)
        and 1 <= int(distance) <= _MAX_SHIFT
    ):
        return int(distance)
    raise ValueError(
        f"The 'views' parameter has 'shift': {reprlib.repr(distance)}, but 'shift', the"
        " distance in pixels of the canvas, must be a whole number from 1 to"
        f" {_MAX_SHIFT}."
    )


def make_views(canvas: Canvas, views) -> list[Canvas]:
    """Return the canvases of all views of an image, that of the image itself first.

    Parameters
    ----------
    canvas : Canvas
    views : None, str, dict, or list of str and dict
        The parameter `views` of LeNet5Classifier.
    """
    flip, distance = read_views(views)
    shifts = [(0, 0)]
    if distance:
        shifts += [(-distance, 0), (distance, 0), (0, -distance), (0, distance)]
    changed = [
        View(**vars(canvas), is_flipped=is_flipped, down=down, right=right)
        for is_flipped in ((False, True) if flip else (False,))
        for down, right in shifts
    ]
    return [canvas, *changed[1:]]
