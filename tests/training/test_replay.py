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


def capture_by_recomputing(function, device, generator):
    """Return a replay that repeats the computation, into the same memory like a graph."""
    function()
    return function


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
        sums += net.compute_sums(net.train_step(batch), batch)
    with pytest.raises(NotImplementedError):
        sums.tolist()  # at the end of an epoch


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "params", [{}, {"optimizer": "adam", "lr_schedule": "one_cycle", "l1": 1e-4}]
)
def test_replayed_steps_equal_ordinary_steps(weighted, params):
    results = []
    for replayed in (False, True):
        net, batches = net_on("cpu", weighted, **params)
        net.begin_steps(2 * len(batches))
        for _ in range(2):  # epochs
            if replayed:
                sums = ReplayedSteps(net, batches, capture_by_recomputing).run()
            else:
                steps = [net.compute_sums(net.train_step(b), b) for b in batches]
                sums = sum(step.double() for step in steps).tolist()
        results.append(
            [torch.tensor(sums), *(p.detach() for p in net.module_.parameters())]
        )
    for once, again in zip(*results, strict=True):
        assert torch.equal(once, again)


class BatchCallback(Callback):
    def on_batch_end(self, net, **kwargs):
        pass


def test_conditions_for_replaying_steps(monkeypatch):
    net, batches = net_on("cpu")
    batches.batch_size = 15  # ten steps
    assert not can_be_replayed(net, batches)
    net.device = "cuda"
    assert can_be_replayed(net, batches)
    assert not can_be_replayed(net, net_on("cpu")[1])  # four steps
    with monkeypatch.context() as patch:
        patch.setenv("SKLENET_CUDA_GRAPHS", "0")
        assert not can_be_replayed(net, batches)
    for name, value in (
        ("module__activation", torch.nn.RReLU),
        ("module__pooling", torch.nn.AvgPool2d),
        ("module__dropout", 0.2),
        ("criterion_", torch.nn.CrossEntropyLoss(reduction="none")),
        ("optimizer_", torch.optim.LBFGS(net.module_.parameters())),
        ("callbacks_", [("batches", BatchCallback())]),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(net, name, value)
            assert not can_be_replayed(net, batches), name
    batches.augment = torch.nn.Identity()
    assert not can_be_replayed(net, batches)
    batches.augment = None
    hook = next(net.module_.children()).register_forward_hook(lambda *_: None)
    assert not can_be_replayed(net, batches)
    hook.remove()
    hook = next(net.module_.parameters()).register_hook(lambda _: None)
    assert not can_be_replayed(net, batches)
    hook.remove()
    assert can_be_replayed(net, batches)
