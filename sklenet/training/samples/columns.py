"""Detect columns of flat images that are not pixels, such as a label or an index."""

import math
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np

from sklenet._utils.user_warning import warn_user
from sklenet.images.shapes import infer_image_shape

# Smaller square images are more likely to be tables of features.
_SMALLEST_SIDE = 8

# Number of rows from which on columns that equal labels or row numbers are no coincidence.
_MIN_ROWS = 20

# Common names of labels and indices, in lower case.
_NOT_PIXELS = {
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

# Names of pixels, in which all numbers have been replaced by 0: "pixel0", "px_0", "p0",
# "0x0", "0". Other names, such as "f0", may be those of features in a table.
_PIXEL_STEM = re.compile(r"(pixels?|pix|px|p|image|img)?[\s_.x,:-]*0([\s_.x,:-]*0)*")


def check_number_of_columns(X: np.ndarray, names: Any, y: np.ndarray) -> None:
    """Check whether X has one or two columns more than square images have pixels.

    Square images are grey or RGB, with sides of at least 8 pixels. An array with 785
    columns leads to a warning, because it may also be a table of features. It is an error
    if the names or the values of columns show that they are not pixels.

    Parameters
    ----------
    X : ndarray of shape (n, features)
    names : array-like of str of shape (features,), or None
        Names of the columns, if there are any.
    y : ndarray of shape (n,)
        Class labels.

    Raises
    ------
    ValueError
        If the additional columns have names that differ from those of the pixels, have
        common names of labels and indices, or equal the labels or the row numbers.
    """
    found = describe_additional_columns(X.shape[1])
    if not found:
        return
    n_additional, text = found
    additional = [f"the column {name!r}" for name in _find_odd_names(names, n_additional)]
    additional = additional or _find_odd_values(X, y)
    if additional:
        raise ValueError(
            f"{text} Drop the columns that are not pixels: {', '.join(additional)}."
        )
    warn_user(
        f"{text} If one of them is a label or an index, drop it, because it shifts all"
        " pixels. If X is a table of features, ignore this warning."
    )


def describe_additional_columns(n_features: int) -> tuple[int, str] | None:
    """Return the number of additional columns beside square images, with a message.

    None if there are none.
    """
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
    # Names of pixels, such as "pixel0" and "pixel1", differ in their numbers only.
    stems = [re.sub(r"\d+", "0", name) for name in names]
    most_common, count = Counter(stems).most_common(1)[0]
    if count < len(names) - n_additional:  # possibly a table with a feature "y"
        return [name for name in names if name.strip().lower() in _NOT_PIXELS - {"y"}]
    odd = [name for name, stem in zip(names, stems, strict=True) if stem != most_common]
    if _PIXEL_STEM.fullmatch(most_common.strip().lower()):
        return odd
    return [name for name in odd if name.strip().lower() in _NOT_PIXELS]


def _find_odd_values(X: np.ndarray, y: np.ndarray) -> list[str]:
    """Describe columns, among the first and last two, that are labels or row numbers."""
    if len(X) < _MIN_ROWS:
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
