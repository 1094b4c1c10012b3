import numpy as np
import pytest
import torch

from sklenet import LeNet5Classifier
from sklenet.images.canvas import Canvas
from sklenet.training.batches import ImageDataset
from sklenet.training.build import build_net
from sklenet.training.monitor import Monitor


@pytest.fixture
def dataset(digits):
    X, y, *_ = digits
    weights = torch.linspace(0.1, 2, 100)
    return ImageDataset(
        torch.tensor(X[:100]), Canvas((1, 8, 8), 0, 16), torch.tensor(y[:100]), weights
    )


def net(**parameters):
    params = LeNet5Classifier(**parameters).get_params()
    return build_net(
        params, Canvas((1, 8, 8), 0, 16), np.arange(10), torch.device("cpu"), (1, 2, 3)
    )


def test_gradients_are_those_of_plain_backward(dataset):
    """The step splits features from head; the sum of both is plain backpropagation."""
    trained = net(dropout=0.0)
    images, (labels, weights) = dataset[torch.arange(32)]
    trained.train_step_single((images, (labels, weights)))
    gradients = [p.grad.clone() for p in trained.module_.parameters()]
    trained.module_.zero_grad()
    losses = torch.nn.functional.cross_entropy(
        trained.module_(images), labels, reduction="none"
    )
    (losses * weights).mean().backward()
    for split, plain in zip(gradients, trained.module_.parameters(), strict=True):
        assert torch.allclose(split, plain.grad, atol=1e-6)


def test_epoch_record_is_the_weighted_mean(dataset):
    trained = net(lr=1e-30, batch_size=7)
    trained.partial_fit(dataset, valid=dataset, epochs=1)
    row = trained.history[-1]
    images, (labels, weights) = dataset[torch.arange(100)]
    with torch.no_grad():
        outputs = trained.module_(images)
    losses = torch.nn.functional.cross_entropy(outputs, labels, reduction="none").numpy()
    right = (outputs.argmax(dim=1) == labels).numpy()
    for part in ("train", "valid"):
        assert row[f"{part}_loss"] == pytest.approx(
            np.average(losses, weights=weights), rel=1e-5
        )
        assert row[f"{part}_accuracy"] == pytest.approx(np.average(right, weights=weights))


class FakeNet:
    """As much of a net as a monitor looks at; its weight is the number of the epoch."""

    def __init__(self):
        self.module_ = torch.nn.Linear(1, 1)
        self.criterion_ = torch.nn.MSELoss()
        self.optimizer_ = torch.optim.SGD(self.module_.parameters(), lr=1)
        self.history = []

    def epoch(self, valid_loss):
        self.history.append({} if valid_loss is None else {"valid_loss": valid_loss})
        torch.nn.init.constant_(self.module_.weight, len(self.history))


def run(monitor, losses):
    fake = FakeNet()
    for loss in losses:
        fake.epoch(loss)
        if monitor.end_epoch(fake):
            break
    monitor.finished = True
    monitor.restore(fake)
    return fake.module_.weight.item()


def test_monitor_restores_the_best_of_all_though_patience_wants_more():
    monitor = Monitor(patience=2, tol=0.5)
    # After the first epoch, none is lower by 0.5; the second is the best.
    assert run(monitor, [1.0, 0.7, 0.8, 0.1]) == 2
    assert (monitor.best_epoch, monitor.n_epochs) == (2, 3)


def test_monitor_without_patience_keeps_the_last():
    monitor = Monitor()
    assert run(monitor, [1.0, 0.7, 0.8]) == 3
    assert monitor.best_epoch == 2


def test_monitor_stops_at_a_loss_that_is_not_a_number():
    monitor = Monitor(patience=2)
    assert run(monitor, [1.0, float("nan"), float("nan"), 0.1]) == 1


def test_an_interrupt_while_an_epoch_is_kept_leaves_the_epoch_before(monkeypatch):
    monitor, fake = Monitor(), FakeNet()
    fake.epoch(None)
    monitor.end_epoch(fake)
    fake.epoch(None)

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(fake.optimizer_, "state_dict", interrupt)
    with pytest.raises(KeyboardInterrupt):
        monitor.end_epoch(fake)
    monitor.restore(fake)
    assert monitor.n_epochs == fake.module_.weight.item() == 1
