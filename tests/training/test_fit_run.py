"""A run of training, without the estimator around it."""

import gc
import weakref

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklenet import LeNet5Classifier
from sklenet.training.fit_run import FitRun
from sklenet.training.samples.checks import check_training_data

QUICK = {"max_epochs": 2, "batch_size": 50, "random_state": 0}


@pytest.fixture
def samples(digits):
    X, y, *_ = digits
    return check_training_data(
        LeNet5Classifier(**QUICK), X[:150], y[:150], None, continued=False
    )


def make_run(samples, earlier=None, **options):
    params = LeNet5Classifier(**QUICK).get_params()
    return FitRun(params, samples, n_epochs=2, earlier=earlier, **options)


def test_a_run_gives_the_attributes_of_fit(samples, digits):
    X, y, *_ = digits
    fitted = LeNet5Classifier(**QUICK).fit(X[:150], y[:150])
    run = make_run(samples)
    run.train()
    attributes = run.get_fitted_attributes()
    assert attributes.keys() == {name for name in vars(fitted) if name.endswith("_")}
    for name, weight in fitted.module_.state_dict().items():
        assert torch.equal(weight, attributes["module_"].state_dict()[name])
    assert attributes["loss_curve_"] == fitted.loss_curve_


def test_early_stopping_holds_out_samples_unless_validation_data_are_given(samples):
    assert make_run(samples).held_out is None
    assert make_run(samples, stops_early=True, validation=samples).held_out is None
    run = make_run(samples, stops_early=True)
    rows = np.concatenate([run.train_rows, run.held_out["rows"]])
    assert sorted(rows) == list(range(150))


def test_a_run_that_continues_only_reads_the_estimator(samples, digits):
    X, y, *_ = digits
    earlier = LeNet5Classifier(**QUICK, early_stopping=True).fit(X[:150], y[:150])
    attributes = dict(vars(earlier))
    numbers = earlier.random_state_.get_state()[1].copy()
    run = make_run(samples, earlier, stops_early=True)
    run.train()
    assert vars(earlier) == attributes
    assert np.array_equal(earlier.random_state_.get_state()[1], numbers)
    assert run.held_out is earlier.held_out_
    assert [row["epoch"] for row in run.get_fitted_attributes()["history_"]] == [1, 2, 3, 4]


class Interrupt(Callback):
    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.n_epochs:
            raise KeyboardInterrupt


def test_an_interrupt_is_raised_once_the_attributes_have_been_set(samples):
    run = make_run(samples)
    run.train([Interrupt(1)])
    attributes = run.get_fitted_attributes()
    assert attributes["interrupted_"]
    assert attributes["n_iter_"] == len(run.net.history) == 1
    with pytest.raises(KeyboardInterrupt):
        run.raise_pending()
    run.raise_pending()  # only once


def test_an_interrupt_before_the_first_epoch_is_raised_at_once(samples):
    with pytest.raises(KeyboardInterrupt):
        make_run(samples).train([Interrupt(0)])


def test_a_callback_can_stop_training_after_an_epoch(samples):
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.stop_training_ = True

    run = make_run(samples)
    run.train([Stop()])
    assert run.get_fitted_attributes()["n_iter_"] == 1
    assert not run.interrupted


def test_the_net_does_not_keep_the_callbacks_of_a_run(samples):
    class Quiet(Callback):
        pass

    run, callback = make_run(samples), Quiet()
    run.train([callback])
    reference, net = weakref.ref(callback), run.net
    del run, callback
    gc.collect()
    assert reference() is None
    assert net.history
