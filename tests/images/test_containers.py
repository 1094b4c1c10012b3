"""Images and labels in all supported containers."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from skorch.helper import SliceDataset
from torch.utils.data import TensorDataset

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.images.containers import as_array, as_labels
from sklenet.preprocessing import PixelScaler

QUICK = {"max_epochs": 2, "batch_size": 16, "random_state": 0}


@pytest.fixture(scope="module")
def small():
    X, y = load_digits(return_X_y=True)
    return X[:60], y[:60]


@pytest.fixture(scope="module")
def expected(small):
    return LeNet5Classifier(**QUICK).fit(*small).predict_proba(small[0])


def feature_names(X):
    return [f"p{k}" for k in range(X.shape[1])]


def save_and_map(X, path):
    np.save(path / "X.npy", X)
    return np.load(path / "X.npy", mmap_mode="r")


def make_non_contiguous(X):
    wide = np.zeros((len(X) * 2, X.shape[1] * 3), X.dtype)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def make_read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def to_pillow(X, mode="L"):
    return [Image.fromarray(image).convert(mode) for image in X.reshape(-1, 8, 8)]


def object_array(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def make_dataset(X):
    return TensorDataset(torch.from_numpy(X).float(), torch.arange(len(X)))


def copy_as_array(X):
    return np.array(as_array(X), copy=True)


DTYPES = (
    "u1 i1 u2 i2 u4 i4 u8 i8 f2 f4 f8 g >i4 >f8".split()  # noqa: SIM905
)

CONTAINERS = {
    **{dtype: (lambda X, p, dtype=dtype: X.astype(dtype)) for dtype in DTYPES},
    "fortran": lambda X, p: np.asfortranarray(X),
    "not contiguous": lambda X, p: make_non_contiguous(X),
    "negative strides": lambda X, p: X[::-1].copy()[::-1],
    "read-only": lambda X, p: make_read_only(X),
    "memory map": save_and_map,
    "list": lambda X, p: X.tolist(),
    "list of images": lambda X, p: X.reshape(-1, 8, 8).tolist(),
    "list of arrays": lambda X, p: list(X.reshape(-1, 8, 8)),
    "images": lambda X, p: X.reshape(-1, 8, 8),
    "channels": lambda X, p: X.reshape(-1, 1, 8, 8),
    "torch": lambda X, p: torch.from_numpy(X),
    "torch images": lambda X, p: torch.from_numpy(X).float().reshape(-1, 1, 8, 8),
    "torch with gradient": lambda X, p: torch.from_numpy(X).float().requires_grad_(),
    "torch bfloat16": lambda X, p: torch.from_numpy(X).bfloat16(),
    "torch half": lambda X, p: torch.from_numpy(X).half().reshape(-1, 8, 8),
    "torch uint16": lambda X, p: torch.from_numpy(X).to(torch.uint16),
    "torch float8": lambda X, p: torch.from_numpy(X).to(torch.float8_e4m3fn),
    "list of tensors": lambda X, p: list(torch.from_numpy(X).float().requires_grad_()),
    "tuple of tensors": lambda X, p: tuple(torch.from_numpy(X).reshape(-1, 1, 8, 8)),
    "Pillow": lambda X, p: to_pillow(X),
    "tuple of Pillow": lambda X, p: tuple(to_pillow(X)),
    "array of Pillow": lambda X, p: object_array(to_pillow(X)),
    "column of Pillow": lambda X, p: pd.Series(to_pillow(X), index=range(60, 0, -1)),
    "Pillow, 32 bits": lambda X, p: to_pillow(X, "I"),
    "Pillow, floats": lambda X, p: to_pillow(X, "F"),
    "Pillow, 16 bits": lambda X, p: to_pillow(X.astype(np.uint16), "I;16"),
    "column of arrays": lambda X, p: pd.Series(list(X.reshape(-1, 8, 8))),
    "list of rows": lambda X, p: list(X),
    "skorch": lambda X, p: SliceDataset(make_dataset(X), idx=0),
    "pandas": lambda X, p: pd.DataFrame(X, columns=feature_names(X)),
    "polars": lambda X, p: pl.DataFrame(X, schema=feature_names(X)),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gives_the_same_predictions(container, small, expected, tmp_path):
    X, y = small
    given_X = CONTAINERS[container](X, tmp_path)
    before = copy_as_array(given_X)
    fitted = LeNet5Classifier(**QUICK).fit(given_X, y)
    assert np.array_equal(fitted.predict_proba(given_X), expected)
    assert np.array_equal(before, copy_as_array(given_X))


def test_boolean_pixels(small):
    X, y = small
    assert LeNet5Classifier(**QUICK).fit(X > 8, y).pixel_range_ == (0, 1)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_feature_names_are_checked(small, frame):
    X, y = small
    named = frame(dict(zip(feature_names(X), X.T, strict=True)))
    fitted = LeNet5Classifier(**QUICK).fit(named, y)
    assert fitted.feature_names_in_.tolist() == feature_names(X)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(named[feature_names(X)[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        fitted.predict(X)
    # The next fit, without names, removes the attribute.
    assert not hasattr(fitted.fit(X, y), "feature_names_in_")


@pytest.mark.parametrize(
    "labels",
    [
        [str(k) for k in range(10)],
        list("abcdefghij"),
        [-5, -3, 0, 1, 2, 7, 100, 101, 1000, 5000],
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
    ],
)
@pytest.mark.parametrize("container", [list, np.array, pd.Series, pl.Series])
def test_labels_of_every_type(small, expected, labels, container):
    X, y = small
    fitted = LeNet5Classifier(**QUICK).fit(X, container([labels[k] for k in y]))
    assert fitted.classes_.tolist() == labels
    assert np.array_equal(fitted.predict_proba(X), expected)
    assert fitted.predict(X).dtype == fitted.classes_.dtype


def test_boolean_tensor_and_object_labels(small):
    X, y = small
    odd = y % 2 == 1
    for labels in (odd, torch.from_numpy(odd), np.where(odd, "odd", "even").astype(object)):
        fitted = LeNet5Classifier(**QUICK).fit(X, labels)
        assert fitted.decision_function(X).shape == (60,)
        assert fitted.score(X, labels) > 0.5


def test_batches_of_one_sample_in_fit_and_predict(small):
    X, y = small
    fitted = LeNet5Classifier(**{**QUICK, "batch_size": 59}).fit(X, y)
    assert fitted.predict(X[:1]).shape == (1,)
    assert LeNet5Classifier(**{**QUICK, "batch_size": 1}).fit(X, y).n_iter_ == 2


@pytest.mark.parametrize("low", [0, -7.5, 1e6])
@pytest.mark.parametrize("scale", [1 / 16, 1, 255 / 16, 1e-9, 1e9])
def test_predictions_do_not_depend_on_the_range_of_pixel_values(
    small, expected, low, scale
):
    X, y = small
    other = X * scale + low * scale
    fitted = LeNet5Classifier(**QUICK).fit(other, y)
    assert fitted.pixel_range_ == (other.min(), other.max())
    assert np.abs(fitted.predict_proba(other) - expected).max() < 1e-3


def test_the_pixel_range_of_fit_is_used_in_predict(small):
    X, y = small
    fitted = LeNet5Classifier(**QUICK).fit(X, y)
    assert fitted.pixel_range_ == (0, 16)
    # An image with half the brightness is a different image.
    assert not np.allclose(fitted.predict_proba(X), fitted.predict_proba(X / 2))


def test_predictions_do_not_depend_on_the_other_rows(small):
    X, y = small
    fitted = LeNet5Classifier(**QUICK).fit(X, y)
    many = np.tile(X, (5, 1))
    order = np.random.default_rng(0).permutation(len(many))
    together = fitted.decision_function(many)
    assert np.array_equal(fitted.decision_function(many[order]), together[order])
    one_by_one = [fitted.decision_function(row[None])[0] for row in X]
    assert np.array_equal(one_by_one, together[: len(X)])


@settings(max_examples=40)
@given(
    st.one_of(
        st.tuples(st.integers(2, 12), st.integers(1, 120)),
        st.tuples(st.integers(2, 12), st.integers(1, 40), st.integers(1, 40)),
        st.tuples(
            st.integers(2, 12), st.integers(1, 4), st.integers(1, 36), st.integers(5, 36)
        ),
    ),
    st.sampled_from(["u1", "i2", "i8", "f4", "f8", "?"]),
    st.integers(2, 4),
    st.data(),
)
def test_any_shape_data_type_and_number_of_classes(shape, dtype, n_classes, data):
    elements = None
    if dtype.startswith("f"):
        elements = st.floats(-1e6, 1e6, width=8 * int(dtype[1:]))
    X = data.draw(hnp.arrays(dtype, shape, elements=elements))
    y = np.arange(len(X)) % min(n_classes, len(X))
    fitted = LeNet5Classifier(max_epochs=1, random_state=0).fit(X, y)
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (len(X), len(np.unique(y)))
    assert np.isfinite(probabilities).all()
    assert np.isin(fitted.predict(X), y).all()
    assert fitted.n_features_in_ == np.prod(shape[1:])


def test_rgb_images_of_pillow(small):
    X, y = small
    images = [
        Image.merge("RGB", (image, image.transpose(Image.Transpose.ROTATE_90), image))
        for image in to_pillow(X)
    ]
    arrays = np.stack([np.asarray(image) for image in images]).transpose(0, 3, 1, 2)
    fitted = LeNet5Classifier(**QUICK).fit(images, y)
    assert fitted.image_shape_ == (3, 8, 8)
    expected = LeNet5Classifier(**QUICK).fit(arrays, y)
    assert np.array_equal(fitted.predict_proba(images), expected.predict_proba(arrays))


def test_binary_images_of_pillow(small):
    X, y = small
    fitted = LeNet5Classifier(**QUICK).fit(
        to_pillow(np.where(X > 8, 255, 0).astype(np.uint8), "1"), y
    )
    assert fitted.pixel_range_ == (0, 1)
    assert np.array_equal(fitted.predict(X > 8), fitted.predict((X > 8).astype(float)))


def test_transformers_accept_the_same_containers(small):
    X, _ = small
    expected = PixelScaler().fit_transform(X.reshape(-1, 8, 8))
    for images in (to_pillow(X), torch.from_numpy(X).bfloat16().reshape(-1, 8, 8)):
        assert np.allclose(PixelScaler().fit_transform(images), expected)


LABELS = {
    "tensor": torch.from_numpy,
    "tensor with gradient": lambda y: torch.from_numpy(y).float().requires_grad_(),
    "bfloat16": lambda y: torch.from_numpy(y).bfloat16(),
    "list of tensors": lambda y: list(torch.from_numpy(y)),
    "skorch": lambda y: SliceDataset(TensorDataset(torch.from_numpy(y)), idx=0),
    "categories": lambda y: pd.Series(y).astype("category"),
    "nullable": lambda y: pd.Series(y).astype("Int64"),
    "objects": lambda y: y.astype(object),
    "floats": lambda y: y.astype(float),
    "list": lambda y: y.tolist(),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("container", LABELS)
def test_labels_in_every_container(container, small, expected):
    X, y = small
    labels = LABELS[container](y)
    fitted = LeNet5Classifier(**QUICK).fit(X, labels, X_val=X, y_val=labels)
    assert np.array_equal(fitted.predict_proba(X), expected)
    fitted.partial_fit(X, labels)
    assert fitted.n_iter_ == 3


def test_classes_as_tensors(small):
    X, y = small
    fitted = LeNet5Classifier(**QUICK).partial_fit(X, y, torch.arange(10))
    assert fitted.classes_.tolist() == list(range(10))


def test_a_column_of_labels_works_with_scikit_learns_warning(small, expected):
    X, y = small
    with pytest.warns(UserWarning, match="column-vector y was passed"):
        fitted = LeNet5Classifier(**QUICK).fit(X, y[:, None])
    assert np.array_equal(fitted.predict_proba(X), expected)


def test_a_batch_of_one_image_is_not_rejected_as_a_single_image(small):
    X, y = small
    fitted = LeNet5Classifier(**QUICK).fit(X, y)
    for one in (X[:1], X[:1].reshape(1, 8, 8), X[:1].reshape(1, 1, 8, 8), to_pillow(X)[:1]):
        assert fitted.predict(one).shape == (1,)
    # As many samples as an image has rows, with as many features as it has columns.
    for n_features in (1, 2, 3, 4):
        table = np.random.default_rng(0).normal(size=(20, n_features))
        fitted = LeNet5Classifier(**QUICK).fit(table, np.arange(20) % 2)
        for n in (1, 2, 3, 4):
            assert fitted.predict(table[:n]).shape == (n,)


def test_containers_that_numpy_converts_are_returned_unchanged():
    X = np.zeros((3, 4))
    assert as_array(X) is X
    frame = pd.DataFrame(X)
    assert as_array(frame) is frame
    rows = [[1, 2], [3, 4]]
    assert as_array(rows) is rows
    assert as_labels(rows) is rows
    assert as_labels(None) is None
