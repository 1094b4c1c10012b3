"""What LeNet5Classifier checks of its input before anything is changed."""

import math
import zlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from inspect import signature
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from sklenet.images.canvas import Canvas
from sklenet.images.containers import as_labels, describe_other_columns
from sklenet.images.shapes import (
    ImageShape,
    check_image_shape,
    flatten_images,
    infer_image_shape,
)
from sklenet.network.lenet5 import compute_s4_side
from sklenet.training.batches import ImageDataset, as_tensor
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


@dataclass
class Samples:
    """Checked arrays, and what they tell of the network.

    Attributes
    ----------
    X : ndarray of shape (n, features)
    y : ndarray of shape (n,)
        The number of each sample's class.
    weights : ndarray of shape (n,), or None
        Of the samples, times those of the classes; of those that are not 0 the mean is 1.
    classes : ndarray of shape (n_classes,)
    image_shape : tuple of int (c, h, w)
    pixel_range : tuple of float (low, high)
        Of the samples that count.
    feature_range : tuple of float (low, high), or None
        To which it is mapped.
    class_weights : ndarray of shape (n_classes,), or None
    features : dict
        The fitted attributes that hold the number and the names of features.
    padding : int, or None
        The width of the images' border, instead of the 32x32 canvas.
    """

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    classes: np.ndarray
    image_shape: ImageShape
    pixel_range: tuple[float, float]
    feature_range: tuple[float, float] | None
    class_weights: np.ndarray | None
    features: dict
    padding: int | None

    @property
    def canvas(self) -> Canvas:
        """How the images are shown to the network."""
        return Canvas(self.image_shape, *self.pixel_range, self.feature_range, self.padding)

    def on(self, device: torch.device, rows: np.ndarray | None = None) -> ImageDataset:
        """Return the samples, or some rows of them, as a dataset on the device."""
        weights = None
        if self.weights is not None:
            weights = torch.as_tensor(self.weights, dtype=torch.float32).to(device)
            if rows is None and not self.weights.all():
                rows = np.flatnonzero(self.weights)
        return ImageDataset(
            as_tensor(self.X).to(device),
            self.canvas,
            torch.as_tensor(self.y).to(device),
            weights,
            None if rows is None else torch.as_tensor(rows).to(device),
        )

    def fingerprint(self, *others) -> int:
        """Return a checksum of pixels, labels, of the samples that count, and others.

        Arrays of equal values have the same one, whatever their type.
        """
        counted = np.ones(len(self.y), bool) if self.weights is None else self.weights > 0
        checksum = 0
        for array in (self.y.astype(np.int64), counted, np.array([*self.X.shape, *others])):
            checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
        for start in range(0, len(self.X), 4096):
            rows = np.ascontiguousarray(self.X[start : start + 4096], dtype=np.float64)
            checksum = zlib.crc32(rows.data, checksum)
        return checksum

    def other_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows with a weight that are not among `rows`."""
        counted = np.arange(len(self.y)) if self.weights is None else self.weights.nonzero()
        return np.setdiff1d(counted, rows)

    def split(self, fraction: float, random_state) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows to train on and those held out, of every class at least one.

        Rows without weight are in neither.

        Raises
        ------
        ValueError
            If a class has none to train on.
        """
        counted = self.y if self.weights is None else np.where(self.weights > 0, self.y, -1)
        numbers, counts = np.unique(counted[counted >= 0], return_counts=True)
        held_out = [max(1, round(fraction * count)) for count in counts]
        for number, count, n_valid in zip(numbers, counts, held_out, strict=True):
            if n_valid >= count:
                raise ValueError(
                    f"The 'validation_fraction' parameter is {fraction!r}: of class"
                    f" {format_label(self.classes[number])}, a class with {count}"
                    " sample(s), it leaves none to train on. Lower it, or pass X_val and"
                    " y_val."
                )
        train, valid = [], []
        for number, n_valid in zip(numbers, held_out, strict=True):
            rows = random_state.permutation(np.flatnonzero(counted == number))
            valid.append(rows[:n_valid])
            train.append(rows[n_valid:])
        return np.concatenate(train), np.concatenate(valid)


def check_feature_range(feature_range) -> tuple[float, float] | None:
    """Return the parameter `feature_range` as two floats, or None."""
    if feature_range is None:
        return None
    ends = tuple(feature_range)
    if (
        len(ends) != 2
        or not all(isinstance(end, Real) and math.isfinite(end) for end in ends)
        or not ends[0] < ends[1]
    ):
        raise ValueError(
            "The 'feature_range' parameter of LeNet5Classifier must be None or two numbers,"
            f" the lower one first. Got {feature_range!r} instead."
        )
    return (float(ends[0]), float(ends[1]))


def _are_positive_integers(values) -> bool:
    """Return whether it is a sequence, in an order, of positive integers."""
    return (
        not isinstance(values, Mapping | Set)
        and np.ndim(values) == 1
        and all(isinstance(n, Integral) and not isinstance(n, bool) for n in values)
        and all(int(n) > 0 for n in values)
    )


def check_hidden(hidden) -> None:
    """Raise a ValueError if the parameter `hidden` is not a sequence of layer widths."""
    if not _are_positive_integers(hidden):
        raise ValueError(
            "The 'hidden' parameter of LeNet5Classifier must be a sequence of positive"
            " integers, the units of each layer, such as (120, 84). Got"
            f" {hidden!r} instead."
        )


def check_maps(maps) -> None:
    """Raise a ValueError if the parameter `maps` is not two numbers of maps."""
    if not _are_positive_integers(maps) or len(maps) != 2:
        raise ValueError(
            "The 'maps' parameter of LeNet5Classifier must be two positive integers, the"
            f" numbers of maps of C1 and of C3, such as (6, 16). Got {maps!r} instead."
        )


def border(padding) -> int | None:
    """Return the parameter `padding` as a border, or None for the canvas."""
    return None if padding == "canvas" else int(padding)


def check_padding(estimator, image_shape: ImageShape) -> int | None:
    """Return the parameter `padding` as a border, or None for the canvas.

    Raises
    ------
    ValueError
        If images of this shape leave nothing of S4.
    """
    padding = border(estimator.padding)
    shape = Canvas(image_shape, padding=padding).shape
    kernel = estimator.kernel_size
    if min(compute_s4_side(side, kernel) for side in shape[1:]) < 1:
        smallest = 3 * kernel + 1
        raise ValueError(
            f"The 'kernel_size' parameter is {kernel!r}: two convolutions and two poolings"
            f" leave nothing of {shape[1]}x{shape[2]} pixels, which is what"
            f" padding={estimator.padding!r} makes of {image_shape[1]}x{image_shape[2]};"
            f" they need {smallest}x{smallest}. Lower it, or raise the 'padding' parameter."
        )
    return padding


# The most weights that a network may have: 4 GB in float32, and several times that while
# it is trained.
MAX_WEIGHTS = 1_000_000_000


def count_weights(estimator, image_shape: ImageShape, n_outputs: int) -> int:
    """Return the number of weights and biases of a network, without building it.

    The pooling layers of 1998 and the codes of ``output="rbf"`` are not counted.

    Parameters
    ----------
    estimator : LeNet5Classifier
        Unfitted, with valid parameters.
    image_shape : tuple of int (c, h, w)
    n_outputs : int
    """
    channels, *sides = Canvas(image_shape, padding=border(estimator.padding)).shape
    kernel = int(estimator.kernel_size)
    n_first, n_second = map(int, estimator.maps)
    n_weights = n_first * (channels * kernel**2 + 1) + n_second * (n_first * kernel**2 + 1)
    n_inputs = n_second * math.prod(compute_s4_side(side, kernel) for side in sides)
    for n_units in (*map(int, estimator.hidden), n_outputs):
        n_weights += n_units * (n_inputs + 1)
        n_inputs = n_units
    return n_weights


def check_size(
    estimator, image_shape: ImageShape, n_outputs: int, limit: int = MAX_WEIGHTS
) -> None:
    """Raise a ValueError if the network would have more than `limit` weights.

    The message names the parameter that is responsible. Nothing is allocated.

    Parameters
    ----------
    estimator : LeNet5Classifier
        Unfitted, with valid parameters.
    image_shape : tuple of int (c, h, w)
    n_outputs : int
    limit : int
    """
    n_weights = count_weights(estimator, image_shape, n_outputs)
    if n_weights <= limit:
        return
    defaults = {
        name: p.default for name, p in signature(type(estimator)).parameters.items()
    }
    name = min(
        ("hidden", "maps", "padding", "kernel_size"),
        key=lambda name: count_weights(
            clone(estimator).set_params(**{name: defaults[name]}), image_shape, n_outputs
        ),
    )
    count = f"{n_weights:,}" if n_weights < 10**15 else "more than 10^15"
    raise ValueError(
        f"The {name!r} parameter of LeNet5Classifier is {getattr(estimator, name)!r}, with"
        f" which the network for images of {'x'.join(map(str, image_shape))} has {count}"
        f" weights, more than the limit of {limit:,}. Lower it."
    )


def check_training_data(estimator, X, y, sample_weight, classes=None, *, continued):
    """Return the samples to train on.

    Parameters
    ----------
    estimator : LeNet5Classifier
        It is not changed.
    classes : ndarray, optional
        All labels there may be, where y need not have them all.
    continued : bool
        Whether training goes on from the estimator's network.
    """
    given_shape = check_image_shape(estimator.image_shape)
    X, image_shape = flatten_images(X, estimator.image_shape_ if continued else given_shape)
    # A clone learns the number and the names of features, so that the estimator is as it
    # was if anything below is wrong.
    learner = estimator if continued else clone(estimator)
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
    classes = np.unique(y if classes is None else _read_labels(classes, "classes"))
    if len(classes) < 2:
        raise ValueError(
            "LeNet5Classifier needs samples of at least 2 classes; there is 1 class:"
            f" {format_label(classes[0])}."
        )
    if continued and not np.array_equal(classes, estimator.classes_):
        raise ValueError(
            f"The classes are {format_labels(classes)}, but the network was trained on"
            f" {format_labels(estimator.classes_)}; to continue they must be the same."
        )
    numbers = _number(y, classes, "y")
    class_weights = make_class_weights(estimator.class_weight, classes, y)
    weights = _check_weights(sample_weight, X, numbers, class_weights)
    if continued:
        pixel_range = estimator.pixel_range_
        warn_of_other_range(X, pixel_range)
    else:
        counted = X if weights is None else X[weights > 0]
        pixel_range = (float(counted.min()), float(counted.max()))
    padding = check_padding(estimator, image_shape)
    check_size(estimator, image_shape, len(classes))
    names = ("n_features_in_", "feature_names_in_")
    features = {name: v for name, v in learner.__dict__.items() if name in names}
    return Samples(
        X,
        numbers,
        weights,
        classes,
        image_shape,
        pixel_range,
        check_feature_range(estimator.feature_range),
        class_weights,
        features,
        padding,
    )


def _read_labels(y, name: str):
    """Return labels in a container that numpy reads, if they can be labels."""
    y = as_labels(y)
    if y is not None:
        check_labels(y, name)
    return y


def check_prediction_data(estimator, X) -> np.ndarray:
    """Return X as rows of pixels for the fitted estimator.

    Warns if the pixels evidently have another scale than those of the training data.
    """
    X, _ = flatten_images(X, estimator.image_shape_)
    X = _check_arrays(estimator, X, reset=False)
    warn_of_other_range(X, estimator.pixel_range_)
    return X


def _check_arrays(estimator, X, *y, reset):
    """Return X, or X and y, as arrays that scikit-learn accepts."""
    try:
        return validate_data(estimator, X, *y, dtype="numeric", reset=reset)
    except (TypeError, ValueError) as error:
        columns = describe_other_columns(X)
        if not columns:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{error}\n{columns}") from error


def check_validation_data(estimator, samples, X_val, y_val, sample_weight_val):
    """Return the validation data given to fit beside `samples`, or None."""
    if (X_val is None) != (y_val is None):
        missing = "y_val" if y_val is None else "X_val"
        raise ValueError(f"X_val and y_val go together; {missing} is None.")
    if X_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val is given without X_val and y_val.")
        return None
    learner = clone(estimator)
    learner.__dict__.update(samples.features)
    try:
        X_val, _ = flatten_images(X_val, samples.image_shape)
        y_val = _read_labels(y_val, "y_val")
        X_val, y_val = _check_arrays(learner, X_val, y_val, reset=False)
        numbers = _number(y_val, samples.classes, "y_val")
        weights = _check_weights(sample_weight_val, X_val, numbers, samples.class_weights)
    except ValueError as error:
        raise ValueError(f"In the validation data, X_val and y_val: {error}") from error
    warn_of_other_range(X_val, samples.pixel_range, "X_val")
    return replace(samples, X=X_val, y=numbers, weights=weights)


def _check_weights(sample_weight, X, numbers, class_weights):
    """Return the weights of samples, those that count with the mean 1; None for all 1."""
    if sample_weight is None and class_weights is None:
        return None
    weights = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
    if class_weights is not None:
        weights = weights * class_weights[numbers]
    if not weights.any():
        raise ValueError("All weights, of samples times classes, are zero.")
    return weights / weights[weights > 0].mean()


def _number(y, classes, name):
    """Return the number of each label's class."""
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"{name} has labels {format_labels(unknown)} that are not among the classes"
            f" {format_labels(classes)}."
        )
    return np.searchsorted(classes, y)
