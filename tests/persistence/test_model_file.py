"""Saving and loading fitted estimators, and rejection of invalid files."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import torch
from packaging.version import Version
from safetensors import safe_open
from sklearn import config_context

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.persistence.format import compute_checksum, labels_from_text
from sklenet.presets import lecun1998, lenet1

X, y = load_digits(return_X_y=True)
X, y = X[:200], y[:200]


def fit(**params):
    options = {"max_epochs": 1, "random_state": 0, "batch_size": 20} | params
    return LeNet5Classifier(**options).fit(X, y)


@pytest.mark.parametrize(
    "params",
    [
        {},
        lecun1998() | {"max_epochs": 1},
        {"optimizer": "sgd", "momentum": 0.0, "augment": ["flip", {"shift": 2}]},
        {"views": ["flip", {"shift": 2}], "output": "rbf"},
        *({"optimizer": name} for name in ("nesterov", "nadam", "adagrad", "adadelta")),
        {"activation": "mish", "init": "orthogonal", "augment": "color_jitter"},
        {"class_weight": {0: 2.0, 3: 0.5}, "early_stopping": True, "hidden": (30,)},
        {"random_state": np.random.RandomState(3), "lr": np.float64(0.002), "maps": (3, 5)},
        {"image_shape": (8, 8), "feature_range": None, "padding": 8, "dropout": 0.2},
        {
            "net_params": {
                "optimizer__betas": (0.8, 0.99),
                "optimizer__param_groups": [("head.output.*", {"lr": 0.01})],
            }
        },
    ],
    ids=[
        "defaults",
        "1998",
        "sgd",
        "views",
        "nesterov",
        "nadam",
        "adagrad",
        "adadelta",
        "mish",
        "class weights",
        "numpy",
        "padding",
        "net_params",
    ],
)
def test_a_loaded_estimator_predicts_and_continues_training_identically(params, tmp_path):
    saved = fit(**params)
    saved.save(tmp_path / "model")
    loaded = LeNet5Classifier.load(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert np.array_equal(loaded.predict_proba(X), saved.predict_proba(X))
    for name in ("history_", "image_shape_", "pixel_range_", "best_epoch_", "n_iter_"):
        assert getattr(loaded, name) == getattr(saved, name), name
    if params.get("random_state") is None:
        assert repr(loaded) == repr(saved)
    # Training continues identically, with the optimizer state and the random numbers.
    for model in (loaded, saved):
        model.partial_fit(X, y)
    assert np.array_equal(loaded.predict_proba(X), saved.predict_proba(X))


@pytest.mark.parametrize("kind", [object, str, np.int8, ">i4", ">f8", np.float32, bool])
def test_labels_keep_their_type(kind, tmp_path):
    labels = (
        (y % 2).astype(kind) if kind is not object else np.array(["a", "b"], object)[y % 2]
    )
    saved = LeNet5Classifier(max_epochs=1, random_state=0).fit(X, labels)
    saved.save(tmp_path / "model")
    loaded = LeNet5Classifier.load(tmp_path / "model")
    assert loaded.classes_.dtype.kind == saved.classes_.dtype.kind
    assert np.array_equal(loaded.predict(X), saved.predict(X))


def test_labels_may_equal_keys_of_the_format(tmp_path):
    labels = np.array(["pairs", "tuple"])[y % 2]
    saved = fit_on(labels, class_weight={"pairs": 2.0, "tuple": 1.0})
    saved.save(tmp_path / "model")
    loaded = LeNet5Classifier.load(tmp_path / "model")
    assert loaded.class_weight == {"pairs": 2.0, "tuple": 1.0}


def fit_on(labels, **params):
    return LeNet5Classifier(max_epochs=1, random_state=0, **params).fit(X, labels)


def test_a_loaded_estimator_continues_training_with_the_same_parameters(tmp_path):
    params = lenet1() | {"padding": 10, "max_epochs": 1, "warm_start": True}
    fit(**params).save(tmp_path / "model")
    loaded = LeNet5Classifier.load(tmp_path / "model").set_params(**params)
    assert loaded.fit(X, y).n_iter_ == 2


def test_metadata_requests_are_kept(tmp_path):
    with config_context(enable_metadata_routing=True):
        model = (
            fit().set_fit_request(sample_weight=True).set_score_request(sample_weight="w")
        )
        model.save(tmp_path / "model")
        loaded = LeNet5Classifier.load(tmp_path / "model")
        for method in ("fit", "partial_fit", "score"):
            asked = getattr(model.get_metadata_routing(), method).requests
            assert getattr(loaded.get_metadata_routing(), method).requests == asked


def test_file_modes_are_kept_and_file_names_may_be_long(fitted, tmp_path):
    path = tmp_path / ("m" * 250)
    fitted.save(path)
    path.chmod(0o600)
    fitted.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    LeNet5Classifier.load(path)


def test_feature_names_are_kept(tmp_path):
    frame = pd.DataFrame(X, columns=[f"pixel{k}" for k in range(64)])
    LeNet5Classifier(max_epochs=1).fit(frame, y).save(tmp_path / "model")
    loaded = LeNet5Classifier.load(tmp_path / "model")
    assert loaded.feature_names_in_[63] == "pixel63"
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame[frame.columns[::-1]])


@pytest.mark.parametrize(
    ("version", "framing", "views"),
    [(1, None, None), (2, "digit", None), (3, "digit", "shift")],
)
def test_files_of_all_versions_can_be_loaded(version, framing, views):
    path = Path(__file__).parent / f"version_{version}.sklenet"
    loaded = LeNet5Classifier.load(path)
    expected = json.loads(path.with_suffix(".json").read_text())
    assert (loaded.framing, loaded.views) == (framing, views)
    accuracy = loaded.score(*load_digits(return_X_y=True))
    assert accuracy == pytest.approx(expected["accuracy"], abs=1e-3)
    probabilities = np.array(expected["probabilities"])
    assert loaded.predict_proba(X[:3]) == pytest.approx(probabilities, abs=1e-5)


def test_the_framing_is_kept_and_has_no_influence_on_fit(tmp_path):
    plain, framed = fit(), fit(framing="whole")
    assert np.array_equal(plain.predict_proba(X), framed.predict_proba(X))
    framed.save(tmp_path / "model")
    assert LeNet5Classifier.load(tmp_path / "model").framing == "whole"
    with pytest.raises(ValueError, match="'framing' parameter of LeNet5Classifier must be"):
        fit(framing="line")


def test_an_estimator_that_cannot_be_saved_leaves_the_file_unchanged(fitted, tmp_path):
    path = tmp_path / "model"
    fitted.save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"'activation' parameter is .*SiLU.*plain values"):
        fit(activation=torch.nn.SiLU).save(path)
    with pytest.raises(ValueError, match="not fitted"):
        LeNet5Classifier().save(path)
    with pytest.raises(ValueError, match="'net_params' parameter has 'callbacks'"):
        fit(net_params={"callbacks": []}).save(path)
    with pytest.raises(ValueError, match="'random_state' parameter is a PCG64"):
        fit(random_state=np.random.RandomState(np.random.PCG64(3))).save(path)
    with pytest.raises(FileNotFoundError):
        fitted.save(tmp_path / "nowhere" / "model")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_symbolic_link_is_kept(fitted, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "model")
    fitted.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    LeNet5Classifier.load(tmp_path / "model")


KILLED = """
import os, sys
from sklenet import LeNet5Classifier
replace = os.replace
os.replace = lambda *args: os.kill(os.getpid(), 9)
LeNet5Classifier.load(sys.argv[1]).save(sys.argv[1])
"""


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (np.array(["a", "b\udc80"]), r"label 'b\\udc80'.*UTF-8"),
        (np.array(["a", "b\udc80"], object), r"label 'b\\udc80'.*UTF-8"),
        (np.array(["2001-02-03", "2002-02-03"], "M8[D]"), "label 2001-02-03.*datetime64"),
        (np.array([1, 2], "m8[s]"), "label 1 seconds.*timedelta64"),
        pytest.param(
            np.array([1, 2], np.longdouble),
            "label 1.0.*float128",
            marks=pytest.mark.skipif(
                np.dtype(np.longdouble).itemsize == 8, reason="it is float64"
            ),
        ),
    ],
    ids=lambda value: str(getattr(value, "dtype", ""))[:12],
)
def test_labels_that_cannot_be_saved_are_named(labels, named, tmp_path):
    with pytest.raises(ValueError, match=named):
        fit_on(labels[y % 2]).save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_long_label_among_many_is_named():
    labels = [f"{k:04}" for k in range(100)] + ["9" * 100_000]
    assert labels_from_text(labels, are_objects=True).tolist() == labels
    with pytest.raises(ValueError, match=r"label '999.* has 100,000 characters"):
        labels_from_text(labels, are_objects=False)
    assert labels_from_text(labels[-2:], are_objects=False).tolist() == labels[-2:]


def test_a_file_that_could_not_be_loaded_is_not_written(tmp_path):
    """Estimators may have been modified in any way."""
    path = tmp_path / "model"
    spoilt = {
        "not finite": lambda m: m.module_.head.output.bias.data.fill_(np.nan),
        "'lr' parameter": lambda m: m.set_params(lr=-1.0),
        "n_iter": lambda m: setattr(m, "n_iter_", 0),
        "history": lambda m: m.history_.clear(),
        "feature name 'x.*UTF-8": lambda m: setattr(
            m, "feature_names_in_", np.array(["x\udc80"] * 64, object)
        ),
        "cannot be saved, because": lambda m: setattr(m, "pixel_range_", (1.0, 0.0)),
    }
    for message, spoil in spoilt.items():
        model = fit()
        spoil(model)
        with pytest.raises(ValueError, match=message):
            model.save(path)
        assert list(tmp_path.iterdir()) == []


def test_only_a_regular_file_is_replaced(fitted, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "read-only").write_bytes(b"old")
    (tmp_path / "read-only").chmod(0o444)
    names = ("pipe", "loop", "read-only", "")
    for path in (*(tmp_path / name for name in names), Path("/dev/null")):
        with pytest.raises(OSError, match=path.name):
            fitted.save(path)
    assert len(list(tmp_path.iterdir())) == 3
    assert (tmp_path / "read-only").read_bytes() == b"old"


def test_a_crash_while_saving_keeps_the_old_file(fitted, tmp_path):
    path = tmp_path / "model"
    fitted.save(path)
    before = path.read_bytes()
    process = subprocess.run([sys.executable, "-c", KILLED, str(path)])
    assert process.returncode == -9
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2  # and the incomplete new file
    fitted.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


# Invalid files


def test_other_files_are_rejected(tmp_path, fitted):
    with pytest.raises(FileNotFoundError):
        LeNet5Classifier.load(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ValueError, match="is not a file"):
            LeNet5Classifier.load(path)
    foreign = {
        "empty": b"",
        "text": b"LeNet-5" * 100,
        "zip": b"PK\x03\x04" + bytes(100),
        "tensors": safetensors.numpy.save({"weights/a": np.zeros(3)}),
        "long header": (1 << 62).to_bytes(8, "little") + b"{}",
    }
    for name, content in foreign.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"not a file of LeNet5Classifier.save"):
            LeNet5Classifier.load(tmp_path / name)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    model = fit(maps=(2, 3), hidden=(10,))
    model.save(path)
    return path.read_bytes(), model.predict_proba(X)


def loads_identically(path, probabilities):
    """Load a mutated file, which must be rejected or equal the original."""
    try:
        loaded = LeNet5Classifier.load(path)
    except ValueError:
        return False
    assert np.array_equal(loaded.predict_proba(X), probabilities)
    return True


def test_damaged_files_are_rejected(saved, tmp_path):
    content, probabilities = saved
    generator = np.random.RandomState(0)
    path = tmp_path / "damaged"
    header = 8 + int.from_bytes(content[:8], "little")
    n_loaded = 0
    start = time.monotonic()
    for k in range(600):
        damaged = bytearray(content)
        what = k % 6
        if what in (0, 1):  # a flipped bit, anywhere or in the header
            at = generator.randint(len(content) if what else header)
            damaged[at] ^= 1 << generator.randint(8)
        elif what == 2:  # random bytes
            at = generator.randint(len(content))
            damaged[at : at + 64] = generator.bytes(len(damaged[at : at + 64]))
        elif what == 3:
            del damaged[generator.randint(len(content)) :]
        elif what == 4:  # repeated bytes
            at = generator.randint(len(content))
            damaged[at:at] = damaged[at : at + 100]
        else:  # another length of the header
            damaged[generator.randint(8)] = generator.randint(256)
        path.write_bytes(damaged)
        n_loaded += loads_identically(path, probabilities)
    assert n_loaded < 30  # those in which only spaces, or nothing, have changed
    assert time.monotonic() - start < 120


def rewrite(content, path, change):
    """Write the file with a changed document or tensors, and the matching checksum."""
    path.write_bytes(content)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        names = file.keys()
        tensors = {name: file.get_tensor(name) for name in names}
    document = json.loads(metadata["document"])
    text = change(document, tensors)
    metadata["document"] = json.dumps(document) if text is None else text
    metadata["sha256"] = compute_checksum(metadata["document"], tensors)
    path.write_bytes(safetensors.numpy.save(tensors, metadata))


def change_params(**values):
    def change(document, tensors):
        for group in ("params", "fit_params"):
            document[group].update(values)

    return change


def change_fitted(**values):
    return lambda document, tensors: document["fitted"].update(values)


def change_tensor(name, array):
    def change(document, tensors):
        tensors[name] = array
        if array is None:
            del tensors[name]

    return change


EPOCH = {
    "epoch": 1,
    "train_loss": 2.0,
    "train_accuracy": 0.5,
    "lr": 0.001,
    "seconds": 1.0,
}

HOSTILE = {
    "unknown parameter": change_params(command="rm"),
    "unknown activation": change_params(activation="os.system"),
    "path as activation": change_params(activation="../../activation"),
    "wrong number of maps": change_params(maps=[6, 16]),
    "huge number of maps": change_params(maps=[1 << 40, 1 << 40]),
    "huge number of units": change_params(hidden=[1 << 62]),
    "huge kernels": change_params(kernel_size=1 << 30),
    "huge padding": change_params(padding=1 << 30),
    "wrong type of lr": change_params(lr="0.1"),
    "NaN as lr": change_params(lr=float("nan")),
    "custom net": change_params(net_params={"module": "os.system"}),
    "callbacks": change_params(net_params={"callbacks": ["os.system"]}),
    "compile options": change_params(
        net_params={"compile": True, "compile__options": {"cpp.cxx": ["/bin/false"]}}
    ),
    "wide codes": change_params(output="rbf", hidden=[65_000]),
    "device meta": change_params(device="meta", hidden=[11]),
    "fewer pixels": change_fitted(n_features_in=48),
    "more pixels": change_fitted(n_features_in=100),
    "unsorted labels": change_tensor("classes", np.arange(10)[::-1].copy()),
    "NaN among labels": change_tensor(
        "classes", np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, np.nan])
    ),
    "NaN in pixel range": change_fitted(pixel_range=[float("nan"), 1.0]),
    "reversed pixel range": change_fitted(pixel_range=[1.0, 0.0]),
    "missing optimizer state": change_tensor("optimizer/0/exp_avg_sq", None),
    "requests": lambda document, tensors: document["requests"].update(
        {"fit": {"os.system": True}}
    ),
    "empty images": change_fitted(image_shape=[1, 0, 8]),
    "huge images": change_fitted(image_shape=[1, 1 << 31, 1 << 31]),
    "image shape of two axes": change_fitted(image_shape=[8, 8]),
    "repeated labels": change_fitted(classes=["a"] * 10),
    "too few labels": change_fitted(classes=["a", "b"]),
    "text in pixel range": change_fitted(pixel_range=["0", "1"]),
    "too few feature names": change_fitted(feature_names_in=["a"]),
    "position out of range": change_fitted(position=1 << 31),
    "negative position": change_fitted(position=-1),
    "object in history": change_fitted(
        history=[{"train_loss": {"__reduce__": "os.system"}}]
    ),
    "unknown key": change_fitted(__class__="os.system"),
    "missing weights": change_tensor("weights/features.C1.weight", None),
    "wrong shape": change_tensor(
        "weights/features.C1.weight", np.zeros((2, 1, 5, 4), np.float32)
    ),
    "wrong number of weights": change_tensor(
        "weights/head.C5.weight", np.zeros((75, 10), np.float32)
    ),
    "float64 weights": change_tensor("weights/features.C1.bias", np.zeros(2)),
    "additional weights": change_tensor("weights/more", np.zeros(2, np.float32)),
    "additional tensor": change_tensor("more", np.zeros(2)),
    "state of unknown parameter": change_tensor("optimizer/99/exp_avg", np.zeros(2)),
    "state without a number": change_tensor("optimizer/x/exp_avg", np.zeros(2)),
    "too large state": change_tensor(
        "optimizer/0/exp_avg", np.zeros((2, 1, 5, 5, 9), np.float32)
    ),
    "short random state": change_tensor("random_state", np.zeros(3, np.uint32)),
    "missing random state": change_tensor("random_state", None),
    "two-dimensional labels": change_tensor("classes", np.arange(10).reshape(5, 2)),
    "deeply nested document": lambda document, tensors: "[" * 200_000,
    "long number": lambda document, tensors: '{"params": ' + "9" * 100_000 + "}",
    "empty document": lambda document, tensors: "",
    "list as document": lambda document, tensors: "[]",
    "NaN among weights": change_tensor(
        "weights/features.C1.bias", np.array([0, np.nan], np.float32)
    ),
    "infinite weights": change_tensor(
        "weights/head.output.bias", np.full(10, np.inf, np.float32)
    ),
    "no epochs": change_fitted(n_iter=0, history=[]),
    "negative epochs": change_fitted(n_iter=-1),
    "too few entries of history": change_fitted(n_iter=2),
    "bool as n_iter": change_fitted(n_iter=True),
    "history without losses": change_fitted(history=[{"epoch": 1}]),
    "wrong epoch in history": change_fitted(history=[dict(EPOCH, epoch=2)]),
    "unknown key in history": change_fitted(history=[dict(EPOCH, more=1.0)]),
    "text in history": change_fitted(history=[dict(EPOCH, lr="0.1")]),
    "best epoch 0": change_fitted(best_epoch=0),
    "best epoch after the last": change_fitted(best_epoch=2),
    "best epoch without validation": change_fitted(best_epoch=1),
    "no labels": change_tensor("classes", np.arange(0)),
    "one label": change_tensor("classes", np.arange(1)),
    "more labels than outputs": change_tensor("classes", np.arange(11)),
    "infinite label": change_tensor("classes", np.append(np.arange(9.0), np.inf)),
    "unsorted text labels": change_fitted(classes=list("jihgfedcba")),
    "labels as text and as tensor": change_fitted(classes=list("abcdefghij")),
    "infinite pixel range": change_fitted(pixel_range=[0.0, float("inf")]),
    "pixel range of one number": change_fitted(pixel_range=[0.0]),
    "no feature names": change_fitted(feature_names_in=[]),
    "float random state": change_tensor("random_state", np.zeros(624)),
    "signed random state": change_tensor("random_state", np.zeros(624, np.int32)),
    "NaN as gauss": change_fitted(has_gauss=1, gauss=float("nan")),
    "float seed": change_params(random_state=1.0),
    "negative seed": change_params(random_state=-1),
    "text as seed": change_params(random_state="0"),
    "scalar state": change_tensor("optimizer/0/exp_avg", np.zeros((), np.float32)),
    "wrong shape of state": change_tensor("optimizer/1/exp_avg", np.zeros(3, np.float32)),
    "float64 state": change_tensor("optimizer/1/exp_avg", np.zeros(2)),
    "integer state": change_tensor("optimizer/1/exp_avg", np.zeros(2, np.int32)),
    "NaN in state": change_tensor("optimizer/1/exp_avg", np.array([0, np.nan], np.float32)),
    "negative mean squares": change_tensor(
        "optimizer/1/exp_avg_sq", np.array([0, -1], np.float32)
    ),
    "negative steps": change_tensor("optimizer/1/step", np.array(-1, np.float32)),
    "step of wrong shape": change_tensor("optimizer/1/step", np.ones(2, np.float32)),
    "state of another optimizer": change_params(optimizer="sgd"),
    "state missing for amsgrad": change_params(net_params={"optimizer__amsgrad": True}),
    "too many layers": change_params(hidden=[1] * 100_000),
    "too many augmentations": change_params(augment=["flip"] * 100_000),
    "too many connections": change_params(connections=[[0] * 100_000] * 3),
    "very long integer": change_params(hidden=[10**4000]),
}
if Version(safetensors.__version__) >= Version("0.7"):  # earlier ones cannot write them
    HOSTILE["complex labels"] = change_tensor("classes", np.arange(10).astype(np.complex64))


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_files_are_rejected(what, saved, tmp_path):
    content, probabilities = saved
    path = tmp_path / "hostile"
    rewrite(content, path, lambda document, tensors: None)
    assert loads_identically(path, probabilities)
    rewrite(content, path, HOSTILE[what])
    start = time.monotonic()
    assert not loads_identically(path, probabilities)
    assert time.monotonic() - start < 5


def test_messages_about_files_are_specific_and_short(saved, tmp_path):
    path = tmp_path / "hostile"
    messages = {
        "NaN among weights": "weights/features.C1.bias has values that are not finite",
        "negative epochs": "n_iter",
        "too few entries of history": "history is not that of 2 epochs",
        "one label": "at least two classes",
        "reversed pixel range": "from 1.0 to 0.0",
        "wrong epoch in history": "history is not that of 1 epochs",
        "text in history": "fitted.history.0.lr: Input should be a valid number",
        "unknown key in history": "unknown key 'more'",
        "no feature names": "0 names of features for 64 features",
        "float random state": "random_state is F64",
        "float seed": "'random_state' parameter",
        "too many layers": "weights/head.C5.bias has shape (10,)",
        "too large state": "optimizer/0/exp_avg has shape",
        "too many augmentations": "at most 16 entries",
    }
    for what, message in messages.items():
        rewrite(saved[0], path, HOSTILE[what])
        with pytest.raises(ValueError, match=re.escape(message)) as error:
            LeNet5Classifier.load(path)
        assert len(str(error.value)) < 1000


# Small files that could require much memory


def repeat(n, item):
    return "[" + ",".join([item] * n) + "]"


NUMBERED_KEYS = "{" + ",".join(f'"{k}":1' for k in range(400_000)) + "}"


def replace_text(old, new):
    """Replace text of the document, for content that json is slow to write."""
    return lambda document, tensors: json.dumps(document).replace(old, new, 1)


def wide_codes(document, tensors):
    change_params(output="rbf", hidden=[2000])(document, tensors)
    tensors["classes"] = np.arange(200_000)
    tensors["weights/head.C5.bias"] = np.zeros(2000, np.float32)
    tensors["weights/head.C5.weight"] = np.zeros((2000, 75), np.float32)
    del tensors["weights/head.output.bias"], tensors["weights/head.output.weight"]
    tensors["weights/head.output.codes"] = np.zeros((200_000, 0), np.float32)


def long_label(document, tensors):
    labels = [f"{k:05}" for k in range(20_000)] + ["9" * 100_000]
    del tensors["classes"]
    document["fitted"]["classes"] = labels
    tensors["weights/head.output.bias"] = np.zeros(len(labels), np.float32)
    tensors["weights/head.output.weight"] = np.zeros((len(labels), 10), np.float32)


def deep_network(document, tensors):
    change_params(hidden=[1] * 1000)(document, tensors)
    for k in range(1000):
        name = "weights/head.C5" if k == 0 else f"weights/head.F{5 + k}"
        tensors[f"{name}.bias"] = np.zeros(1, np.float32)
        tensors[f"{name}.weight"] = np.zeros((1, 75 if k == 0 else 1), np.float32)


def many_tensors(document, tensors):
    for k in range(30_000):
        tensors[f"optimizer/{k}/x"] = np.zeros(0, np.float32)


BOMBS = {
    "wide codes": wide_codes,
    "a long label among short ones": long_label,
    "many layers": deep_network,
    "many tensors": many_tensors,
    "large images": change_fitted(
        image_shape=[1, 40_000, 40_000], n_features_in=1_600_000_000
    ),
    "epochs": change_fitted(n_iter=10**9),
    "large kernels": change_params(kernel_size=10_000, padding=20_000),
    "keys": replace_text('"lr": 0.001', '"lr": ' + NUMBERED_KEYS),
    "unknown keys": replace_text('"fitted": {', '"fitted": {' + NUMBERED_KEYS[1:-1] + ","),
    "unknown keys of the document": replace_text('{"sk', NUMBERED_KEYS[:-1] + ',"sk'),
    "keys of an epoch": replace_text('{"epoch"', NUMBERED_KEYS[:-1] + ',"epoch"'),
    "requests": replace_text(
        '"requests": {"fit": {', '"requests": {"fit": {' + NUMBERED_KEYS[1:-1] + ","
    ),
    "numbers as feature names": replace_text(
        '"feature_names_in": null', '"feature_names_in": ' + repeat(1_000_000, "1")
    ),
    "axes of the image shape": replace_text(
        '"image_shape": [', '"image_shape": [' + "-1," * 1_000_000
    ),
    "empty epochs": replace_text('"history": [', '"history": [' + "{}," * 150_000),
    "empty lists": replace_text('"lr": 0.001', '"lr": ' + repeat(700_000, "[]")),
    "nested lists": replace_text('"lr": 0.001', '"lr": ' + repeat(400_000, "[[1]]")),
    "tables": replace_text('"lr": 0.001', '"lr": ' + repeat(250_000, '{"a":1}')),
    "numbers": replace_text('"lr": 0.001', '"lr": ' + repeat(1_000_000, "1")),
    "history": replace_text('"history": [', '"history": [' + "{}," * 700_000),
    "augmentations": replace_text(
        '"augment": null', '"augment": ' + repeat(300_000, '"flip"')
    ),
    "units": replace_text('"hidden": ', '"hidden": [' + "1," * 1_000_000 + '1], "x": '),
}

HEADERS = {"shape": repeat(2_000_000, "0"), "lists for a shape": repeat(600_000, "[]")}

LOADED = """
import sys, time
from pathlib import Path
from sklenet import LeNet5Classifier
def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(l for l in lines if l.startswith(name)).split()[1])
LeNet5Classifier.load(sys.argv[1])  # imports all modules that are needed
for name in sys.argv[2:]:
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before, start = memory("VmRSS"), time.process_time()
    try:
        LeNet5Classifier.load(name)
    except ValueError:
        print(memory("VmHWM") - before, time.process_time() - start)
    else:
        print("loaded", name)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_no_small_file_takes_much_memory(saved, tmp_path):
    (tmp_path / "model").write_bytes(saved[0])
    paths = {name: tmp_path / f"bomb {k}" for k, name in enumerate(BOMBS)}
    for name, path in paths.items():
        rewrite(saved[0], path, BOMBS[name])
    for name, shape in HEADERS.items():
        header = f'{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,0]}}}}'.encode()
        paths[name] = tmp_path / name
        paths[name].write_bytes(len(header).to_bytes(8, "little") + header)
    command = [sys.executable, "-c", LOADED, tmp_path / "model", *paths.values()]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for name, line in zip(paths, output.splitlines(), strict=True):
        taken, seconds = map(float, line.split())
        size = paths[name].stat().st_size
        assert taken < 100e6 + 10 * size, (name, taken / 1e6, size / 1e6)
        assert seconds < 5, name


def test_a_later_version_of_the_format_is_named(saved, tmp_path):
    path = tmp_path / "later"
    path.write_bytes(saved[0].replace(b'"version":"3"', b'"version":"4"'))
    message = r"version of its format is '4'; this .*reads '1', '2', '3'"
    with pytest.raises(ValueError, match=message):
        LeNet5Classifier.load(path)


def test_the_checksum_is_computed_as_documented(saved, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(saved[0])
    with safe_open(path, framework="numpy") as file:
        digest = hashlib.sha256(file.metadata()["document"].encode())
        for name in sorted(file.keys()):
            array = file.get_tensor(name)
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
        assert file.metadata()["sha256"] == digest.hexdigest()
