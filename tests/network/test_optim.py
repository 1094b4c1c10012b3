import pytest
import torch

from sklenet.network import SCHEDULES


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
