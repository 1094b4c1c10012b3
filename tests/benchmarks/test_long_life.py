"""The memory of a process does not grow with the number of fits."""

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
    return (
        LeNet5Classifier(max_epochs=2).set_callbacks(long_life.EpochPredictor()).fit(X, y)
    )


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
def test_discarded_estimator_is_freed_without_the_garbage_collector(make, loaded, tmp_path):
    model = make()
    if loaded:
        if model.net_params:
            return
        model.save(tmp_path / "model")
        model = LeNet5Classifier.load(tmp_path / "model")
    gc.collect()
    gc.disable()
    try:
        references = [weakref.ref(one) for one in (model, model.net_, model.module_)]
        del model
        assert [reference() for reference in references] == [None, None, None]
    finally:
        gc.enable()


def test_failed_fit_is_freed_without_the_garbage_collector():
    model = LeNet5Classifier(lr=1e30, max_epochs=2)
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(ValueError, match="diverged"):
            model.fit(X, y)
        reference = weakref.ref(model)
        del model
        assert reference() is None
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
        garbage = [thing for thing in gc.garbage if isinstance(thing, torch.Tensor)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not garbage


def test_growth_excludes_the_warm_up():
    sizes = [3, 9, 5, 7, 6]
    rows = [
        {"fits": n, "rss": rss, "uss": 0, "threads": 1, "files": 2}
        for n, rss in zip((100, 400, 500, 600, 700), sizes, strict=True)
    ]
    assert long_life.compute_growth(rows) == {"rss": 2, "uss": 0, "threads": 0, "files": 0}


def test_memory_and_files_are_measured():
    before = long_life.measure()
    size = 32_000_000
    with open(__file__) as file, mmap.mmap(-1, size) as memory:
        memory.write(b"x" * size)
        after = long_life.measure()
        assert file.readable()
    assert after["rss"] - before["rss"] >= size
    assert after["uss"] - before["uss"] >= size
    assert after["files"] == before["files"] + 1


def test_recorded_run_of_3000_fits_did_not_grow():
    rows = list(Journal(long_life.RECORDS))
    run, *measured, growth = rows
    assert run["kinds"] == list(long_life.KINDS)
    assert [row["fits"] for row in measured] == list(range(100, 3001, 100))
    assert growth["rss"] <= long_life.MAX_GROWTH
    assert growth["threads"] == growth["files"] == 0
    assert growth == {"kind": "growth", "since": 500} | long_life.compute_growth(measured)
