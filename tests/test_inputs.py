"""Data as people have it."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits

QUICK = {"max_epochs": 2, "batch_size": 16, "random_state": 0}


@pytest.fixture(scope="module")
def small():
    X, y = load_digits(return_X_y=True)
    return X[:60], y[:60]


@pytest.fixture(scope="module")
def expected(small):
    return LeNet5Classifier(**QUICK).fit(*small).predict_proba(small[0])


def with_names(X):
    return [f"p{k}" for k in range(X.shape[1])]


def memory_mapped(X, path):
    np.save(path / "X.npy", X)
    return np.load(path / "X.npy", mmap_mode="r")


def not_contiguous(X):
    wide = np.zeros((len(X) * 2, X.shape[1] * 3), X.dtype)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def as_copy(X):
    if isinstance(X, torch.Tensor):
        return X.detach().clone().numpy()
    return np.array(X, copy=True)


DTYPES = (
    "u1 i1 u2 i2 u4 i4 u8 i8 f2 f4 f8 g >i4 >f8".split()  # noqa: SIM905
)

FORMS = {
    **{dtype: (lambda X, p, dtype=dtype: X.astype(dtype)) for dtype in DTYPES},
    "fortran": lambda X, p: np.asfortranarray(X),
    "not contiguous": lambda X, p: not_contiguous(X),
    "negative strides": lambda X, p: X[::-1].copy()[::-1],
    "read-only": lambda X, p: read_only(X),
    "memory map": memory_mapped,
    "list": lambda X, p: X.tolist(),
    "list of images": lambda X, p: X.reshape(-1, 8, 8).tolist(),
    "list of arrays": lambda X, p: list(X.reshape(-1, 8, 8)),
    "images": lambda X, p: X.reshape(-1, 8, 8),
    "channels": lambda X, p: X.reshape(-1, 1, 8, 8),
    "torch": lambda X, p: torch.from_numpy(X),
    "torch images": lambda X, p: torch.from_numpy(X).float().reshape(-1, 1, 8, 8),
    "torch with gradient": lambda X, p: torch.from_numpy(X).float().requires_grad_(),
    "pandas": lambda X, p: pd.DataFrame(X, columns=with_names(X)),
    "polars": lambda X, p: pl.DataFrame(X, schema=with_names(X)),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same(form, small, expected, tmp_path):
    X, y = small
    given_X = FORMS[form](X, tmp_path)
    before = as_copy(given_X)
    fitted = LeNet5Classifier(**QUICK).fit(given_X, y)
    assert np.array_equal(fitted.predict_proba(given_X), expected)
    assert np.array_equal(before, as_copy(given_X))


def test_booleans(small):
    X, y = small
    assert LeNet5Classifier(**QUICK).fit(X > 8, y).pixel_range_ == (0, 1)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_feature_names(small, frame):
    X, y = small
    named = frame(dict(zip(with_names(X), X.T, strict=True)))
    fitted = LeNet5Classifier(**QUICK).fit(named, y)
    assert fitted.feature_names_in_.tolist() == with_names(X)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(named[with_names(X)[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        fitted.predict(X)
    # Names are forgotten with the next fit.
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
def test_labels_of_every_kind(small, expected, labels, container):
    X, y = small
    fitted = LeNet5Classifier(**QUICK).fit(X, container([labels[k] for k in y]))
    assert fitted.classes_.tolist() == labels
    assert np.array_equal(fitted.predict_proba(X), expected)
    assert fitted.predict(X).dtype == fitted.classes_.dtype


def test_objects_booleans_and_tensors_as_labels(small):
    X, y = small
    odd = y % 2 == 1
    for labels in (odd, torch.from_numpy(odd), np.where(odd, "odd", "even").astype(object)):
        fitted = LeNet5Classifier(**QUICK).fit(X, labels)
        assert fitted.decision_function(X).shape == (60,)
        assert fitted.score(X, labels) > 0.5


def test_a_batch_of_one_at_the_end_and_one_sample_to_predict(small):
    X, y = small
    fitted = LeNet5Classifier(**{**QUICK, "batch_size": 59}).fit(X, y)
    assert fitted.predict(X[:1]).shape == (1,)
    assert LeNet5Classifier(**{**QUICK, "batch_size": 1}).fit(X, y).n_iter_ == 2


@pytest.mark.parametrize("low", [0, -7.5, 1e6])
@pytest.mark.parametrize("scale", [1 / 16, 1, 255 / 16, 1e-9, 1e9])
def test_the_range_of_pixel_values_does_not_matter(small, expected, low, scale):
    X, y = small
    other = X * scale + low * scale
    fitted = LeNet5Classifier(**QUICK).fit(other, y)
    assert fitted.pixel_range_ == (other.min(), other.max())
    assert np.abs(fitted.predict_proba(other) - expected).max() < 1e-3


def test_the_learnt_range_is_applied_again(small):
    X, y = small
    fitted = LeNet5Classifier(**QUICK).fit(X, y)
    assert fitted.pixel_range_ == (0, 16)
    # Half as bright is not the same picture.
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
def test_any_shape_type_and_labels(shape, dtype, n_classes, data):
    elements = {"elements": {"allow_nan": False, "allow_infinity": False}}
    options = elements if dtype.startswith("f") else {}
    X = data.draw(hnp.arrays(dtype, shape, **_bounded(dtype, options)))
    y = np.arange(len(X)) % min(n_classes, len(X))
    fitted = LeNet5Classifier(max_epochs=1, random_state=0).fit(X, y)
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (len(X), len(np.unique(y)))
    assert np.isfinite(probabilities).all()
    assert np.isin(fitted.predict(X), y).all()
    assert fitted.n_features_in_ == np.prod(shape[1:])


def _bounded(dtype, options):
    if not dtype.startswith("f"):
        return options
    return {"elements": st.floats(-1e6, 1e6, width=8 * int(dtype[1:]))}
