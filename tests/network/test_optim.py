import itertools

import pytest
import torch
from torch.optim import lr_scheduler

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.network import SCHEDULES
from sklenet.network.optim import make_schedule


def compute_factors(name, n_steps, lr=0.5):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = SCHEDULES[name](optimizer, n_steps)
    factors = []
    for _ in range(n_steps):
        factors.append(optimizer.param_groups[0]["lr"] / lr)
        optimizer.step()
        if schedule:
            schedule.step()
    return factors, optimizer.param_groups[0]["lr"] / lr


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("n_steps", [1, 2, 3, 100])
def test_learning_rates_are_between_0_and_lr(name, n_steps):
    factors, last = compute_factors(name, n_steps)
    assert all(0 <= factor <= 1 + 1e-9 for factor in [*factors, last])


def test_shapes_of_the_schedules():
    assert set(compute_factors("constant", 20)[0]) == {1}
    factors, last = compute_factors("step", 20)
    assert factors == pytest.approx([1] * 10 + [0.1] * 5 + [0.01] * 5)
    factors, last = compute_factors("cosine", 20)
    assert (factors[0], factors[10], last) == pytest.approx((1, 0.5, 0))
    factors, last = compute_factors("exponential", 20)
    assert factors == pytest.approx([0.01 ** (k / 20) for k in range(20)])
    assert last == pytest.approx(0.01)
    factors, last = compute_factors("warm_restarts", 70)
    assert (factors[0], factors[10], factors[30], last) == pytest.approx((1, 1, 1, 0))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1)
    expected = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 10, T_mult=2)
    for factor in factors:
        assert factor == pytest.approx(expected.get_last_lr()[0])
        optimizer.step()
        expected.step()
    factors, last = compute_factors("one_cycle", 100)
    assert factors[0] == pytest.approx(1 / 25)
    assert max(factors) == pytest.approx(1, abs=1e-3)
    assert factors.index(max(factors)) in (29, 30)
    assert last < 1e-5


@pytest.mark.parametrize("n_steps", range(14, 60))
def test_warm_restarts_end_with_training(n_steps):
    factors, last = compute_factors("warm_restarts", n_steps)
    assert sum(b > a for a, b in itertools.pairwise(factors)) == 2
    assert factors[-1] < 0.15
    assert last == pytest.approx(0)


def test_the_schedule_of_the_1998_paper():
    # Section III.B: two epochs, three, three, four, and the remaining ones.
    factors, _ = compute_factors("lecun1998", 20 * 7, lr=5e-4)
    epochs = [5e-4 * factors[7 * k] for k in range(20)]
    expected = [5e-4] * 2 + [2e-4] * 3 + [1e-4] * 3 + [5e-5] * 4 + [1e-5] * 8
    assert epochs == pytest.approx(expected)
    assert all(len(set(factors[7 * k : 7 * k + 7])) == 1 for k in range(20))


def test_custom_schedules():
    X, y = (array[:60] for array in load_digits(return_X_y=True))
    options = {"max_epochs": 4, "batch_size": 16, "random_state": 0}
    for lr_schedule in (
        lr_scheduler.CosineAnnealingLR,
        lambda optimizer, n_steps: lr_scheduler.CosineAnnealingLR(optimizer, n_steps),
    ):
        fitted = LeNet5Classifier(lr_schedule=lr_schedule, **options).fit(X, y)
        named = LeNet5Classifier(lr_schedule="cosine", **options).fit(X, y)
        assert fitted.loss_curve_ == named.loss_curve_
    constant = LeNet5Classifier(lr_schedule=lambda optimizer, n: None, **options).fit(X, y)
    assert [row["lr"] for row in constant.history_] == [0.001] * 4


def test_a_schedule_that_fails_only_for_small_numbers_of_steps():
    X, y = (array[:60] for array in load_digits(return_X_y=True))
    estimator = LeNet5Classifier(
        lr_schedule=lambda o, n: lr_scheduler.StepLR(o, 1 + 10 // (n // 100))
    )
    with pytest.raises(ValueError, match=r"'lr_schedule' param.*20 steps.*ZeroDivision"):
        estimator.fit(X, y)
    assert not hasattr(estimator, "net_")


def test_named_schedules_are_not_wrapped():
    assert make_schedule("cosine") is SCHEDULES["cosine"]
