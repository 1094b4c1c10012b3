"""All callbacks of skorch either work or are rejected before training."""

import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import skorch.callbacks
import torch
from sklearn.metrics import accuracy_score
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    Initializer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    NeptuneLogger,
    ParamMapper,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    Unfreezer,
    WandbLogger,
    WarmRestartLR,
)

from sklenet import LeNet5Classifier
from sklenet.training.callbacks import EpochLog

QUICK = {"max_epochs": 3, "batch_size": 50, "random_state": 0}


@pytest.fixture(scope="module")
def small(digits):
    X, y, X_test, y_test = digits
    return X[:100], y[:100], X_test[:40], y_test[:40]


def fit(small, *callbacks, validation=True, **params):
    X, y, X_val, y_val = small
    params = {"net_params": {"callbacks": list(callbacks)}} | QUICK | params
    data = {"X_val": X_val, "y_val": y_val} if validation else {}
    return LeNet5Classifier(**params).fit(X, y, **data)


def weights(classifier):
    return torch.cat([p.detach().flatten() for p in classifier.module_.parameters()])


@pytest.fixture(scope="module")
def plain(small):
    return fit(small)


class Recorder:
    """A stand-in for the client of a logging service, which records all calls."""

    def __init__(self, **attributes):
        self.told = []
        vars(self).update(attributes)

    def __getattr__(self, name):
        if name.startswith("_") or name == "get_params":
            raise AttributeError(name)
        return lambda *args, **kwargs: self.told.append((name, *args, kwargs))

    def __getitem__(self, name):
        return self

    def __setitem__(self, name, value):
        self.told.append((name, value))


@pytest.fixture
def neptune(monkeypatch):
    """A stand-in for those names of the package neptune that the callback imports."""
    file = SimpleNamespace(from_content=lambda text, extension: text)
    monkeypatch.setitem(sys.modules, "neptune", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "neptune.types", SimpleNamespace(File=file))


CASES = {
    "BatchScoring": lambda d: BatchScoring("accuracy", lower_is_better=False, name="acc"),
    "BatchScoring on training data": lambda d: BatchScoring("accuracy", on_train=True),
    "Callback": lambda d: Callback(),
    "Checkpoint": lambda d: Checkpoint(dirname=str(d)),
    "Checkpoint of every epoch": lambda d: Checkpoint(
        monitor=None, dirname=str(d), f_pickle="net.pkl"
    ),
    "EarlyStopping": lambda d: EarlyStopping(patience=5),
    "EpochScoring": lambda d: EpochScoring("accuracy", lower_is_better=False, name="acc"),
    "EpochScoring by a metric": lambda d: EpochScoring(accuracy_score, on_train=True),
    "EpochScoring by probabilities": lambda d: EpochScoring("neg_log_loss", name="nll"),
    "EpochScoring by score": lambda d: EpochScoring(None, name="own"),
    "EpochTimer": lambda d: EpochTimer(),
    "MlflowLogger": lambda d: MlflowLogger(
        run=Recorder(info=SimpleNamespace(run_id="1")), client=Recorder()
    ),
    "NeptuneLogger": lambda d: NeptuneLogger(Recorder(), close_after_train=False),
    "ParamMapper": lambda d: ParamMapper("head.*", fn=lambda p: None),
    "PassthroughScoring": lambda d: PassthroughScoring("valid_loss"),
    "PrintLog": lambda d: PrintLog(sink=str),
    "ProgressBar": lambda d: ProgressBar(detect_notebook=False),
    "SacredLogger": lambda d: SacredLogger(Recorder(), log_on_batch_end=True),
    "TensorBoard": lambda d: TensorBoard(Recorder(), close_after_train=False),
    "TrainEndCheckpoint": lambda d: TrainEndCheckpoint(dirname=str(d)),
    "Unfreezer": lambda d: Unfreezer("head.*"),
    "WandbLogger": lambda d: WandbLogger(
        Recorder(dir=str(d), config=Recorder()), save_model=True
    ),
    # These change the weights.
    "Freezer": lambda d: Freezer("features.C1.*"),
    "GradientNormClipping": lambda d: GradientNormClipping(0.01),
    "Initializer": lambda d: Initializer("head.F6.weight", fn=torch.nn.init.zeros_),
    "LRScheduler": lambda d: LRScheduler("StepLR", step_size=1, gamma=0.1),
    "LRScheduler by batch": lambda d: LRScheduler(WarmRestartLR, step_every="batch"),
    "LRScheduler on a plateau": lambda d: LRScheduler(
        "ReduceLROnPlateau", monitor="valid_loss", patience=0, threshold=10.0
    ),
}
CHANGES = ("Freezer", "Gradient", "Initializer", "LRScheduler")
# Not a callback, tested separately, or rejected.
OTHERS = {"LoadInitState", "InputShapeSetter", "WarmRestartLR"}


def test_all_callbacks_of_skorch_are_tested():
    tested = {name.split()[0] for name in CASES}
    assert tested | OTHERS == set(skorch.callbacks.__all__)


@pytest.mark.parametrize("name", CASES)
def test_callbacks_of_skorch(name, small, plain, tmp_path, neptune):
    callback = CASES[name](tmp_path)
    fitted = fit(small, callback)
    assert fitted.n_iter_ == 3
    if name.startswith(CHANGES):
        assert not torch.equal(weights(fitted), weights(plain))
    else:
        assert torch.allclose(weights(fitted), weights(plain), atol=2e-4)
    # skorch passes numbers on unchanged, so that the last loss is among them.
    loss = str(fitted.history_[-1]["valid_loss"])
    for client in ("client", "experiment", "wandb_run", "writer"):
        if client in vars(callback):
            assert loss in str(getattr(callback, client).told)


@pytest.mark.parametrize("kind", [BatchScoring, EpochScoring])
def test_scoring_callbacks_agree_with_predict(kind, small):
    scoring = kind("accuracy", lower_is_better=False, name="acc")
    fitted = fit(small, scoring)
    scores = fitted.net_.history[:, "acc"]
    recorded = [row["valid_accuracy"] for row in fitted.history_]
    assert scores == pytest.approx(recorded)
    assert fitted.net_.history[-1, "acc"] == pytest.approx(fitted.score(*small[2:]))
    assert fitted.net_.history[0, "acc_best"] is True


def test_scoring_callbacks_agree_with_predict_proba(small):
    fitted = fit(small, EpochScoring("neg_log_loss", name="nll"), loss="bce")
    X_val, y_val = small[2:]
    probabilities = fitted.predict_proba(X_val)[np.arange(len(y_val)), y_val]
    assert fitted.net_.history[-1, "nll"] == pytest.approx(np.log(probabilities).mean())


def test_checkpoints_contain_the_best_epoch(small, tmp_path):
    best = Checkpoint(
        monitor="valid_accuracy_best", f_params="epoch_{last_epoch[epoch]}.pt",
        dirname=str(tmp_path), load_best=True,
    )  # fmt: skip
    fitted = fit(small, best, max_epochs=6)
    accuracies = [row["valid_accuracy"] for row in fitted.history_]
    assert len(accuracies) == 6
    firsts = [k for k in range(6) if accuracies[k] > max([0, *accuracies[:k]])]
    assert {f"epoch_{k + 1}.pt" for k in firsts} == {p.name for p in tmp_path.glob("*_*")}
    saved = torch.load(tmp_path / f"epoch_{firsts[-1] + 1}.pt")
    for name, value in fitted.module_.state_dict().items():
        assert torch.equal(value, saved[name])


def test_a_net_pickled_by_a_checkpoint_can_be_loaded(small, tmp_path):
    fitted = fit(small, Checkpoint(monitor=None, dirname=str(tmp_path), f_pickle="net.pkl"))
    net = pickle.loads((tmp_path / "net.pkl").read_bytes())
    for name, value in fitted.module_.state_dict().items():
        assert torch.equal(value, net.module_.state_dict()[name])


def test_training_continues_from_a_checkpoint(small, tmp_path):
    checkpoint = TrainEndCheckpoint(dirname=str(tmp_path))
    first = fit(small, checkpoint)
    again = fit(small, checkpoint, LoadInitState(checkpoint), max_epochs=1)
    assert again.n_iter_ == 1
    assert again.loss_curve_[0] < first.loss_curve_[-1]


def test_early_stopping_of_skorch_restores_the_best_weights(small):
    stop = EarlyStopping(
        monitor="train_loss", patience=1, threshold=10.0, threshold_mode="abs",
        load_best=True, sink=str,
    )  # fmt: skip
    fitted = fit(small, stop, max_epochs=9)
    assert fitted.n_iter_ == 2
    assert not fitted.interrupted_
    assert torch.allclose(weights(fitted), weights(fit(small, max_epochs=1)), atol=2e-4)


def test_callbacks_may_be_named_and_have_parameters(small):
    net_params = {"callbacks": [("stop", EarlyStopping)], "callbacks__stop__patience": 1}
    net_params |= {"callbacks__stop__threshold": 10.0, "callbacks__stop__sink": str}
    net_params |= {"callbacks__stop__threshold_mode": "abs"}
    assert fit(small, net_params=net_params).n_iter_ == 2


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ([InputShapeSetter()], "InputShapeSetter.*'image_shape' parameter"),
        ([InputShapeSetter], "InputShapeSetter.*'image_shape' parameter"),
        ([("shape", InputShapeSetter())], "InputShapeSetter"),
        (["x"], "'callbacks' entry of the 'net_params' parameter.*'x'"),
        ([("a", "b")], r"'callbacks' entry of the 'net_params' parameter.*\('a', 'b'\)"),
        ([lambda net: None], "'callbacks' entry of the 'net_params' parameter"),
        ("x", "'callbacks' entry of the 'net_params' parameter must be a list"),
        (3, "'callbacks' entry of the 'net_params' parameter must be a list"),
        ([EpochScoring("accuracy", use_caching=False)], "EpochScoring.*use_caching"),
        ([BatchScoring("accuracy", use_caching=False)], "BatchScoring.*use_caching"),
    ],
)
def test_invalid_callbacks_are_rejected_before_training(callbacks, message, small):
    classifier = LeNet5Classifier(net_params={"callbacks": callbacks})
    with pytest.raises(ValueError, match=message):
        classifier.fit(*small[:2])
    assert not hasattr(classifier, "net_")


@pytest.mark.parametrize(
    "callbacks",
    [
        [Checkpoint()],
        [EarlyStopping()],
        [EarlyStopping(monitor="valid_accuracy")],
        [LRScheduler("ReduceLROnPlateau", monitor="valid_loss")],
        [WandbLogger(Recorder(dir=".", config=Recorder()), save_model=True)],
        [EpochScoring("accuracy", name="acc"), Checkpoint(monitor="acc_best")],
    ],
    ids=lambda callbacks: type(callbacks[-1]).__name__,
)
def test_callbacks_that_need_validation_data(callbacks, small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where checkpoints are written
    name = type(callbacks[-1]).__name__
    with pytest.raises(ValueError, match=f"{name} callback.*no validation data.*X_val"):
        fit(small, *callbacks, validation=False)
    assert fit(small, *callbacks, validation=False, early_stopping=True).n_iter_ == 3


def test_callbacks_that_need_no_validation_data(small, tmp_path):
    callbacks = [
        Checkpoint(monitor=None, dirname=str(tmp_path)),
        Checkpoint(monitor="train_loss_best", dirname=str(tmp_path)),
        TrainEndCheckpoint(dirname=str(tmp_path)),
        EarlyStopping(monitor="train_accuracy", lower_is_better=False),
        EpochScoring("accuracy"),
        PassthroughScoring("train_loss", on_train=True),
    ]
    assert fit(small, *callbacks, validation=False).n_iter_ == 3


def test_callbacks_continue_over_partial_fits(small):
    class Count(Callback):
        def initialize(self):
            self.epochs = []

        def on_epoch_end(self, net, **kwargs):
            self.epochs.append(net.history[-1, "epoch"])

    count = Count()
    classifier = LeNet5Classifier(**QUICK, net_params={"callbacks": [count]})
    for _ in range(3):
        classifier.partial_fit(*small[:2], classes=range(10))
    assert count.epochs == [1, 2, 3]
    classifier.net_params["callbacks"].append(Count())
    classifier.partial_fit(*small[:2])
    assert classifier.net_params["callbacks"][1].epochs == [4]


def test_the_header_is_printed_once(small, capsys):
    classifier = LeNet5Classifier(**QUICK, verbose=1, warm_start=True)
    for _ in range(2):
        classifier.partial_fit(*small[:2], classes=range(10))
    classifier.set_params(lr=0.002).partial_fit(*small[:2])
    classifier.set_params(max_epochs=2).fit(*small[:2])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["epoch", "-------", *"12345"]
    assert classifier.n_iter_ == 5
    pickle.loads(pickle.dumps(classifier)).fit(*small[:2])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["epoch", "-------", *"67"]
    classifier.set_params(warm_start=False).fit(*small[:2])
    assert capsys.readouterr().out.split()[0] == "epoch"


def test_the_log_has_no_colors():
    row = {"epoch": 1, "valid_loss": 0.5, "valid_loss_best": True}
    assert "\033" not in EpochLog().initialize().table(row)


def test_frozen_layers_do_not_change(small):
    before = fit(small, max_epochs=1, lr=1e-30)
    frozen = fit(small, Freezer("features.*"), max_epochs=2)
    for name in ("C1", "C3"):
        assert torch.equal(
            frozen.module_.features.get_submodule(name).weight,
            before.module_.features.get_submodule(name).weight,
        )
