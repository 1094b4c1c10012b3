import pytest
import torch
from torch.optim import lr_scheduler

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.network import SCHEDULES
from sklenet.network.optim import make_schedule


def rates(name, n_steps, lr=0.5):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = SCHEDULES[name](optimizer, n_steps)
    seen = []
    for _ in range(n_steps):
        seen.append(optimizer.param_groups[0]["lr"] / lr)
        optimizer.step()
        if schedule:
            schedule.step()
    return seen, optimizer.param_groups[0]["lr"] / lr


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("n_steps", [1, 2, 3, 100])
def test_rates_stay_between_0_and_the_peak(name, n_steps):
    seen, last = rates(name, n_steps)
    assert all(0 <= rate <= 1 + 1e-9 for rate in [*seen, last])


def test_shapes():
    assert set(rates("constant", 20)[0]) == {1}
    seen, last = rates("step", 20)
    assert seen == pytest.approx([1] * 10 + [0.1] * 5 + [0.01] * 5)
    seen, last = rates("cosine", 20)
    assert (seen[0], seen[10], last) == pytest.approx((1, 0.5, 0))
    seen, last = rates("one_cycle", 100)
    assert seen[0] == pytest.approx(1 / 25)
    assert max(seen) == pytest.approx(1, abs=1e-3)
    assert seen.index(max(seen)) in (29, 30)
    assert last < 1e-5


def test_the_papers_schedule():
    # Section III.B: two passes, three, three, four, and the rest.
    seen, _ = rates("lecun1998", 20 * 7, lr=5e-4)
    passes = [5e-4 * seen[7 * k] for k in range(20)]
    wanted = [5e-4] * 2 + [2e-4] * 3 + [1e-4] * 3 + [5e-5] * 4 + [1e-5] * 8
    assert passes == pytest.approx(wanted)
    assert all(len(set(seen[7 * k : 7 * k + 7])) == 1 for k in range(20))


def test_schedules_that_are_callables():
    X, y = (array[:60] for array in load_digits(return_X_y=True))
    options = {"max_epochs": 4, "batch_size": 16, "random_state": 0}
    for choice in (
        lr_scheduler.CosineAnnealingLR,
        lambda optimizer, n_steps: lr_scheduler.CosineAnnealingLR(optimizer, n_steps),
    ):
        fitted = LeNet5Classifier(lr_schedule=choice, **options).fit(X, y)
        named = LeNet5Classifier(lr_schedule="cosine", **options).fit(X, y)
        assert fitted.loss_curve_ == named.loss_curve_
    constant = LeNet5Classifier(lr_schedule=lambda optimizer, n: None, **options).fit(X, y)
    assert [row["lr"] for row in constant.history_] == [0.001] * 4


def test_a_schedule_that_fails_for_few_steps_only():
    X, y = (array[:60] for array in load_digits(return_X_y=True))
    estimator = LeNet5Classifier(
        lr_schedule=lambda o, n: lr_scheduler.StepLR(o, 1 + 10 // (n // 100))
    )
    with pytest.raises(ValueError, match=r"'lr_schedule' param.*20 steps.*ZeroDivision"):
        estimator.fit(X, y)
    assert not hasattr(estimator, "net_")


def test_schedules_that_have_names_are_not_wrapped():
    assert make_schedule("cosine") is SCHEDULES["cosine"]
