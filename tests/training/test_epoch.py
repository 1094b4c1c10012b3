import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch.nn import Softsign

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.images.canvas import Canvas
from sklenet.presets import lecun1998
from sklenet.training import epoch
from sklenet.training.batches import Batches, ImageDataset

X, y = load_digits(return_X_y=True)
X_VAL, Y_VAL = X[60:210], y[60:210]
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
def test_fits_by_kernels_and_by_torch_agree(params, monkeypatch):
    calls = []
    train_by_kernels = epoch.train_by_kernels
    monkeypatch.setattr(
        "sklenet.training.net.train_by_kernels",
        lambda *args: (calls.append(1), train_by_kernels(*args)),
    )
    by_kernels = fit(**params)
    assert len(calls) == 2
    by_torch = fit(by_torch=True, **params)
    assert len(calls) == 2
    np.testing.assert_allclose(
        by_kernels.predict_proba(X), by_torch.predict_proba(X), atol=2e-3
    )
    for own, torchs in zip(by_kernels.history_, by_torch.history_, strict=True):
        assert own["train_loss"] == pytest.approx(torchs["train_loss"], rel=1e-3)
        assert own["train_accuracy"] == pytest.approx(torchs["train_accuracy"], abs=0.03)


def test_it_repeats_itself():
    first, second = (fit(**PAPER).predict_proba(X) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    "params",
    [{"activation": Softsign}, {"loss": torch.nn.CrossEntropyLoss(reduction="none")}],
    ids=["activation", "loss"],
)
def test_what_has_no_kernels_is_done_by_torch(params, monkeypatch):
    monkeypatch.setattr("sklenet.training.net.train_by_kernels", None)
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
    by_kernels, by_torch = (
        LeNet5Classifier(net_params={"callbacks": [callback(what)]}, **options).fit(X, y)
        for callback in (Changes, ChangesAndHears)
    )
    np.testing.assert_allclose(
        by_kernels.predict_proba(X), by_torch.predict_proba(X), atol=2e-3
    )


CANVASES = [
    Canvas((1, 28, 28), 0, 255),
    Canvas((1, 8, 8), 0, 16, (-0.1, 1.175)),  # enlarged
    Canvas((3, 32, 32), 7, 203, (-1.0, 1.0)),
    Canvas((1, 28, 28), 0, 255, None),
    Canvas((1, 9, 14), 3, 3, (0.0, 1.0), padding=3),
]


@pytest.mark.parametrize("canvas", CANVASES, ids=str)
@pytest.mark.parametrize("n_missing", [0, 5])
@pytest.mark.parametrize("has_rows", [False, True])
def test_bytes_are_put_on_the_canvas_as_the_canvas_does(canvas, n_missing, has_rows):
    n_features = np.prod(canvas.image_shape) - n_missing
    generator = np.random.RandomState(0)
    pixels = torch.from_numpy(generator.randint(0, 256, (50, n_features)).astype("u1"))
    rows = torch.from_numpy(generator.permutation(50)[:30]) if has_rows else None
    labels, weights = torch.arange(50), torch.rand(50)
    dataset = ImageDataset(pixels, canvas, labels, weights, rows)
    batches = [
        epoch._images_last(Batches(data, 16, seed=3))
        for data in (
            dataset,
            # Pixels of another type take the way of all types.
            ImageDataset(pixels.short(), canvas, labels, weights, rows),
        )
    ]
    n = 0
    for (images, *own), expected in zip(*batches, strict=True):
        gathered = np.empty((*images.shape, len(own[0])), np.float32)
        middle = len(own[0]) // 2
        for here in (slice(0, middle), slice(middle, len(own[0]))):
            part = np.empty(gathered[..., here].shape, np.float32)
            images.write(here, part.reshape(-1, part.shape[-1]))
            gathered[..., here] = part
        for a, b in zip((gathered, *own), expected, strict=True):
            assert a.dtype == b.dtype
            assert np.array_equal(a, b)
        n += len(own[0])
    assert n == len(dataset)


def test_a_batch_larger_than_the_data_needs_no_more_memory():
    model = LeNet5Classifier(batch_size=10**9, max_epochs=1, random_state=0).fit(X, y)
    same = LeNet5Classifier(batch_size=len(X), max_epochs=1, random_state=0).fit(X, y)
    assert np.array_equal(model.predict_proba(X), same.predict_proba(X))


@pytest.mark.parametrize(
    ("params", "weighted"),
    [
        ({"optimizer": "adam", "dropout": 0.3}, False),
        (PAPER, True),
        ({"optimizer": "sgd", "loss": "bce", "label_smoothing": 0.1}, True),
    ],
    ids=["cross-entropy", "paper", "bce"],
)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_validation_by_kernels_and_by_torch_agree(params, weighted, n_threads, monkeypatch):
    # The weights hardly change, so that only validation can differ.
    options = {"batch_size": 16, "random_state": 0} | params
    options |= {"lr": 1e-30, "max_epochs": 1, "init": "xavier_uniform"}
    weights = np.linspace(0, 2, 150) if weighted else None
    valid = {"X_val": X_VAL, "y_val": Y_VAL, "sample_weight_val": weights}
    rows = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    for net_params in (None, {"callbacks": [HearsOfBatches()]}):
        model = LeNet5Classifier(**options, net_params=net_params).fit(X, y, **valid)
        rows.append(model.history_[0])
    by_kernels, by_torch = rows
    assert by_kernels["valid_loss"] == pytest.approx(by_torch["valid_loss"], rel=1e-5)
    assert by_kernels["valid_accuracy"] == pytest.approx(by_torch["valid_accuracy"])


def test_validation_does_not_use_torch(monkeypatch):
    monkeypatch.setattr("sklenet.training.net.TrainingNet.validation_step", None)
    model = LeNet5Classifier(max_epochs=2, early_stopping=True, random_state=0)
    assert len(model.fit(X, y).validation_scores_) == 2
    # Nor where torch computes the gradient.
    model = LeNet5Classifier(activation="tanh", optimizer=torch.optim.Rprop, max_epochs=1)
    assert len(model.fit(X, y, X_val=X_VAL, y_val=Y_VAL).validation_scores_) == 1


def test_validation_without_kernels_is_torchs(monkeypatch):
    monkeypatch.setattr("sklenet.training.net.validate_by_kernels", lambda *_: False)
    model = LeNet5Classifier(activation=Softsign, max_epochs=1, random_state=0)
    assert len(model.fit(X, y, X_val=X_VAL, y_val=Y_VAL).validation_scores_) == 1
