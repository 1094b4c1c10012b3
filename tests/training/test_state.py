"""The state of a net when it is continued, copied, pickled or saved."""

import copy
import hashlib
import pickle

import joblib
import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.multiclass import OneVsRestClassifier
from skorch.callbacks import Freezer

from sklenet import LeNet5Classifier

# Weights of over 1 MB, which joblib passes to its workers as read-only memory maps.
LARGE = {"hidden": (1200, 84), "max_epochs": 1, "batch_size": 50, "random_state": 0}


@pytest.fixture(scope="module")
def large(digits):
    X, y, *_ = digits
    return LeNet5Classifier(**LARGE).partial_fit(X[:100], y[:100], classes=range(10))


@pytest.mark.parametrize("mode", [None, "r", "r+", "c"])
def test_training_does_not_write_to_the_loaded_file(mode, large, digits, tmp_path):
    X, y, *_ = digits
    file = tmp_path / "model.joblib"
    joblib.dump(large, file)
    before = hashlib.sha256(file.read_bytes()).digest()
    loaded = joblib.load(file, mmap_mode=mode)
    for value in vars(loaded).values():
        assert not isinstance(value, np.memmap)
    loaded.partial_fit(X[:100], y[:100]).set_params(warm_start=True).fit(X[:100], y[:100])
    loaded.classes_[0] = 7
    assert hashlib.sha256(file.read_bytes()).digest() == before
    assert large.classes_[0] == 0


def test_workers_can_train_estimators_they_receive(digits):
    X, y, *_ = digits
    one_by_one, in_workers = (
        OneVsRestClassifier(LeNet5Classifier(**LARGE), n_jobs=n_jobs) for n_jobs in (1, 2)
    )
    with parallel_config("loky", inner_max_num_threads=1):
        for classifier in (one_by_one, in_workers):
            for _ in range(2):
                classifier.partial_fit(X[:60], y[:60], classes=range(10))
    assert np.array_equal(
        one_by_one.predict_proba(X[:20]), in_workers.predict_proba(X[:20])
    )


def test_continued_training_keeps_the_module(digits):
    X, y, *_ = digits
    seen = []
    classifier = LeNet5Classifier(**LARGE | {"hidden": (84,)}, warm_start=True)
    classifier.partial_fit(X, y, classes=range(10))
    module, net = classifier.module_, classifier.net_
    module.features.C1.register_forward_hook(lambda *_: seen.append(1))
    classifier.partial_fit(X, y).partial_fit(X, y)
    assert classifier.module_ is module
    assert classifier.net_ is net
    # After changes of parameters the net is another one, with the same module.
    classifier.set_params(lr=0.01, optimizer="sgd").partial_fit(X, y)
    classifier.set_params(max_epochs=2, early_stopping=False).fit(X, y)
    assert classifier.module_ is module
    assert classifier.net_.module_ is module
    assert classifier.n_iter_ == 6
    classifier.predict(X[:5])
    assert seen
    classifier.set_params(warm_start=False).fit(X, y)
    assert classifier.module_ is not module


@pytest.mark.parametrize("params", [{}, {"lr": 1e30}])
def test_failing_continued_training_changes_nothing(params, digits):
    """Whether the net itself continues, or a new one with other settings."""
    from skorch.callbacks import Callback

    class Fail(Callback):
        fails = False

        def on_epoch_end(self, net, **kwargs):
            if self.fails:
                raise RuntimeError("no more")

    X, y, *_ = digits
    fail = Fail()
    classifier, other = (
        LeNet5Classifier(
            max_epochs=3, random_state=0, warm_start=True, net_params={"callbacks": [each]}
        ).fit(X, y)
        for each in (fail, Fail())
    )
    before = classifier.predict_proba(X), classifier.history_
    fail.fails = not params
    with pytest.raises(
        RuntimeError if fail.fails else ValueError, match=r"no more|diverged"
    ):
        classifier.set_params(**params).fit(X, y)
    fail.fails = False
    classifier.set_params(lr=0.001)
    assert np.array_equal(classifier.predict_proba(X), before[0])
    assert classifier.history_ == before[1]
    assert len(classifier.net_.history) == 3
    # Training continues as if nothing had happened, including the moments of Adam.
    assert np.array_equal(
        classifier.fit(X, y).predict_proba(X), other.fit(X, y).predict_proba(X)
    )


@pytest.mark.parametrize("when", [1, 2])
def test_frozen_layers_remain_frozen(when, digits, tmp_path):
    """After pickling, copying, saving and loading, with or without optimizer state."""
    X, y, *_ = digits
    fitted = LeNet5Classifier(max_epochs=when, random_state=0).fit(X, y)
    if when == 1:  # frozen from the first step on
        freezer = Freezer("features*")
        fitted = LeNet5Classifier(
            max_epochs=1, random_state=0, net_params={"callbacks": [freezer]}
        ).fit(X, y)
        fitted.net_params = fitted.fit_params_["net_params"] = None
    else:
        fitted.module_.features.requires_grad_(False)
    fitted.save(tmp_path / "model")
    before = fitted.module_.features.C1.weight.detach().clone()
    for copied in (
        fitted,
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
        LeNet5Classifier.load(tmp_path / "model"),
    ):
        trained = copied.module_.head.F6.weight.detach().clone()
        copied.partial_fit(X, y)
        assert torch.equal(copied.module_.features.C1.weight, before)
        assert not torch.equal(copied.module_.head.F6.weight, trained)


def test_hooks_are_called_in_training(digits):
    X, y, *_ = digits
    calls = []
    classifier = LeNet5Classifier(max_epochs=1, random_state=0).fit(X[:64], y[:64])
    classifier.module_.features.C1.weight.register_hook(lambda g: calls.append("weight"))
    classifier.partial_fit(X[:64], y[:64])
    classifier.module_.register_forward_hook(lambda *_: calls.append("module"))
    classifier.partial_fit(X[:64], y[:64])
    assert calls == ["weight", "module", "weight"]


@pytest.mark.parametrize(
    "activation",
    [
        torch.nn.RReLU(),
        torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Dropout(0.2)),
        lambda x: torch.nn.functional.dropout(torch.relu(x), 0.2),
    ],
    ids=["RReLU", "Dropout", "function"],
)
def test_custom_layers_that_use_the_global_generator_of_torch(activation, digits):
    X, y, *_ = digits
    results = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        classifier = LeNet5Classifier(activation=activation, max_epochs=1, random_state=0)
        results.append(classifier.fit(X[:100], y[:100]).predict_proba(X[:10]))
        assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(*results)


class Scaled(torch.nn.Module):
    """A loss with a parameter."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, outputs, labels):
        losses = torch.nn.functional.cross_entropy(
            outputs * self.scale, labels, reduction="none"
        )
        return losses + (self.scale - 3).square().mean()


def test_parameters_of_a_loss_are_trained_and_kept(digits):
    X, y, *_ = digits
    loss = Scaled()
    fitted = LeNet5Classifier(loss=loss, max_epochs=2, lr=0.01, random_state=0).fit(X, y)
    scale = fitted.net_.criterion_.scale
    assert loss.scale.item() == 1
    assert scale.item() != 1
    copied = pickle.loads(pickle.dumps(fitted))
    assert copied.net_.criterion_.scale.item() == scale.item()
    for each in (fitted, copied):
        each.set_params(batch_size=32).partial_fit(X, y)
    assert np.array_equal(fitted.predict_proba(X), copied.predict_proba(X))
