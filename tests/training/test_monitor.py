"""The weights that a monitor keeps, and when it stops training."""

import pytest
import torch

from sklenet.training.monitor import Monitor


class FakeNet:
    """The attributes of a net that a monitor reads; its weight is the epoch's number."""

    def __init__(self):
        self.module_ = torch.nn.Linear(1, 1)
        self.criterion_ = torch.nn.MSELoss()
        self.optimizer_ = torch.optim.SGD(self.module_.parameters(), lr=1)
        self.history = []
        self.stop_training_ = False
        self.is_interrupted_ = True

    def run_epoch(self, valid_loss):
        self.history.append({} if valid_loss is None else {"valid_loss": valid_loss})
        torch.nn.init.constant_(self.module_.weight, len(self.history))


def final_weight(monitor, losses):
    net = FakeNet()
    for loss in losses:
        net.run_epoch(loss)
        monitor.on_epoch_end(net)
        if net.stop_training_:
            break
    net.is_interrupted_ = False
    monitor.on_train_end(net)
    return net.module_.weight.item()


def test_the_best_weights_are_restored_even_if_patience_requires_more():
    monitor = Monitor(patience=2, tol=0.5)
    # After the first epoch, none is lower by 0.5; the second is the best.
    assert final_weight(monitor, [1.0, 0.7, 0.8, 0.1]) == 2
    assert (monitor.best_epoch, monitor.n_epochs) == (2, 3)


def test_without_patience_the_last_weights_are_kept():
    monitor = Monitor()
    assert final_weight(monitor, [1.0, 0.7, 0.8]) == 3
    assert monitor.best_epoch == 2


def test_a_loss_that_is_nan_is_no_improvement():
    monitor = Monitor(patience=2)
    assert final_weight(monitor, [1.0, float("nan"), float("nan"), 0.1]) == 1


@pytest.mark.parametrize(("patience", "n_copies"), [(None, 2), (5, 3)])
def test_weights_of_the_last_epoch_are_copied_only_if_they_may_be_replaced(
    patience, n_copies, monkeypatch
):
    calls = []
    net, monitor = FakeNet(), Monitor(max_epochs=3, patience=patience)
    state_dict = net.module_.state_dict
    monkeypatch.setattr(net.module_, "state_dict", lambda: calls.append(1) or state_dict())
    for _ in range(3):
        net.run_epoch(1.0)
        monitor.on_epoch_end(net)
    assert len(calls) == n_copies


def test_an_interrupt_while_an_epoch_is_kept_restores_the_epoch_before(monkeypatch):
    monitor, net = Monitor(), FakeNet()
    net.run_epoch(None)
    monitor.on_epoch_end(net)
    net.run_epoch(None)

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(net.optimizer_, "state_dict", interrupt)
    with pytest.raises(KeyboardInterrupt):
        monitor.on_epoch_end(net)
    monitor.on_train_end(net)
    assert monitor.n_epochs == net.module_.weight.item() == 1
