"""Class labels: checks of y, labels in messages, and class weights."""

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import compute_class_weight

_MAX_SHOWN = 10  # number of labels in a message


def format_labels(labels: Any) -> str:
    """Return labels as text, such as "[1, 2]" or "['a', 'b']", for a message."""
    values = np.asarray(labels).ravel().tolist()
    shown = [repr(value) for value in values[:_MAX_SHOWN]]
    if len(values) > _MAX_SHOWN:
        shown.append(f"... ({len(values)} in all)")
    return f"[{', '.join(shown)}]"


def format_label(label: Any) -> str:
    """Return a label as text for a message: "1" rather than "np.int64(1)"."""
    return repr(label.item() if isinstance(label, np.generic) else label)


def check_labels(y: Any, name: str = "y") -> None:
    """Raise a ValueError if y is one-hot encoded, or has labels that cannot be sorted.

    Other errors are found by the checks of scikit-learn.
    """
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in "buif":
        rows = labels.astype(float)
        if (rows >= 0).all() and np.allclose(rows.sum(axis=1), 1):
            what = "one-hot encoded" if np.isin(rows, (0, 1)).all() else "probabilities"
            raise ValueError(
                f"{name} has shape {labels.shape} and looks {what}, one column per class."
                f" Expected one label per sample, of shape ({len(labels)},)."
                f" np.asarray({name}).argmax(axis=1) returns the index of each class."
            )
    is_list = isinstance(y, list | tuple)  # numpy may have converted all labels to text
    if labels.ndim != 1 or not (labels.dtype.kind == "O" or is_list):
        return
    values = list(y) if is_list else labels.tolist()
    missing = [k for k, label in enumerate(values) if _is_missing(label)]
    if missing:
        # scikit-learn also says "contains NaN" if numeric labels are missing.
        raise ValueError(
            f"Input {name} contains NaN or None: {len(missing)} of {len(values)} labels are"
            f" missing, the first one at position {missing[0]}."
        )
    types = {type(label) for label in values}
    if len({issubclass(kind, str) for kind in types}) > 1:
        names = " and ".join(sorted(kind.__name__ for kind in types))
        raise ValueError(
            f"{name} mixes labels of the types {names}, which cannot be sorted. Convert all"
            f" of them, for example to text: [str(label) for label in {name}]."
        )


def _is_missing(label: Any) -> bool:
    """Return whether a label is None, NaN, NaT or pandas' NA."""
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(label, Real) and math.isnan(label)


def make_class_weights(class_weight: Any, classes: np.ndarray, y: np.ndarray):
    """Return the weight of each class, or None if all have the weight 1.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        The parameter of LeNet5Classifier. The keys of a dict are labels, or their text.
    classes : ndarray of shape (n_classes,)
    y : ndarray of shape (n,)
        Labels whose frequencies "balanced" uses. Classes that y lacks get the weight 1.

    Returns
    -------
    weights : ndarray of shape (n_classes,), or None

    Raises
    ------
    ValueError
        If a key matches several classes, two keys match the same class, or a weight is not
        a finite, non-negative number; or if a key matches no class while another class has
        no weight. Keys of additional classes are accepted if all classes have a weight, so
        that a fold that lacks a rare class can be fitted.
    """
    if class_weight is None:
        return None
    weights = np.ones(len(classes))
    if not isinstance(class_weight, Mapping):
        present = np.isin(classes, y)
        weights[present] = compute_class_weight(class_weight, classes=classes[present], y=y)
        return weights
    matched: dict[int, Any] = {}
    unmatched = []
    for key, weight in class_weight.items():
        k = _find_class(key, classes)
        if k is None:
            unmatched.append(key)
            continue
        if k in matched:
            raise ValueError(
                f"The 'class_weight' parameter has two keys, {format_label(matched[k])} and"
                f" {format_label(key)}, for the class {format_label(classes[k])}."
            )
        if not isinstance(weight, Real) or not 0 <= float(weight) < math.inf:
            raise ValueError(
                "The values of the 'class_weight' parameter must be finite, non-negative"
                f" numbers. Got {format_label(weight)} for the class"
                f" {format_label(classes[k])}."
            )
        matched[k] = key
        weights[k] = weight
    if unmatched and len(matched) < len(classes):
        raise ValueError(
            f"The 'class_weight' parameter has the key {unmatched[0]!r}, which matches none"
            f" of the classes {format_labels(classes)}. Remove it; classes that are not in"
            " class_weight have the weight 1."
        )
    return weights


def _find_class(key: Any, classes: np.ndarray) -> int | None:
    """Return the index of the class that a key of `class_weight` names, or None."""
    labels = classes.tolist()
    if isinstance(key, np.generic):
        key = key.item()
    texts = _get_texts(key)
    # Labels are compared by value first, then by text, because keys in files are text.
    for is_match in (
        lambda label: _have_equal_values(key, label),
        lambda label: not texts.isdisjoint(_get_texts(label)),
    ):
        found = [k for k, label in enumerate(labels) if is_match(label)]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(
                f"The key {key!r} of the 'class_weight' parameter matches several classes:"
                f" {format_labels(classes[found])}."
            )
    return None


def _have_equal_values(key: Any, label: Any) -> bool:
    return isinstance(key, str) == isinstance(label, str) and bool(key == label)


def _get_texts(value: Any) -> set[str]:
    """Return the ways in which a label may be written in a text file."""
    if isinstance(value, bool):
        return {str(value), str(value).lower()}
    texts = {str(value).strip()}
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        texts |= {str(int(value)), f"{int(value)}.0"}
    return texts
