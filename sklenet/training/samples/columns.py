"""Columns of flat images that are not pixels: a label or an index that was left in."""

import math
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np

from sklenet._utils.user_warning import warn_user
from sklenet.images.shapes import infer_image_shape

# Square images of smaller sides are more likely to be tables of features.
_SMALLEST_SIDE = 8

# So many rows tell a column of labels or of row numbers from a coincidence.
_MANY = 20

_NO_PIXELS = {
    "class",
    "classes",
    "digit",
    "filename",
    "id",
    "image_id",
    "imageid",
    "index",
    "label",
    "labels",
    "target",
    "unnamed: 0",
    "y",
}

# Names of pixels with their numbers as 0: "pixel0", "px_0", "p0", "0x0", "0". Others, as
# "f0", may be those of a table.
_PIXEL_STEM = re.compile(r"(pixels?|pix|px|p|image|img)?[\s_.x,:-]*0([\s_.x,:-]*0)*")


def check_number_of_columns(X: np.ndarray, names: Any, y: np.ndarray) -> None:
    """Complain if X has one or two columns more than square images have pixels.

    Square images are grey or RGB, with sides of at least 8 pixels. An array with 785
    columns is a warning, since a table may have as many features; where the names or the
    values of columns tell that they are no pixels, it is an error.

    Parameters
    ----------
    X : ndarray of shape (n, features)
    names : array-like of str of shape (features,), or None
        The names of the columns, if they have any.
    y : ndarray of shape (n,)
        The labels.

    Raises
    ------
    ValueError
        If the additional columns have names unlike those of the pixels, or names that are
        usual for labels and indices, or are the labels or the numbers of the rows.
    """
    found = describe_additional_columns(X.shape[1])
    if not found:
        return
    n_additional, text = found
    culprits = [f"the column {name!r}" for name in _find_odd_names(names, n_additional)]
    culprits = culprits or _find_odd_values(X, y)
    if culprits:
        raise ValueError(f"{text} Drop from X what is not a pixel: {', '.join(culprits)}.")
    warn_user(
        f"{text} If a label or an index was left in, the images are scrambled: drop it. If"
        " X is a table of features, ignore this warning."
    )


def describe_additional_columns(n_features: int) -> tuple[int, str] | None:
    """Return how many columns are too many for square images, and a message, or None."""
    if _is_square_image(n_features):
        return None
    for n_additional in (1, 2):
        n_pixels = n_features - n_additional
        if n_pixels > 0 and _is_square_image(n_pixels, _SMALLEST_SIDE):
            shape = "x".join(map(str, infer_image_shape(n_pixels)))
            count = "one column" if n_additional == 1 else f"{n_additional} columns"
            text = (
                f"X has {n_features} columns, {count} more than the {n_pixels} pixels of an"
                f" image of {shape} (channels x height x width)."
            )
            return n_additional, text
    return None


def _is_square_image(n_features: int, smallest_side: int = 1) -> bool:
    shape = infer_image_shape(n_features)
    return math.prod(shape) == n_features and shape[1] >= smallest_side


def _find_odd_names(names: Any, n_additional: int) -> list[str]:
    """Return the names of columns that are evidently not pixels."""
    if names is None:
        return []
    names = [str(name) for name in names]
    # "pixel0" and "pixel1", or "1x1" and "1x2", differ in their numbers only.
    stems = [re.sub(r"\d+", "0", name) for name in names]
    usual, count = Counter(stems).most_common(1)[0]
    if count < len(names) - n_additional:  # perhaps a table, with a feature "y"
        return [name for name in names if name.strip().lower() in _NO_PIXELS - {"y"}]
    odd = [name for name, stem in zip(names, stems, strict=True) if stem != usual]
    if _PIXEL_STEM.fullmatch(usual.strip().lower()):
        return odd
    return [name for name in odd if name.strip().lower() in _NO_PIXELS]


def _find_odd_values(X: np.ndarray, y: np.ndarray) -> list[str]:
    """Return which of the first and last two columns are labels, or count the rows."""
    if len(X) < _MANY:
        return []
    found = []
    labels = y.tolist()
    n_classes = len(set(labels))
    for k in (0, 1, -2, -1):
        values = X[:, k].tolist()
        pairs = set(zip(values, labels, strict=True))
        if n_classes > 1 and len(pairs) == len(set(values)) == n_classes:
            found.append(f"X[:, {k}], which holds the labels")
        elif all(later - earlier == 1 for earlier, later in pairwise(values)):
            found.append(f"X[:, {k}], which counts the rows")
    return found
