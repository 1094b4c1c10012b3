"""A warning where pixels have another scale than those of the training data."""

import numpy as np

from sklenet._utils.user_warning import warn_user

# The largest values on common scales: fractions, the embedded digits, and 8, 10, 12 and 16
# bits. The likely factor is the ratio of two of these.
_SCALES = (1, 16, 255, 1023, 4095, 65535)

# X may have a smaller scale if all of its values are below this fraction of the largest in
# training. A smaller fraction would miss 0..1 for 0..16, a larger one would complain about
# dark images.
_SMALL = 1 / 8

# X has another scale if its values exceed the trained range by more than this multiple of
# its width. Noise, augmentation and bright images do not. A few values may: a scaler of
# single pixels makes much of one that was hardly ever lit in training.
_FAR = 3.0
_FEW, _FEW_OF_ALL = 3, 0.02

# The number of images that are enough to tell a scale by their largest values.
_MANY = 5


def warn_of_other_range(X: np.ndarray, trained: tuple[float, float], name: str = "X"):
    """Warn if the pixels of X evidently have another scale than those of the training data.

    Images may be constant, dark, of low contrast, or out of the range by some noise; none
    of these gives a warning. What does:

    - values far beyond the trained range;
    - a largest value just below or at 1, in a floating-point array, where the training data
      have much larger ones;
    - an array of booleans, or of uint8, which cannot hold the trained range;
    - several images that all come close to 1, 16 or 255, which one of them reaches;
    - values from -1 to 1, or around 0, where the training data are not negative;
    - fractions from exactly 0 to exactly 1 where the training data are negative in part.

    Parameters
    ----------
    X : ndarray of shape (n, features)
        Finite numbers.
    trained : tuple of float (low, high)
        The pixel range of the training data.
    name : str
        The name of X in the message.
    """
    low, high = trained
    least, largest = float(X.min()), float(X.max())
    if low == high or least == largest:
        return
    remedy = _find_remedy(X, least, largest, low, high)
    if remedy:
        warn_user(
            f"{name} has pixels from {least:.6g} to {largest:.6g}, but LeNet5Classifier was"
            f" trained on pixels from {low:.6g} to {high:.6g}, and they must have the same"
            f" scale. {remedy}"
        )


_STANDARDIZED = (
    "One of them seems to be standardized or centered: apply the same transformation to"
    " both, for example in a pipeline."
)


def _find_remedy(
    X: np.ndarray, least: float, largest: float, low: float, high: float
) -> str:
    """Return how to give X the scale of the training data, or "" if it seems to have it."""
    # In halves, so that no difference between finite numbers overflows.
    excess = max(largest / 2 - high / 2, low / 2 - least / 2)
    if excess > _FAR * (high / 2 - low / 2):
        # Folds that a scaler was not fitted on have many values a little beyond the range.
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
    """Return the scale of X if it is evidently smaller than that of the training."""
    if largest > _SMALL * high:
        return None
    if X.dtype == bool or (X.dtype.kind == "f" and 0.5 < largest <= 1):
        return 1
    if X.dtype == np.uint8 and high > 255 / _SMALL and largest > 255 / 2:
        return 255
    if len(X) >= _MANY and largest in _SCALES[:3]:
        typical = float(np.median(X.max(axis=1)))
        return int(largest) if typical >= 0.75 * largest else None
    return None


def _is_centered(X: np.ndarray, least: float, largest: float, high: float) -> bool:
    """Return whether X, which has negative values, is centered as by a transformer."""
    if abs(least + 1) < 0.01 and abs(largest - 1) < 0.01:
        return True
    with np.errstate(all="ignore"):  # sums of enormous numbers
        mean, spread = float(X.mean(dtype=float)), float(X.std(dtype=float))
    if _SMALL * high >= 1:
        # Noise is of no account beside such values, but the mean of images is positive.
        return least < -0.2 and abs(mean) < 0.5 and 0.2 < spread < 3
    return least < -0.3 * high and abs(mean) < 0.1 * spread and spread > 0.7 * high


def _has_fractions(X: np.ndarray) -> bool:
    return X.dtype.kind == "f" and bool((np.rint(X) != X).any())


def _scale_of(value: float, dtype: np.dtype | None = None) -> float:
    """Return the largest value on the scale that `value`, the largest in use, hints at."""
    for scale in _SCALES:
        if scale / 2 < value <= scale:
            return scale
    return np.iinfo(dtype).max if dtype is not None and dtype.kind == "u" else value
