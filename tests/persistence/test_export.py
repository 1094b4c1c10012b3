"""Export as a torch module and as ONNX, and other formats of persistence."""

import pickle

import numpy as np
import pytest
import torch

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.network import ACTIVATIONS, LOSSES, POOLINGS, LeNet5
from sklenet.presets import lecun1998

X, y = load_digits(return_X_y=True)
X = X[:1000].astype(np.uint8)
y = y[:1000]


def fit(**params):
    return LeNet5Classifier(**{"max_epochs": 1, "random_state": 0} | params).fit(X, y)


def assert_same_in_onnx(model, path, X=X, dtype="uint8"):
    runtime = pytest.importorskip("onnxruntime")
    model.to_onnx(path, dtype=dtype)
    session = runtime.InferenceSession(path)
    expected = model.predict_proba(X)
    for n in (1, 2, len(X)):
        (found,) = session.run(["probabilities"], {"pixels": X[:n].astype(dtype)})
        assert np.abs(found - expected[:n]).max() < 1e-5


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_onnx_of_each_activation(activation, tmp_path):
    assert_same_in_onnx(fit(activation=activation), tmp_path / "model.onnx")


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("output", ["linear", "rbf"])
def test_onnx_of_each_pooling_and_output(pooling, output, tmp_path):
    model = fit(pooling=pooling, output=output, activation="tanh")
    assert_same_in_onnx(model, tmp_path / "model.onnx")


@pytest.mark.parametrize("params", [{}, {"loss": "bce"}, {"output": "rbf"}])
def test_exported_networks_average_over_views(params, tmp_path):
    model = fit(views=["flip", {"shift": 2}], **params)
    found = model.to_torch()(torch.from_numpy(X)).detach()
    assert np.abs(found.numpy() - model.predict_proba(X)).max() < 1e-5
    assert_same_in_onnx(model, tmp_path / "model.onnx")


@pytest.mark.parametrize("loss", ["map", "bce", "mse"])
def test_onnx_of_each_kind_of_probabilities(loss, tmp_path):
    assert loss in LOSSES
    assert_same_in_onnx(fit(loss=loss), tmp_path / "model.onnx")


def test_onnx_of_the_network_of_1998(tmp_path):
    model = fit(**lecun1998() | {"max_epochs": 1, "batch_size": 10})
    assert_same_in_onnx(model, tmp_path / "model.onnx")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_onnx_of_other_pixel_types(dtype, tmp_path):
    assert_same_in_onnx(fit(), tmp_path / "model.onnx", X / 1.5, dtype)


def test_onnx_of_color_images(tmp_path):
    generator = np.random.RandomState(0)
    color = generator.randint(0, 256, (40, 3 * 12 * 9), dtype=np.uint8)
    model = LeNet5Classifier(image_shape=(3, 12, 9), max_epochs=1, feature_range=(-1, 1))
    assert_same_in_onnx(model.fit(color, y[:40]), tmp_path / "model.onnx", color)


def test_onnx_rejects_invalid_pixel_types(fitted, tmp_path):
    with pytest.raises(ValueError, match="'dtype' is 'int64', but must be one of"):
        fitted.to_onnx(tmp_path / "model.onnx", dtype="int64")


def test_onnx_requires_its_packages(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr("sklenet.persistence.export.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs onnx: pip install sklenet\[onnx\]"):
        fitted.to_onnx(tmp_path / "model.onnx")


def test_the_torch_module_predicts_the_same(fitted, digits):
    X_test = digits[2]
    module = fitted.to_torch()
    assert isinstance(module.network, LeNet5)
    with torch.no_grad():
        found = module(torch.from_numpy(X_test.copy()))
    assert found.numpy() == pytest.approx(fitted.predict_proba(X_test), abs=1e-5)


def test_the_torch_module_is_a_copy(fitted, digits):
    before = fitted.predict_proba(digits[2])
    with torch.no_grad():
        for p in fitted.to_torch().parameters():
            p.zero_()
    assert np.array_equal(fitted.predict_proba(digits[2]), before)


def test_skops_needs_to_trust_the_estimator_only(fitted, digits):
    skops = pytest.importorskip("skops.io")
    content = skops.dumps(fitted)
    assert skops.get_untrusted_types(data=content) == ["sklenet.estimator.LeNet5Classifier"]
    loaded = skops.loads(content, trusted=["sklenet.estimator.LeNet5Classifier"])
    for copy in (loaded, pickle.loads(pickle.dumps(fitted))):
        assert np.array_equal(
            copy.predict_proba(digits[2]), fitted.predict_proba(digits[2])
        )


def test_onnx_replaces_regular_files_only_and_atomically(tmp_path):
    pytest.importorskip("onnxscript")
    model = fit()
    (tmp_path / "read-only").write_bytes(b"old")
    (tmp_path / "read-only").chmod(0o444)
    for path in (tmp_path, tmp_path / "read-only", "/dev/null"):
        with pytest.raises(OSError, match=r"directory|read-only|regular file"):
            model.to_onnx(path)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    path.chmod(0o640)
    model.to_onnx(str(path))
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "read-only"]
