"""Training steps on a GPU, as far as they can be tested without one.

The device "meta" only computes shapes: it raises an error if a value is read, for which a
GPU would have to wait, or if devices are mixed. A stand-in for CUDA graphs repeats the
computation into the same arrays.
"""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.training.batches import Batches, ImageDataset
from sklenet.training.build import build_net
from sklenet.training.replay import ReplayedSteps, can_be_replayed

X, y = load_digits(return_X_y=True)
X, y = X[:150], y[:150]

# The device "meta" has no fused steps.
UNFUSED = {"optimizer": "adam", "net_params": {"optimizer__fused": False}}


def net_on(device, weighted=False, **params):
    """Return a net and batches of 40, 40, 40 and 30 images."""
    model = LeNet5Classifier(batch_size=40, random_state=0, **params).fit(X[:20], y[:20])
    canvas = model.canvas_
    device = torch.device(device)
    net = build_net(model.get_params(), canvas, np.arange(10), device, (0, 0, 0))
    weights = torch.linspace(0.5, 1.5, len(X)) if weighted else None
    dataset = ImageDataset(
        torch.from_numpy(X.astype(np.uint8)).to(device),
        canvas,
        torch.from_numpy(y).to(device),
        weights if weights is None else weights.to(device),
    )
    return net, Batches(dataset, 40, seed=0)


def capture_by_recomputing(function, device):
    """Return a replay that repeats the computation, into the same memory like a graph."""
    result = function()

    def replay():
        for name, value in function().items():
            result[name].copy_(value)

    return result, replay


@pytest.mark.parametrize(
    "params",
    [
        UNFUSED,
        UNFUSED | {"lr_schedule": "one_cycle", "l1": 1e-4},
        UNFUSED | {"output": "rbf", "loss": "map", "pooling": "subsample"},
        {"average": 0.5, "label_smoothing": 0.1, "optimizer": "rmsprop"},
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_step_reads_nothing_back_from_the_device(params, weighted):
    net, batches = net_on("meta", weighted, **params)
    net.begin_steps(len(batches))
    sums = torch.zeros(3, dtype=torch.float64, device="meta")
    for batch in batches:
        sums += net._compute_sums(net.train_step(batch), batch)
    with pytest.raises(NotImplementedError):
        sums.tolist()  # at the end of an epoch


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "params", [{}, {"optimizer": "adam", "lr_schedule": "one_cycle", "l1": 1e-4}]
)
def test_replayed_steps_equal_ordinary_steps(weighted, params):
    histories = []
    for replayed in (False, True):
        net, batches = net_on("cpu", weighted, **params)
        net.begin_steps(len(batches))
        step = ReplayedSteps(net, capture_by_recomputing) if replayed else net.train_step
        sums = [net._compute_sums(step(batch), batch) for batch in batches]
        histories.append([*sums, *(p.detach() for p in net.module_.parameters())])
    for once, again in zip(*histories, strict=True):
        assert torch.equal(once, again)


class BatchCallback(Callback):
    def on_batch_end(self, net, **kwargs):
        pass


def test_conditions_for_replaying_steps(monkeypatch):
    net, _ = net_on("cpu")
    assert not can_be_replayed(net)
    net.device = "cuda"
    assert not can_be_replayed(net)  # graphs have to be enabled
    with monkeypatch.context() as patch:
        patch.setenv("SKLENET_CUDA_GRAPHS", "0")
        assert not can_be_replayed(net)
    monkeypatch.setenv("SKLENET_CUDA_GRAPHS", "1")
    assert can_be_replayed(net)
    for name, value in (
        ("module__activation", torch.nn.RReLU),
        ("module__pooling", torch.nn.AvgPool2d),
        ("module__dropout", 0.2),
        ("criterion_", torch.nn.CrossEntropyLoss(reduction="none")),
        ("callbacks_", [("batches", BatchCallback())]),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(net, name, value)
            assert not can_be_replayed(net), name
