"""Checks of X, y and sample weights, for training and for prediction."""

import math
from dataclasses import replace

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from sklenet.images.containers import as_labels, describe_non_numeric_columns
from sklenet.images.shapes import check_image_shape, flatten_images, infer_image_shape
from sklenet.training.parameters import check_kernel_size, check_size, make_canvas
from sklenet.training.samples.columns import (
    check_number_of_columns,
    describe_additional_columns,
)
from sklenet.training.samples.labels import (
    check_labels,
    format_label,
    format_labels,
    make_class_weights,
)
from sklenet.training.samples.pixel_range import warn_of_other_range
from sklenet.training.samples.samples import Samples


def check_training_data(
    estimator, X, y, sample_weight, classes=None, *, continued: bool
) -> Samples:
    """Return the samples to train on.

    Parameters
    ----------
    estimator : LeNet5Classifier
        It is not changed.
    X, y, sample_weight
        Arguments of ``fit`` or ``partial_fit``.
    classes : array-like, optional
        All labels that may occur, of which y may lack some.
    continued : bool
        Whether training continues from the network of the estimator.

    Raises
    ------
    ValueError
        If the data are invalid, do not match the parameters, or do not match the network
        from which training continues.
    TypeError
        If X is not an array-like of dense numeric images.
    """
    given_shape = check_image_shape(estimator.image_shape)
    X, image_shape = flatten_images(X, estimator.image_shape_ if continued else given_shape)
    # A clone learns the number and the names of features, so that the estimator does not
    # change if a later check fails.
    learner = estimator if continued else _copy_unfitted(estimator)
    y = _read_labels(y, "y")
    X, y = _check_arrays(learner, X, y, reset=not continued)
    if image_shape is None:
        check_number_of_columns(X, getattr(learner, "feature_names_in_", None), y)
        image_shape = infer_image_shape(X.shape[1])
    elif not continued and math.prod(image_shape) != X.shape[1]:
        _, hint = describe_additional_columns(X.shape[1]) or (0, "")
        raise ValueError(
            f"The 'image_shape' parameter is {tuple(estimator.image_shape)!r}, that is"
            f" {math.prod(image_shape)} pixels, but X has {X.shape[1]} features. {hint}"
        )
    check_classification_targets(y)
    classes = _find_classes(y, classes)
    if continued and not np.array_equal(classes, estimator.classes_):
        raise ValueError(
            f"The classes are {format_labels(classes)}, but the network was trained on"
            f" {format_labels(estimator.classes_)}. Training can only continue with the"
            " same classes."
        )
    encoded = _encode_labels(y, classes, "y")
    class_weights = make_class_weights(estimator.class_weight, classes, y)
    weights = _combine_weights(sample_weight, X, encoded, class_weights)
    if continued:
        pixel_range = estimator.pixel_range_
        warn_of_other_range(X, pixel_range)
    else:
        counted = X if weights is None else X[weights > 0]
        pixel_range = (float(counted.min()), float(counted.max()))
    check_kernel_size(estimator, image_shape)
    check_size(estimator, image_shape, len(classes))
    params = {name: getattr(estimator, name) for name in ("feature_range", "padding")}
    canvas = make_canvas(params, image_shape, pixel_range)
    names = ("n_features_in_", "feature_names_in_")
    features = {name: v for name, v in learner.__dict__.items() if name in names}
    return Samples(X, encoded, weights, classes, canvas, class_weights, features)


def check_validation_data(
    estimator, samples: Samples, X_val, y_val, sample_weight_val
) -> Samples | None:
    """Return the validation samples, or None if no validation data are given.

    Parameters
    ----------
    estimator : LeNet5Classifier
        It is not changed.
    samples : Samples
        The training samples.
    X_val, y_val, sample_weight_val
        Arguments of ``fit``.

    Raises
    ------
    ValueError
        If the data are incomplete, invalid, or do not match the training samples.
    """
    if (X_val is None) != (y_val is None):
        missing = "y_val" if y_val is None else "X_val"
        raise ValueError(f"X_val and y_val go together; {missing} is None.")
    if X_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val is given without X_val and y_val.")
        return None
    learner = _copy_unfitted(estimator)
    learner.__dict__.update(samples.features)
    try:
        X_val, _ = flatten_images(X_val, samples.canvas.image_shape)
        y_val = _read_labels(y_val, "y_val")
        X_val, y_val = _check_arrays(learner, X_val, y_val, reset=False)
        encoded = _encode_labels(y_val, samples.classes, "y_val")
        weights = _combine_weights(sample_weight_val, X_val, encoded, samples.class_weights)
    except ValueError as error:
        raise ValueError(f"In the validation data, X_val and y_val: {error}") from error
    warn_of_other_range(X_val, (samples.canvas.low, samples.canvas.high), "X_val")
    return replace(samples, X=X_val, y=encoded, weights=weights)


def check_prediction_data(estimator, X) -> np.ndarray:
    """Return X as rows of pixels for the fitted estimator.

    Warns if the scale of the pixels evidently differs from that of the training data.
    """
    X, _ = flatten_images(X, estimator.image_shape_)
    X = _check_arrays(estimator, X, reset=False)
    warn_of_other_range(X, estimator.pixel_range_)
    return X


def _check_arrays(estimator, X, *y, reset):
    """Return X, or X and y, as arrays; an error also names columns that are not numeric."""
    try:
        return validate_data(estimator, X, *y, dtype="numeric", reset=reset)
    except (TypeError, ValueError) as error:
        columns = describe_non_numeric_columns(X)
        if not columns:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{error}\n{columns}") from error


def _read_labels(y, name: str):
    """Return labels in a container that numpy can read, after a first check."""
    y = as_labels(y)
    if y is not None:
        check_labels(y, name)
    return y


def _find_classes(y, classes) -> np.ndarray:
    """Return the sorted class labels: those that are passed, or those in y."""
    classes = np.unique(y if classes is None else _read_labels(classes, "classes"))
    if len(classes) < 2:
        raise ValueError(
            "LeNet5Classifier needs samples of at least 2 classes; there is 1 class:"
            f" {format_label(classes[0])}."
        )
    return classes


def _encode_labels(y, classes: np.ndarray, name: str) -> np.ndarray:
    """Return the index in `classes` of each label."""
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"{name} has labels {format_labels(unknown)} that are not among the classes"
            f" {format_labels(classes)}."
        )
    return np.searchsorted(classes, y)


def _combine_weights(sample_weight, X, encoded, class_weights) -> np.ndarray | None:
    """Return sample weights times class weights, or None if all are 1.

    They are scaled so that the positive ones have the mean 1.
    """
    if sample_weight is None and class_weights is None:
        return None
    weights = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
    weights = _scale_by_power_of_two(weights)
    if class_weights is not None:
        weights = weights * _scale_by_power_of_two(class_weights[encoded])
    if not weights.any():
        raise ValueError(
            "All weights, sample weights times class weights, are zero. At least one must"
            " be positive."
        )
    return weights / weights[weights > 0].mean()


def _scale_by_power_of_two(weights: np.ndarray) -> np.ndarray:
    """Return weights divided by a power of two, so that the largest is at most 1.

    This is exact, and neither sums nor products of the results overflow. Only weights below
    1e-308 times the largest one become 0.
    """
    return np.ldexp(weights, -np.frexp(weights.max())[1])


def _copy_unfitted(estimator):
    """Return an unfitted estimator with the same parameters, which are not copied.

    Unlike those of scikit-learn's `clone`, they may be callbacks that cannot be copied,
    such as one that writes to an open file.
    """
    return type(estimator)(**estimator.get_params(deep=False))
