"""A warning about pixels on another scale than those of the training data."""

import numpy as np

from sklenet._utils.user_warning import warn_user

# Maxima of common scales: fractions, the embedded digits, and 8, 10, 12 and 16 bits. The
# likely factor between two scales is the ratio of their maxima.
_SCALES = (1, 16, 255, 1023, 4095, 65535)

# X can have a smaller scale only if all values are below this fraction of the maximum of
# the training data. A smaller fraction would miss 0..1 instead of 0..16, a larger one would
# lead to warnings about dark images.
_SMALL = 1 / 8

# X has another scale if its values exceed the range of the training data by more than this
# multiple of its width. Noise, augmentation and bright images do not reach this limit.
_FAR = 3.0

# A few values, up to this number or fraction, may exceed it: a scaler of single pixels
# enlarges those that were almost constant in training.
_FEW, _FEW_OF_ALL = 3, 0.02

# Minimum number of images whose maxima show their scale.
_MIN_IMAGES = 5


def warn_of_other_range(X: np.ndarray, trained: tuple[float, float], name: str = "X"):
    """Warn if X evidently has another scale than the training data.

    Images that are constant, dark, of low contrast or noisy do not lead to a warning. The
    following do:

    - values far outside the range of the training data;
    - floating-point values whose maximum is 1 or slightly less, if the training data have
      much larger values;
    - booleans or values of type uint8, if these cannot represent the range of the training
      data;
    - several images whose maxima are close to 1, 16 or 255, if at least one is equal to it;
    - values from -1 to 1, or around 0, if the training data are not negative;
    - fractions from exactly 0 to exactly 1, if some of the training data are negative.

    Parameters
    ----------
    X : ndarray of shape (n, features)
        Finite numbers.
    trained : tuple of float (low, high)
        Pixel range of the training data.
    name : str, default="X"
        Name of X in the message.
    """
    low, high = trained
    least, largest = float(X.min()), float(X.max())
    if low == high or least == largest:
        return
    remedy = _find_remedy(X, least, largest, low, high)
    if remedy:
        warn_user(
            f"{name} has pixels from {least:.6g} to {largest:.6g}, but LeNet5Classifier was"
            f" trained on pixels from {low:.6g} to {high:.6g}. Both must have the same"
            f" scale. {remedy}"
        )


_STANDARDIZED = (
    "One of them seems to be standardized or centered. Apply the same transformation to"
    " both, for example in a pipeline."
)


def _find_remedy(
    X: np.ndarray, least: float, largest: float, low: float, high: float
) -> str:
    """Return how to convert X to the scale of the training data, or "" if it has it."""
    # With halved values, because the difference of large finite numbers could overflow.
    excess = max(largest / 2 - high / 2, low / 2 - least / 2)
    if excess > _FAR * (high / 2 - low / 2):
        # In folds on which a scaler was not fitted, many values slightly exceed the range.
        width = high / 2 - low / 2
        beyond = np.maximum(X / 2 - high / 2, low / 2 - X / 2)
        n_beyond = np.count_nonzero(beyond > width)
        if n_beyond < max(min(_FEW, X.size // 2), _FEW_OF_ALL * X.size):
            return ""
        if least < 0 or low < 0:
            return _STANDARDIZED
        factor = _scale_of(largest, X.dtype) / _scale_of(high)
        return f"The likely factor is {factor:.6g}: divide by it."
    if low < 0:
        are_fractions = (least, largest) == (0, 1) and _has_fractions(X)
        return _STANDARDIZED if are_fractions else ""
    if least < 0:
        return _STANDARDIZED if _is_centered(X, least, largest, high) else ""
    scale = _smaller_scale(X, largest, high)
    if scale is None:
        return ""
    return f"The likely factor is {_scale_of(high) / scale:.6g}: multiply by it."


def _smaller_scale(X: np.ndarray, largest: float, high: float) -> int | None:
    """Return the scale of X if it is evidently smaller than that of the training data."""
    if largest > _SMALL * high:
        return None
    if X.dtype == bool or (X.dtype.kind == "f" and 0.5 < largest <= 1):
        return 1
    if X.dtype == np.uint8 and high > 255 / _SMALL and largest > 255 / 2:
        return 255
    if len(X) >= _MIN_IMAGES and largest in _SCALES[:3]:
        typical = float(np.median(X.max(axis=1)))
        return int(largest) if typical >= 0.75 * largest else None
    return None


def _is_centered(X: np.ndarray, least: float, largest: float, high: float) -> bool:
    """Return whether X, which has negative values, seems to be standardized or centered."""
    if abs(least + 1) < 0.01 and abs(largest - 1) < 0.01:
        return True
    with np.errstate(all="ignore"):  # sums of large numbers may overflow
        mean, spread = float(X.mean(dtype=float)), float(X.std(dtype=float))
    if _SMALL * high >= 1:
        # Compared with such values noise is small, and the mean of images is positive.
        return least < -0.2 and abs(mean) < 0.5 and 0.2 < spread < 3
    return least < -0.3 * high and abs(mean) < 0.1 * spread and spread > 0.7 * high


def _has_fractions(X: np.ndarray) -> bool:
    return X.dtype.kind == "f" and bool((np.rint(X) != X).any())


def _scale_of(value: float, dtype: np.dtype | None = None) -> float:
    """Return the maximum of the scale to which a maximum of `value` belongs."""
    for scale in _SCALES:
        if scale / 2 < value <= scale:
            return scale
    return np.iinfo(dtype).max if dtype is not None and dtype.kind == "u" else value
