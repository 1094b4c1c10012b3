import numpy as np
import pytest
import torch

from sklenet import LeNet5Classifier
from sklenet.training.average import TailAverage


def test_mean_of_the_last_steps_and_what_it_is_lent_to():
    module = torch.nn.Linear(1, 1, bias=False)
    average = TailAverage(module, n_steps=8, fraction=0.5)
    for k in range(8):
        module.weight.data.fill_(float(k))
        average.step()
    average.lend()
    assert module.weight.item() == np.mean([4, 5, 6, 7])
    average.take_back()
    assert module.weight.item() == 7
    average.take_back()
    assert module.weight.item() == 7


@pytest.mark.parametrize("part", [0, 0.25])
def test_before_the_tail_nothing_is_lent(part):
    module = torch.nn.Linear(1, 1, bias=False)
    average = TailAverage(module, n_steps=8, fraction=part)
    for _ in range(6):
        average.step()
    before = module.weight.item()
    average.lend()
    assert module.weight.item() == before


def fit(digits, **params):
    X, y, *_ = digits
    options = {"max_epochs": 6, "batch_size": 16, "lr": 0.003, "random_state": 0}
    return LeNet5Classifier(**(options | params)).fit(X, y)


def test_steps_are_those_without_average(digits):
    """Only what is validated and kept at the end differs."""
    last, mean = fit(digits), fit(digits, average=0.5)
    assert mean.loss_curve_ == last.loss_curve_
    assert not np.array_equal(
        mean.module_.head.output.weight.detach(), last.module_.head.output.weight.detach()
    )


def test_the_average_is_what_is_validated(digits):
    X, y, X_test, y_test = digits
    mean = LeNet5Classifier(average=0.5, max_epochs=4, random_state=0).fit(
        X, y, X_val=X_test, y_val=y_test
    )
    assert mean.history_[-1]["valid_accuracy"] == pytest.approx(mean.score(X_test, y_test))


@pytest.mark.parametrize(("batch_size", "lr", "max_epochs"), [(1, 0.03, 8), (16, 0.2, 16)])
def test_it_helps_where_steps_are_noisy(batch_size, lr, max_epochs, digits):
    """A high learning rate, and a fifth of the labels wrong: a margin of some 0.1."""
    X, y, X_test, y_test = digits
    rng = np.random.RandomState(0)
    noisy = np.where(rng.uniform(size=len(y)) < 0.2, rng.randint(10, size=len(y)), y)
    options = {"optimizer": "sgd", "momentum": 0.0, "batch_size": batch_size, "lr": lr}
    scores = {
        part: np.mean(
            [
                fit(
                    (X, noisy),
                    **options,
                    max_epochs=max_epochs,
                    average=part,
                    random_state=seed,
                ).score(X_test, y_test)
                for seed in range(3)
            ]
        )
        for part in (0.0, 0.5)
    }
    assert scores[0.5] > scores[0.0] + 0.03


def test_early_stopping_restores_an_average(digits):
    model = fit(digits, average=0.9, early_stopping=True, n_iter_no_change=2)
    assert model.score(*digits[:2]) > 0.8


def test_partial_fit_does_not_average(digits):
    X, y, *_ = digits
    models = [LeNet5Classifier(average=part, random_state=0) for part in (0.0, 0.9)]
    first, second = (
        model.partial_fit(X, y, classes=range(10)).predict_proba(X) for model in models
    )
    assert np.array_equal(first, second)


def test_part_of_a_whole_only(digits):
    with pytest.raises(ValueError, match="'average' parameter"):
        fit(digits, average=1.0)
