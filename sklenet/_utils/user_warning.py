"""Warnings that point to the line of the user's code that caused them."""

import contextlib
import sys
import warnings
from pathlib import Path

import joblib
import sklearn

# The user's code calls this package directly, or through scikit-learn, which uses joblib.
_SKIPPED = (
    str(Path(__file__).parents[1]),
    str(Path(sklearn.__file__).parent),
    str(Path(joblib.__file__).parent),
    str(contextlib.__file__),
)


def warn_user(message: str) -> None:
    """Issue a UserWarning for the innermost frame outside sklenet and scikit-learn.

    A fixed ``stacklevel`` would depend on the method and the decorators through which the
    warning is reached.
    """
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_SKIPPED):
        frame = frame.f_back
        level += 1
    warnings.warn(message, UserWarning, stacklevel=level + 1)
