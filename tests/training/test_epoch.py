import numpy as np
import pytest
from skorch.callbacks import Callback
from torch.nn import SiLU

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.presets import lecun1998
from sklenet.training import epoch

X, y = load_digits(return_X_y=True)
X, y = X[:60], y[:60]
PAPER = lecun1998() | {"max_epochs": 2}


class HearsOfBatches(Callback):
    def on_batch_end(self, net, **kwargs):
        pass


def fit(by_torch=False, **params):
    if by_torch:  # a callback that asks for every batch
        params["net_params"] = {"callbacks": [HearsOfBatches()]}
    options = {"batch_size": 1, "max_epochs": 2, "random_state": 0} | params
    model = LeNet5Classifier(**options)
    weight = np.linspace(0.5, 1.5, len(X)) if params.get("lr") == 0.001 else None
    return model.fit(X, y, sample_weight=weight)


@pytest.mark.parametrize(
    "params",
    [
        PAPER,
        {"optimizer": "adam", "lr": 0.0002, "l1": 1e-4},
        {"optimizer": "sgd", "lr": 0.001, "batch_size": 7},
    ],
    ids=["paper", "adam with l1", "sgd, weighted"],
)
def test_fits_by_hand_and_by_torch_agree(params, monkeypatch):
    calls = []
    run_by_hand = epoch.run_by_hand
    monkeypatch.setattr(
        "sklenet.training.net.run_by_hand",
        lambda *args: (calls.append(1), run_by_hand(*args)),
    )
    by_hand = fit(**params)
    assert len(calls) == 2
    by_torch = fit(by_torch=True, **params)
    assert len(calls) == 2
    np.testing.assert_allclose(
        by_hand.predict_proba(X), by_torch.predict_proba(X), atol=2e-3
    )
    for own, torchs in zip(by_hand.history_, by_torch.history_, strict=True):
        assert own["train_loss"] == pytest.approx(torchs["train_loss"], rel=1e-3)
        assert own["train_accuracy"] == pytest.approx(torchs["train_accuracy"], abs=0.03)


def test_it_repeats_itself():
    first, second = (fit(**PAPER).predict_proba(X) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    "params",
    [{"dropout": 0.2}, {"activation": SiLU}],
    ids=["dropout", "activation"],
)
def test_what_is_not_done_by_hand_is_done_by_torch(params, monkeypatch):
    monkeypatch.setattr("sklenet.training.net.run_by_hand", None)
    assert fit(lr=0.0002, **params).n_iter_ == 2


class Changes(Callback):
    """What callbacks may do to the module between epochs."""

    def __init__(self, what):
        self.what = what

    def on_epoch_begin(self, net, **kwargs):
        weight = net.module_.head.C5.weight
        if self.what == "zero_grad":
            net.optimizer_.zero_grad()
        elif self.what == "replace":
            weight.data = weight.data.clone()
        elif self.what == "freeze":
            weight.requires_grad_(False)
        elif self.what == "freeze features":
            net.module_.features.requires_grad_(False)


class ChangesAndHears(Changes, HearsOfBatches):
    pass


@pytest.mark.parametrize("what", ["zero_grad", "replace", "freeze", "freeze features"])
def test_what_callbacks_change_between_epochs_is_taken_up(what):
    options = {"max_epochs": 3, "random_state": 0, "batch_size": 16}
    by_hand, by_torch = (
        LeNet5Classifier(net_params={"callbacks": [callback(what)]}, **options).fit(X, y)
        for callback in (Changes, ChangesAndHears)
    )
    np.testing.assert_allclose(
        by_hand.predict_proba(X), by_torch.predict_proba(X), atol=2e-3
    )
