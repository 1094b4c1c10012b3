"""A process that makes many fits does not grow."""

import gc
import mmap
import weakref

import long_life
import pytest
import torch
from skorch.callbacks import Callback

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.study.engine.journal import Journal

X, y = load_digits(return_X_y=True)
X, y = X[:100], y[:100]


def fit(**params):
    return LeNet5Classifier(max_epochs=2, batch_size=50, **params).fit(X, y)


def fit_with_callback():
    return LeNet5Classifier(max_epochs=2).set_callbacks(long_life.OnEpochs()).fit(X, y)


def fit_partially():
    return LeNet5Classifier().partial_fit(X, y, classes=range(10)).partial_fit(X, y)


@pytest.mark.parametrize(
    "make",
    [
        fit,
        lambda: fit(optimizer="sdlm"),
        lambda: fit(dropout=0.3),
        lambda: fit(augment="shift"),
        lambda: fit(average=0.5, lr_schedule="cosine"),
        lambda: fit(early_stopping=True),
        lambda: fit(warm_start=True).fit(X, y),
        lambda: fit(net_params={"callbacks": [Callback()]}),
        fit_with_callback,
        fit_partially,
    ],
)
@pytest.mark.parametrize("loaded", [False, True])
def test_a_discarded_estimator_is_freed_without_the_garbage_collector(
    make, loaded, tmp_path
):
    model = make()
    if loaded:
        if model.net_params:
            return
        model.save(tmp_path / "model")
        model = LeNet5Classifier.load(tmp_path / "model")
    gc.collect()
    gc.disable()
    try:
        left = [weakref.ref(model), weakref.ref(model.net_), weakref.ref(model.module_)]
        del model
        assert [ref() for ref in left] == [None, None, None]
    finally:
        gc.enable()


def test_a_fit_that_failed_is_freed_without_the_garbage_collector():
    model = LeNet5Classifier(lr=1e30, max_epochs=2)
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(ValueError, match="diverged"):
            model.fit(X, y)
        left = weakref.ref(model)
        del model
        assert left() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", long_life.KINDS)
def test_no_kind_of_fit_leaves_tensors_to_the_garbage_collector(kind):
    long_life.KINDS[kind]()
    gc.collect()
    gc.disable()
    try:
        long_life.KINDS[kind]()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [thing for thing in gc.garbage if isinstance(thing, torch.Tensor)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left


def test_growth_is_that_after_the_first_fits():
    sizes = [3, 9, 5, 7, 6]
    rows = [
        {"fits": n, "rss": rss, "uss": 0, "threads": 1, "files": 2}
        for n, rss in zip((100, 400, 500, 600, 700), sizes, strict=True)
    ]
    assert long_life.growth(rows) == {"rss": 2, "uss": 0, "threads": 0, "files": 0}


def test_memory_and_files_are_measured():
    before = long_life.measure()
    size = 32_000_000
    with open(__file__) as file, mmap.mmap(-1, size) as taken:
        taken.write(b"x" * size)
        after = long_life.measure()
        assert file.readable()
    assert after["rss"] - before["rss"] >= size
    assert after["uss"] - before["uss"] >= size
    assert after["files"] == before["files"] + 1


def test_the_record_is_of_3000_fits_that_did_not_grow():
    rows = list(Journal(long_life.RECORDS))
    run, *measured, grown = rows
    assert run["kinds"] == list(long_life.KINDS)
    assert [row["fits"] for row in measured] == list(range(100, 3001, 100))
    assert grown["rss"] <= long_life.MAX_GROWTH
    assert grown["threads"] == grown["files"] == 0
    assert grown == {"kind": "growth", "since": 500} | long_life.growth(measured)
