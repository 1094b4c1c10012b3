"""The trained networks that ship with the package, and their records."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from sklenet import load_pretrained
from sklenet.datasets.loaders import load_dataset
from sklenet.datasets.registry import DATASETS
from sklenet.pretrained import FOLDER

RECORDS = Path(__file__).parents[1] / "benchmarks/results/pretrained/records.jsonl"
MODELS = {r["name"]: r for r in map(json.loads, RECORDS.read_text().splitlines())}


def test_every_network_has_a_record():
    assert set(MODELS) == {path.stem for path in FOLDER.glob("*.sklenet")}
    assert {"mnist", "lecun1998"} <= set(MODELS)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_network_is_the_recorded_one(name):
    record, path = MODELS[name], FOLDER / f"{name}.sklenet"
    content = path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == record["sha256"]
    assert len(content) < 300_000
    classifier, dataset = load_pretrained(name), DATASETS[record["data"]]
    assert classifier.random_state == record["seed"]
    assert classifier.n_iter_ == record["epochs"]
    assert classifier.image_shape_ == dataset.image_shape
    assert classifier.pixel_range_ == (0, 255)
    assert classifier.framing == dataset.framing
    assert classifier.classes_.tolist() == list(range(dataset.n_classes))


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.real_data(MODELS[n]["data"])) for n in MODELS],
)
def test_a_network_has_its_recorded_accuracy(name, real_data):
    record = MODELS[name]
    X, y = load_dataset(record["data"], "test", return_X_y=True)
    classifier = load_pretrained(name)
    assert classifier.views is None
    assert classifier.score(X, y) == pytest.approx(record["test_accuracy"], abs=1e-4)
    classifier.set_params(views=record.get("views"))
    accuracy = classifier.score(X, y)
    assert accuracy == pytest.approx(record.get("views_accuracy", accuracy), abs=1e-4)
    # It is a typical network of its study.
    assert accuracy == pytest.approx(record["mean"], abs=0.01)


def test_training_continues():
    classifier = load_pretrained("mnist")
    before = classifier.module_.state_dict()["features.C1.weight"].clone()
    X = np.random.default_rng(0).integers(0, 256, (64, 784), dtype=np.uint8)
    classifier.partial_fit(X, np.arange(64) % 10)
    assert classifier.n_iter_ == MODELS["mnist"]["epochs"] + 1
    assert not before.equal(classifier.module_.state_dict()["features.C1.weight"])


@pytest.mark.parametrize("name", ["MNIST", "", "../mnist", None, 3])
def test_unknown_names_are_listed(name):
    with pytest.raises(ValueError, match=r"must be one of \[.*'lecun1998', 'mnist'\]"):
        load_pretrained(name)
