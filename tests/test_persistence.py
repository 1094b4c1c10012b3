"""Files of fitted estimators: whole, the same, and nothing but data."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import torch
from safetensors import safe_open
from sklearn import config_context

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.presets import lecun1998, lenet1
from sklenet.saved import checksum

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
    ids=["defaults", "1998", "sgd", "class weights", "numpy", "padding", "net_params"],
)
def test_what_was_saved_is_the_same(params, tmp_path):
    saved = fit(**params)
    saved.save(tmp_path / "model")
    loaded = LeNet5Classifier.load(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert np.array_equal(loaded.predict_proba(X), saved.predict_proba(X))
    for name in ("history_", "image_shape_", "pixel_range_", "best_epoch_", "n_iter_"):
        assert getattr(loaded, name) == getattr(saved, name), name
    if params.get("random_state") is None:
        assert repr(loaded) == repr(saved)
    # It trains on as the other does, optimizer, random numbers and all.
    for model in (loaded, saved):
        model.partial_fit(X, y)
    assert np.array_equal(loaded.predict_proba(X), saved.predict_proba(X))


@pytest.mark.parametrize("kind", [object, str, np.int8, ">i4", ">f8", np.float32, bool])
def test_labels_are_of_their_type(kind, tmp_path):
    labels = (
        (y % 2).astype(kind) if kind is not object else np.array(["a", "b"], object)[y % 2]
    )
    saved = LeNet5Classifier(max_epochs=1, random_state=0).fit(X, labels)
    saved.save(tmp_path / "model")
    loaded = LeNet5Classifier.load(tmp_path / "model")
    assert loaded.classes_.dtype.kind == saved.classes_.dtype.kind
    assert np.array_equal(loaded.predict(X), saved.predict(X))


def test_a_class_may_be_called_as_the_format_calls_things(tmp_path):
    labels = np.array(["pairs", "tuple"])[y % 2]
    saved = fit_on(labels, class_weight={"pairs": 2.0, "tuple": 1.0})
    saved.save(tmp_path / "model")
    loaded = LeNet5Classifier.load(tmp_path / "model")
    assert loaded.class_weight == {"pairs": 2.0, "tuple": 1.0}


def fit_on(labels, **params):
    return LeNet5Classifier(max_epochs=1, random_state=0, **params).fit(X, labels)


def test_a_loaded_one_goes_on_with_the_parameters_it_had(tmp_path):
    params = lenet1() | {"padding": 10, "max_epochs": 1, "warm_start": True}
    fit(**params).save(tmp_path / "model")
    loaded = LeNet5Classifier.load(tmp_path / "model").set_params(**params)
    assert loaded.fit(X, y).n_iter_ == 2


def test_requests_of_metadata_are_kept(tmp_path):
    with config_context(enable_metadata_routing=True):
        model = (
            fit().set_fit_request(sample_weight=True).set_score_request(sample_weight="w")
        )
        model.save(tmp_path / "model")
        loaded = LeNet5Classifier.load(tmp_path / "model")
        for method in ("fit", "partial_fit", "score"):
            asked = getattr(model.get_metadata_routing(), method).requests
            assert getattr(loaded.get_metadata_routing(), method).requests == asked


def test_the_mode_of_a_file_is_kept_and_names_may_be_long(fitted, tmp_path):
    path = tmp_path / ("m" * 250)
    fitted.save(path)
    path.chmod(0o600)
    fitted.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    LeNet5Classifier.load(path)


def test_names_of_features_are_kept(tmp_path):
    frame = pd.DataFrame(X, columns=[f"pixel{k}" for k in range(64)])
    LeNet5Classifier(max_epochs=1).fit(frame, y).save(tmp_path / "model")
    loaded = LeNet5Classifier.load(tmp_path / "model")
    assert loaded.feature_names_in_[63] == "pixel63"
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame[frame.columns[::-1]])


@pytest.mark.parametrize(("version", "framing"), [(1, None), (2, "digit")])
def test_files_of_all_versions_are_read(version, framing):
    path = Path(__file__).parent / f"version_{version}.sklenet"
    loaded = LeNet5Classifier.load(path)
    expected = json.loads(path.with_suffix(".json").read_text())
    assert loaded.framing == framing
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


def test_what_cannot_be_saved_is_told_before_a_file_is_touched(fitted, tmp_path):
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


def test_a_link_stays_a_link(fitted, tmp_path):
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


def test_a_crash_while_saving_leaves_the_old_file(fitted, tmp_path):
    path = tmp_path / "model"
    fitted.save(path)
    before = path.read_bytes()
    process = subprocess.run([sys.executable, "-c", KILLED, str(path)])
    assert process.returncode == -9
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2  # and what was being written


# What is no such file


def test_other_things_are_refused_at_once(tmp_path, fitted):
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


def loads_the_same_or_nothing(path, probabilities):
    """Load a mutated file: it must be refused, or be what it was."""
    try:
        loaded = LeNet5Classifier.load(path)
    except ValueError:
        return False
    assert np.array_equal(loaded.predict_proba(X), probabilities)
    return True


def test_damaged_files_are_refused(saved, tmp_path):
    content, probabilities = saved
    generator = np.random.RandomState(0)
    path = tmp_path / "damaged"
    header = 8 + int.from_bytes(content[:8], "little")
    n_loaded = 0
    start = time.monotonic()
    for k in range(600):
        damaged = bytearray(content)
        what = k % 6
        if what in (0, 1):  # a flipped bit: anywhere, or in the header
            at = generator.randint(len(content) if what else header)
            damaged[at] ^= 1 << generator.randint(8)
        elif what == 2:  # bytes of something else
            at = generator.randint(len(content))
            damaged[at : at + 64] = generator.bytes(len(damaged[at : at + 64]))
        elif what == 3:
            del damaged[generator.randint(len(content)) :]
        elif what == 4:  # a part twice
            at = generator.randint(len(content))
            damaged[at:at] = damaged[at : at + 100]
        else:  # an absurd length of the header
            damaged[generator.randint(8)] = generator.randint(256)
        path.write_bytes(damaged)
        n_loaded += loads_the_same_or_nothing(path, probabilities)
    assert n_loaded < 30  # a header's spaces may differ, or nothing was
    assert time.monotonic() - start < 120


def rewritten(content, path, change):
    """Write the file with its document and tensors changed, and a checksum that fits."""
    path.write_bytes(content)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        names = file.keys()
        tensors = {name: file.get_tensor(name) for name in names}
    document = json.loads(metadata["document"])
    text = change(document, tensors)
    metadata["document"] = json.dumps(document) if text is None else text
    metadata["sha256"] = checksum(metadata["document"], tensors)
    path.write_bytes(safetensors.numpy.save(tensors, metadata))


def in_params(**values):
    def change(document, tensors):
        for group in ("params", "fit_params"):
            document[group].update(values)

    return change


def in_fitted(**values):
    return lambda document, tensors: document["fitted"].update(values)


def tensor(name, array):
    def change(document, tensors):
        tensors[name] = array
        if array is None:
            del tensors[name]

    return change


HOSTILE = {
    "unknown parameter": in_params(command="rm"),
    "no such layer": in_params(activation="os.system"),
    "layer by path": in_params(activation="../../activation"),
    "other maps": in_params(maps=[6, 16]),
    "absurd maps": in_params(maps=[1 << 40, 1 << 40]),
    "absurd units": in_params(hidden=[1 << 62]),
    "absurd kernels": in_params(kernel_size=1 << 30),
    "absurd border": in_params(padding=1 << 30),
    "wrong type": in_params(lr="0.1"),
    "not a number": in_params(lr=float("nan")),
    "net of its own": in_params(net_params={"module": "os.system"}),
    "callbacks": in_params(net_params={"callbacks": ["os.system"]}),
    "compiled": in_params(
        net_params={"compile": True, "compile__options": {"cpp.cxx": ["/bin/false"]}}
    ),
    "wide codes": in_params(output="rbf", hidden=[65_000]),
    "of no device": in_params(device="meta", hidden=[11]),
    "fewer pixels": in_fitted(n_features_in=48),
    "more pixels": in_fitted(n_features_in=100),
    "labels out of order": tensor("classes", np.arange(10)[::-1].copy()),
    "label that is none": tensor("classes", np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, np.nan])),
    "range of nothing": in_fitted(pixel_range=[float("nan"), 1.0]),
    "range upside down": in_fitted(pixel_range=[1.0, 0.0]),
    "half a state": tensor("optimizer/0/exp_avg_sq", None),
    "requests": lambda document, tensors: document["requests"].update(
        {"fit": {"os.system": True}}
    ),
    "empty images": in_fitted(image_shape=[1, 0, 8]),
    "absurd images": in_fitted(image_shape=[1, 1 << 31, 1 << 31]),
    "two sides": in_fitted(image_shape=[8, 8]),
    "labels twice": in_fitted(classes=["a"] * 10),
    "too few labels": in_fitted(classes=["a", "b"]),
    "range of text": in_fitted(pixel_range=["0", "1"]),
    "names of others": in_fitted(feature_names_in=["a"]),
    "position": in_fitted(position=1 << 31),
    "negative position": in_fitted(position=-1),
    "history": in_fitted(history=[{"train_loss": {"__reduce__": "os.system"}}]),
    "extra": in_fitted(__class__="os.system"),
    "no weights": tensor("weights/features.C1.weight", None),
    "other shape": tensor("weights/features.C1.weight", np.zeros((2, 1, 5, 4), np.float32)),
    "transposed": tensor("weights/head.C5.weight", np.zeros((75, 10), np.float32)),
    "double": tensor("weights/features.C1.bias", np.zeros(2)),
    "more weights": tensor("weights/more", np.zeros(2, np.float32)),
    "more": tensor("more", np.zeros(2)),
    "state of nobody": tensor("optimizer/99/exp_avg", np.zeros(2)),
    "state of text": tensor("optimizer/x/exp_avg", np.zeros(2)),
    "large state": tensor("optimizer/0/exp_avg", np.zeros((2, 1, 5, 5, 9), np.float32)),
    "short twister": tensor("random_state", np.zeros(3, np.uint32)),
    "no twister": tensor("random_state", None),
    "labels of two axes": tensor("classes", np.arange(10).reshape(5, 2)),
    "deep": lambda document, tensors: "[" * 200_000,
    "long number": lambda document, tensors: '{"params": ' + "9" * 100_000 + "}",
    "no document": lambda document, tensors: "",
    "list": lambda document, tensors: "[]",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_files_are_refused(what, saved, tmp_path):
    content, probabilities = saved
    path = tmp_path / "hostile"
    rewritten(content, path, lambda document, tensors: None)
    assert loads_the_same_or_nothing(path, probabilities)
    rewritten(content, path, HOSTILE[what])
    start = time.monotonic()
    assert not loads_the_same_or_nothing(path, probabilities)
    assert time.monotonic() - start < 5


def test_a_later_version_is_named(saved, tmp_path):
    path = tmp_path / "later"
    path.write_bytes(saved[0].replace(b'"version":"2"', b'"version":"3"'))
    message = r"version of its format is '3'; this .*reads '1' and '2'"
    with pytest.raises(ValueError, match=message):
        LeNet5Classifier.load(path)


def test_the_checksum_is_what_is_documented(saved, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(saved[0])
    with safe_open(path, framework="numpy") as file:
        digest = hashlib.sha256(file.metadata()["document"].encode())
        for name in sorted(file.keys()):
            array = file.get_tensor(name)
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
        assert file.metadata()["sha256"] == digest.hexdigest()
