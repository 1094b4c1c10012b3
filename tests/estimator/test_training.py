"""Parameters and methods of training."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch

from sklenet import LeNet5Classifier
from sklenet.network import ACTIVATIONS, INITS, LOSSES, OPTIMIZERS, POOLINGS
from sklenet.training.samples.checks import check_training_data

QUICK = {"max_epochs": 2, "batch_size": 16, "random_state": 0}


@pytest.fixture(scope="module")
def small(digits):
    X, y, *_ = digits
    return X[:100], y[:100]


def weights(estimator):
    return torch.cat([p.detach().flatten() for p in estimator.module_.parameters()])


def fit(data, **parameters):
    return LeNet5Classifier(**(QUICK | parameters)).fit(*data)


# Sample weights and class weights

FULL_BATCH = {
    # All samples in one batch. Smooth activation functions do not amplify rounding.
    "batch_size": 10_000,
    "optimizer": "sgd",
    "lr": 0.1,
    "max_epochs": 20,
    "activation": "tanh",
    "random_state": 0,
}


def test_a_weight_of_two_equals_a_repeated_row_in_full_batch_training(small):
    X, y = small
    sample_weight = np.where(np.arange(100) < 30, 2, 1)
    sample_weight[90:] = 0
    weighted = LeNet5Classifier(**FULL_BATCH).fit(X, y, sample_weight)
    rows = np.repeat(np.arange(100), sample_weight)
    repeated = LeNet5Classifier(**FULL_BATCH).fit(X[rows], y[rows])
    plain = LeNet5Classifier(**FULL_BATCH).fit(X, y)
    assert torch.allclose(weights(weighted), weights(repeated), atol=1e-5)
    assert not torch.allclose(weights(weighted), weights(plain), atol=1e-3)
    assert weighted.loss_curve_ == pytest.approx(repeated.loss_curve_, rel=1e-4)


def test_the_scale_of_weights_does_not_matter(small):
    X, y = small
    ones, *others = (fit((X, y, np.full(100, w))) for w in (1.0, 64.0, 1e308, 1e-310))
    for other in others:
        assert torch.equal(weights(ones), weights(other))


def test_products_of_large_weights_do_not_overflow(small):
    X, y = small
    large = fit((X, y, np.full(100, 1e300)), class_weight={0: 3e300, 7: 5e299})
    assert torch.equal(
        weights(large), weights(fit(small, class_weight={0: 3e300, 7: 5e299}))
    )


def test_class_weights_equal_sample_weights(small):
    X, y = small
    by_class = fit(small, class_weight={0: 3.0, 7: 0.5})
    by_sample = fit((X, y, np.select([y == 0, y == 7], [3.0, 0.5], 1.0)))
    assert torch.equal(weights(by_class), weights(by_sample))


def test_balanced_class_weights_improve_the_recall_of_a_rare_class(digits):
    X, y, X_test, y_test = digits
    rare = (y_test == 8).nonzero()[0]
    few = np.concatenate([np.flatnonzero(y != 8), np.flatnonzero(y == 8)[:3]])
    recall = [
        (
            LeNet5Classifier(class_weight=w, max_epochs=10, random_state=0)
            .fit(X[few], y[few])
            .predict(X_test[rare])
            == 8
        ).mean()
        for w in (None, "balanced")
    ]
    assert recall[1] > recall[0]


# Validation and early stopping


def test_early_stopping_restores_the_best_weights(digits):
    X, y, X_val, y_val = digits
    fitted = LeNet5Classifier(
        early_stopping=True, n_iter_no_change=3, lr=0.01, max_epochs=60, random_state=0
    ).fit(X, y, X_val=X_val, y_val=y_val)
    losses = [row["valid_loss"] for row in fitted.history_]
    assert fitted.n_iter_ == len(losses) < 60
    assert fitted.best_epoch_ == 1 + int(np.argmin(losses))
    probabilities = fitted.predict_proba(X_val)
    loss = -np.log(probabilities[np.arange(len(y_val)), y_val]).mean()
    assert loss == pytest.approx(min(losses), rel=1e-5)
    best = fitted.history_[fitted.best_epoch_ - 1]
    assert best["valid_accuracy"] == pytest.approx(fitted.score(X_val, y_val))


def test_patience_counts_epochs_without_an_improvement_by_tol(digits):
    X, y, X_val, y_val = digits
    fitted = LeNet5Classifier(
        early_stopping=True, n_iter_no_change=4, tol=1e6, max_epochs=60, random_state=0
    ).fit(X, y, X_val=X_val, y_val=y_val)
    assert fitted.n_iter_ == 1 + 4


def test_held_out_samples_are_a_stratified_fraction(digits):
    X, y, *_ = digits
    samples = check_training_data(LeNet5Classifier(), X, y, None, continued=False)
    train, valid = samples.split(0.2, np.random.RandomState(0))
    assert sorted([*train, *valid]) == list(range(len(y)))
    assert np.abs(np.bincount(y[valid]) - 0.2 * np.bincount(y)).max() <= 0.5
    fitted = fit((X, y), early_stopping=True, validation_fraction=0.2)
    assert {"valid_loss", "valid_accuracy"} <= fitted.history_[0].keys()


def test_validation_data_without_early_stopping_do_not_change_the_weights(digits):
    X, y, X_val, y_val = digits
    plain = fit((X, y))
    watched = LeNet5Classifier(**QUICK).fit(X, y, X_val=X_val, y_val=y_val)
    assert torch.equal(weights(plain), weights(watched))
    assert plain.best_epoch_ is None
    assert watched.best_epoch_ in (1, 2)
    assert "valid_loss" not in plain.history_[0]
    assert watched.history_[-1]["valid_accuracy"] == pytest.approx(
        watched.score(X_val, y_val)
    )


def test_validation_weights(digits):
    X, y, X_val, y_val = digits
    half = np.arange(len(y_val)) < 180
    weighted = LeNet5Classifier(**QUICK).fit(
        X, y, X_val=X_val, y_val=y_val, sample_weight_val=half
    )
    only = LeNet5Classifier(**QUICK).fit(X, y, X_val=X_val[half], y_val=y_val[half])
    for a, b in zip(weighted.history_, only.history_, strict=True):
        assert a["valid_loss"] == pytest.approx(b["valid_loss"], rel=1e-5)
        assert a["valid_accuracy"] == pytest.approx(b["valid_accuracy"])


# Warm starts and partial fits


def test_warm_start_continues(small):
    once = fit(small, max_epochs=4, warm_start=True)
    twice = fit(small, warm_start=True).fit(*small)
    assert twice.n_iter_ == once.n_iter_ == 4
    assert [row["epoch"] for row in twice.history_] == [1, 2, 3, 4]
    assert twice.loss_curve_[2] < twice.loss_curve_[0]
    # The moments of Adam were kept: the first step is not larger than usual.
    steps = {float(s["step"]) for s in twice.net_.optimizer_.state.values()}
    assert steps == {4 * 7}


def test_fit_without_warm_start_starts_from_new_weights(small):
    again = fit(small).fit(*small)
    assert torch.equal(weights(again), weights(fit(small)))
    assert again.n_iter_ == 2


def test_warm_start_with_other_classes_is_rejected(small):
    X, y = small
    fitted = fit(small, warm_start=True)
    before = weights(fitted)
    with pytest.raises(ValueError, match="was trained on"):
        fitted.fit(X, y % 5)
    assert torch.equal(weights(fitted), before)


def test_partial_fit_trains_for_one_epoch(small):
    X, y = small
    estimator = LeNet5Classifier(**QUICK)
    for n_passes in (1, 2, 3):
        assert estimator.partial_fit(X, y, classes=range(10)) is estimator
        assert estimator.n_iter_ == n_passes
    one_pass = fit(small, max_epochs=1)
    first = LeNet5Classifier(**QUICK).partial_fit(X, y, range(10))
    assert torch.equal(weights(first), weights(one_pass))
    assert estimator.score(X, y) > first.score(X, y)


def test_partial_fit_uses_a_constant_learning_rate(small):
    estimator = LeNet5Classifier(**QUICK, lr_schedule="cosine").partial_fit(
        *small, range(10)
    )
    assert estimator.history_[0]["lr"] == 0.001


def test_partial_fit_accepts_classes_that_occur_later(small):
    X, y = small
    estimator = LeNet5Classifier(**QUICK).partial_fit(X[y < 5], y[y < 5], classes=range(10))
    assert estimator.predict_proba(X).shape == (100, 10)
    estimator.partial_fit(X[y >= 5], y[y >= 5])
    assert estimator.classes_.tolist() == list(range(10))


def test_partial_fit_uses_sample_weights(small):
    X, y = small
    half = np.arange(100) < 50
    a = LeNet5Classifier(**QUICK).partial_fit(X, y, range(10), sample_weight=half)
    b = LeNet5Classifier(**QUICK).partial_fit(X, y, range(10))
    assert not torch.equal(weights(a), weights(b))


def test_partial_fit_rejects_data_that_do_not_match_the_first_call(small):
    X, y = small
    estimator = LeNet5Classifier(**QUICK)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        estimator.partial_fit(X, y)
    estimator.partial_fit(X, y, classes=range(10))
    before = weights(estimator)
    for bad_X, bad_y, classes, message in [
        (X[:, :49], y, None, "49 features, but LeNet5Classifier is expecting 64"),
        (X.reshape(-1, 4, 16), y, None, "image_shape is 1x8x8"),
        (X, y + 1, None, "labels .10. that are not among the classes"),
        (X, y, range(11), "was trained on"),
    ]:
        with pytest.raises(ValueError, match=message):
            estimator.partial_fit(bad_X, bad_y, classes)
    with pytest.raises(ValueError, match="architecture"):
        estimator.set_params(activation="tanh").partial_fit(X, y)
    assert torch.equal(weights(estimator), before)


def test_warm_start_after_changes_of_parameters(small):
    fitted = fit(small, warm_start=True)
    for changed in (
        {"activation": "tanh"},
        {"pooling": "avg"},
        {"dropout": 0.5},
        {"kernel_size": 3},
        {"hidden": (120, 80)},
        {"padding": 12},
    ):
        fitted.set_params(**changed).fit(*small)
        assert fitted.n_iter_ == 2
        fresh = fit(
            small, **{k: v for k, v in fitted.get_params().items() if k != "warm_start"}
        )
        assert torch.equal(weights(fitted), weights(fresh))
    fitted.set_params(lr=1e-9, batch_size=50, weight_decay=0.0, optimizer="sgd")
    before = weights(fitted)
    fitted.fit(*small)
    assert fitted.n_iter_ == 4
    assert torch.allclose(weights(fitted), before, atol=1e-6)
    assert fitted.net_.optimizer_.param_groups[0]["lr"] == 1e-9


# Reproducibility


def test_random_states(small):
    ints = [fit(small, random_state=1) for _ in range(2)]
    assert torch.equal(weights(ints[0]), weights(ints[1]))
    state = np.random.RandomState(1)
    first, second = (fit(small, random_state=state) for _ in range(2))
    assert torch.equal(weights(first), weights(ints[0]))
    assert not torch.equal(weights(first), weights(second))
    free = [fit(small, random_state=None) for _ in range(2)]
    assert not torch.equal(weights(free[0]), weights(free[1]))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"batch_size": 7},
        {"activation": "tanh", "pooling": "avg", "optimizer": "sgd"},
        {"dropout": 0.3, "l1": 1e-3, "batch_size": 64},
        {"loss": "bce", "early_stopping": True, "class_weight": "balanced"},
        {"kernel_size": 3, "hidden": (128,), "padding": 14},
        {"padding": 10, "activation": "tanh"},
        {"optimizer": "sdlm", "lr": 1e-4, "output": "rbf", "init": "torch"},
    ],
)
def test_weights_do_not_depend_on_the_number_of_threads(digits, parameters):
    X, y, X_test, _ = digits
    threads = torch.get_num_threads()
    try:
        fits = []
        uses_torch = "dropout" in parameters
        for n in (1, 2, 3) if uses_torch else (1, 2, 3, 5):
            torch.set_num_threads(n)
            fits.append(fit((X, y), **parameters))
            assert torch.get_num_threads() == n
            fits[-1].probabilities = fits[-1].predict_proba(X_test)
    finally:
        torch.set_num_threads(threads)
    for other in fits[1:]:
        assert torch.equal(weights(other), weights(fits[0]))
        assert np.array_equal(other.probabilities, fits[0].probabilities)


@pytest.mark.parametrize("parameters", [{"dropout": 0.5}, {"early_stopping": True}])
def test_global_generators_are_unchanged(small, parameters):
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    torch_state = torch.get_rng_state()
    fit(small, **parameters).predict(small[0])
    LeNet5Classifier(**QUICK, **parameters).partial_fit(*small, range(10))
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert torch.is_grad_enabled()


# Values of the parameters


# Two sigmoids per stage let too little of the gradient through; two softplus functions per
# stage add a constant to all units that is larger than the differences between them.
HARDLY_LEARN = [("sigmoid", "subsample"), ("softplus", "subsample")]


def fit_activation(digits, activation, pooling):
    """Return the loss curve of a short fit."""
    X, y, *_ = digits
    params = {"init": "xavier_uniform", "lr": 0.003, "max_epochs": 15}
    return fit((X, y), activation=activation, pooling=pooling, **params).loss_curve_


@pytest.mark.parametrize(
    ("activation", "pooling"),
    sorted(set(itertools.product(ACTIVATIONS, POOLINGS)) - set(HARDLY_LEARN)),
)
def test_activations_and_poolings_learn(digits, activation, pooling):
    curve = fit_activation(digits, activation, pooling)
    assert curve[-1] < 0.9 * curve[0]


@pytest.mark.parametrize(("activation", "pooling"), HARDLY_LEARN)
def test_activations_that_hardly_learn_with_subsampling(digits, activation, pooling):
    # The loss of a network that ignores the images is the logarithm of 10.
    assert fit_activation(digits, activation, pooling)[-1] > 0.95 * np.log(10)


@pytest.mark.parametrize("init", sorted(set(INITS) - {"zeros"}))
def test_inits_learn(digits, init):
    X, y, *_ = digits
    assert fit((X, y), init=init, max_epochs=8).score(X, y) > 0.6


@pytest.mark.parametrize("init", ["orthogonal", torch.nn.init.orthogonal_])
def test_orthogonal_weights_do_not_depend_on_the_number_of_threads(small, init):
    before = torch.get_num_threads()
    found = []
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            found.append(weights(fit(small, init=init, lr=1e-30)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_zeros_learn_only_the_frequencies_of_the_classes(digits, activation):
    X, y, X_test, _ = digits
    fitted = fit((X, y), init="zeros", activation=activation, lr=0.01)
    probabilities = fitted.predict_proba(X_test)
    assert np.ptp(probabilities, axis=0).max() < 1e-6
    assert fitted.module_.head.output.bias.any()
    assert not any(p.any() for p in list(fitted.module_.parameters())[:-1])


def with_its_output(loss):
    """Return parameters: the loss, and an output layer that it can be used with."""
    return {"loss": loss, "output": "rbf" if loss == "distance" else "linear"}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("label_smoothing", [0, 0.1])
def test_losses_learn_and_give_probabilities(digits, loss, label_smoothing):
    X, y, *_ = digits
    fitted = fit(
        (X, y),
        **with_its_output(loss),
        label_smoothing=label_smoothing,
        init="xavier_uniform",
        lr=0.003,
        max_epochs=8,
    )
    assert fitted.score(X, y) > 0.5
    probabilities = fitted.predict_proba(X)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert probabilities.min() >= 0
    assert np.array_equal(fitted.classes_[probabilities.argmax(axis=1)], fitted.predict(X))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_decision_function_returns_log_probabilities_up_to_a_constant(
    digits, loss, n_classes
):
    X, y, X_test, _ = digits
    fitted = fit((X, y % n_classes), **with_its_output(loss), init="xavier_uniform")
    logarithms = np.log(fitted.predict_proba(X_test))
    scores = fitted.decision_function(X_test)
    if n_classes == 2:
        assert np.allclose(scores, logarithms[:, 1] - logarithms[:, 0])
    else:
        constant = (scores - logarithms).mean(axis=1, keepdims=True)
        assert np.allclose(scores, logarithms + constant)


def test_label_smoothing_lowers_the_confidence(digits):
    X, y, *_ = digits
    top = [
        fit((X, y), label_smoothing=s, max_epochs=15).predict_proba(X).max(axis=1).mean()
        for s in (0, 0.4)
    ]
    assert top[1] < top[0] - 0.2


def test_a_custom_loss(small):
    from torch.nn import MultiMarginLoss

    fitted = fit(small, loss=lambda: MultiMarginLoss(reduction="none"), max_epochs=8)
    assert fitted.score(*small) > 0.5


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, torch.optim.NAdam, torch.optim.Rprop])
def test_optimizers_learn(digits, optimizer):
    X, y, *_ = digits
    rates = {"sgd": 0.02, "nesterov": 0.02, "adagrad": 0.01, "adadelta": 1.0}
    lr = rates.get(optimizer, 0.001)
    batch_size = 300 if optimizer is torch.optim.Rprop else 16
    curve = fit((X, y), optimizer=optimizer, lr=lr, batch_size=batch_size, max_epochs=6)
    assert curve.loss_curve_[-1] < 0.9 * curve.loss_curve_[0]


@pytest.mark.parametrize(
    ("name", "make_optimizer"),
    [
        ("adam", torch.optim.Adam),
        ("nadam", torch.optim.NAdam),
        ("adagrad", torch.optim.Adagrad),
        ("adadelta", torch.optim.Adadelta),
        ("rmsprop", torch.optim.RMSprop),
        ("nesterov", partial(torch.optim.SGD, momentum=0.9, nesterov=True)),
    ],
)
def test_named_optimizers_are_those_of_torch(small, name, make_optimizer, monkeypatch):
    options = {"weight_decay": 0.01, "max_epochs": 1}
    named = fit(small, optimizer=name, **options)
    monkeypatch.setenv("SKLENET_COMPILED", "0")
    custom = fit(small, optimizer=make_optimizer, **options)
    difference = (weights(named) - weights(custom)).abs()
    # Where a gradient is almost 0, rounding decides the direction of adaptive steps.
    assert (difference < 1e-4).float().mean() > 0.99


def test_nesterov_momentum_in_both_ways(small):
    named = fit(small, optimizer="nesterov", momentum=0.8)
    options = {"optimizer__nesterov": True}
    by_option = fit(small, optimizer="sgd", momentum=0.8, net_params=options)
    assert torch.equal(weights(named), weights(by_option))
    plain = fit(small, optimizer="sgd", momentum=0.8)
    assert not torch.allclose(weights(named), weights(plain), atol=1e-4)
    (group,) = named.net_.optimizer_.param_groups
    assert (group["nesterov"], group["momentum"]) == (True, 0.8)


def test_nesterov_requires_momentum(small):
    with pytest.raises(ValueError, match=r"'momentum' parameter is 0.*'nesterov'"):
        fit(small, optimizer="nesterov", momentum=0)
    with pytest.raises(ValueError, match=r"'net_params'.*optimizer='sgd'.*momentum"):
        fit(
            small,
            optimizer="sgd",
            momentum=0,
            net_params={"optimizer__nesterov": True},
        )
    with pytest.raises(ValueError, match=r"'optimizer__nesterov'.*use 'optimizer' instead"):
        fit(small, optimizer="nesterov", net_params={"optimizer__nesterov": False})


def test_momentum_applies_to_sgd_only(small):
    for optimizer in ("sgd", "nesterov"):
        a, b = (fit(small, optimizer=optimizer, momentum=m) for m in (0.5, 0.9))
        assert not torch.equal(weights(a), weights(b))
    c, d = (fit(small, optimizer="adam", momentum=m) for m in (0, 0.9))
    assert torch.equal(weights(c), weights(d))


def test_coupled_and_decoupled_weight_decay(small):
    """One SGD step: w - lr (g + decay w); one AdamW step: w - lr decay w - lr sign(g)."""
    settings = {"max_epochs": 1, "batch_size": 1000, "lr": 0.01, "momentum": 0}
    start = weights(fit(small, **(settings | {"lr": 1e-30})))
    plain = weights(fit(small, optimizer="sgd", **settings))
    decayed = weights(fit(small, optimizer="sgd", weight_decay=0.5, **settings))
    assert torch.allclose(plain - decayed, 0.01 * 0.5 * start, atol=1e-7)
    plain = weights(fit(small, optimizer="adamw", weight_decay=1e-30, **settings))
    decayed = weights(fit(small, optimizer="adamw", weight_decay=0.5, **settings))
    assert torch.allclose(plain - decayed, 0.01 * 0.5 * start, atol=1e-7)


def test_the_l1_penalty_excludes_biases(small):
    settings = {"max_epochs": 1, "batch_size": 1000, "lr": 0.01, "momentum": 0}
    settings |= {"optimizer": "sgd"}
    start = fit(small, **(settings | {"lr": 1e-30})).module_.state_dict()
    plain = fit(small, **settings).module_.state_dict()
    penalised = fit(small, l1=0.5, **settings)
    for name, value in penalised.module_.state_dict().items():
        factor = 0.0 if name.endswith("bias") else 0.01 * 0.5
        step = factor * start[name].sign()
        assert torch.allclose(plain[name] - value, step, atol=1e-6)
    assert penalised.loss_curve_ == fit(small, **settings).loss_curve_


@pytest.mark.parametrize(
    ("schedule", "last"),
    [
        ("constant", 1),
        ("step", 0.01),
        ("exponential", 0.01),
        ("cosine", 0),
        ("warm_restarts", 0),
        ("one_cycle", 4e-6),
    ],
)
def test_schedules(small, schedule, last):
    fitted = fit(small, lr_schedule=schedule, lr=0.002, max_epochs=8)
    rates = np.array([row["lr"] for row in fitted.history_]) / 0.002
    assert rates[-1] == pytest.approx(last, abs=1e-6)
    assert rates.max() <= 1
    if schedule == "step":
        assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01])
    if schedule == "cosine":
        assert rates == pytest.approx((1 + np.cos(np.pi * np.arange(1, 9) / 8)) / 2)
    if schedule == "one_cycle":
        assert rates.argmax() in (1, 2)


def test_dropout_applies_in_training_only(small):
    fitted = fit(small, dropout=0.5, max_epochs=10)
    assert np.array_equal(fitted.predict_proba(small[0]), fitted.predict_proba(small[0]))
    assert fitted.score(*small) > 0.6
    plain = fit(small, max_epochs=10)
    assert fitted.loss_curve_[-1] > plain.loss_curve_[-1]


def test_net_params_are_passed_to_skorch(small):
    from skorch.callbacks import Callback

    class Count(Callback):
        epochs = 0

        def on_epoch_end(self, net, **kwargs):
            Count.epochs += 1

    fit(small, net_params={"callbacks": [Count], "optimizer__betas": (0.5, 0.9)})
    assert Count.epochs == 2
    with pytest.raises(TypeError, match="betaz"):
        fit(small, net_params={"optimizer__betaz": 1})
    with pytest.raises(ValueError, match="nonsense"):
        fit(small, net_params={"nonsense": 1})


def test_valid_net_params(small):
    groups = [("features.*", {"lr": 0.01})]
    for net_params in (
        {"callbacks": "disable"},
        {"callbacks__print_log": None, "use_caching": False},
        {"torch_load_kwargs": {"weights_only": True}},
        {"optimizer__eps": 1e-7, "optimizer__amsgrad": True},
        {"optimizer__param_groups": groups},
    ):
        assert fit(small, net_params=net_params).n_iter_ == 2
    for optimizer in ("rmsprop", torch.optim.SGD):
        options = {"optimizer__momentum": 0.5}
        fitted = fit(small, optimizer=optimizer, net_params=options)
        assert fitted.net_.optimizer_.param_groups[0]["momentum"] == 0.5


@pytest.mark.parametrize("weight_decay", [0.0, 0.03])
@pytest.mark.parametrize(
    "optimizer",
    [*OPTIMIZERS, torch.optim.AdamW, torch.optim.NAdam],
)
def test_the_optimizer_uses_the_weight_decay_parameter(small, optimizer, weight_decay):
    """Even if it is 0: the AdamW optimizer of torch has another default."""
    fitted = fit(small, optimizer=optimizer, weight_decay=weight_decay, max_epochs=1)
    (group,) = fitted.net_.optimizer_.param_groups
    assert group["weight_decay"] == weight_decay


def test_an_optimizer_without_weight_decay(small):
    def make(params, lr):
        return torch.optim.SGD(params, lr, momentum=0.9)

    assert fit(small, optimizer=make).n_iter_ == 2
    with pytest.raises(ValueError, match=r"'optimizer' parameter.*weight_decay=0.1"):
        fit(small, optimizer=make, weight_decay=0.1)


def test_parameters_may_be_numpy_scalars(small):
    """Grids of parameters are often arrays."""
    numbers = {
        name: np.asarray(value)[()]
        for name, value in LeNet5Classifier(**QUICK).get_params().items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    numbers["max_epochs"] = np.int64(1)
    assert fit(small, **numbers).n_iter_ == 1
    assert fit(small, early_stopping=np.True_, **numbers).n_iter_ == 1


def test_early_stopping_of_skorch_is_not_an_interrupt(small):
    from skorch.callbacks import EarlyStopping

    stop = EarlyStopping(
        monitor="train_loss", patience=1, threshold=1e6, threshold_mode="abs", sink=str
    )
    fitted = fit(small, max_epochs=10, net_params={"callbacks": [stop]})
    assert fitted.n_iter_ < 10
    assert not fitted.interrupted_


def test_a_scheduler_of_skorch(small):
    from skorch.callbacks import LRScheduler

    schedule = LRScheduler(policy="StepLR", step_size=1, gamma=0.1)
    fitted = fit(small, max_epochs=3, net_params={"callbacks": [schedule]})
    assert fitted.history_[-1]["lr"] == pytest.approx(0.001 * 0.1**2)


def test_samples_of_weight_zero_are_ignored(small):
    X, y = small
    sample_weight = (np.arange(100) < 60).astype(float)
    wild = X.astype(float)
    wild[60:] = 1e300
    weighted = LeNet5Classifier(**QUICK).fit(wild, y, sample_weight)
    assert weighted.pixel_range_ == (0, 16)
    assert torch.equal(weights(weighted), weights(fit((X[:60], y[:60]))))
    stopped = LeNet5Classifier(**QUICK, early_stopping=True).fit(X, y, sample_weight)
    assert np.isfinite([row["valid_loss"] for row in stopped.history_]).all()


def test_class_weights_of_classes_that_y_lacks(small):
    X, y = small
    some = y != 7
    for class_weight in ({0: 2.0, 7: 0.5}, "balanced"):
        estimator = LeNet5Classifier(**QUICK, class_weight=class_weight)
        estimator.partial_fit(X, y, range(10)).partial_fit(X[some], y[some])
        estimator.fit(X, y, X_val=X[some], y_val=y[some])


def test_another_image_shape_starts_from_new_weights(small):
    fitted = fit(small, warm_start=True, image_shape=(8, 8))
    fitted.set_params(image_shape=(4, 16)).fit(*small)
    assert fitted.image_shape_ == (1, 4, 16)
    assert fitted.n_iter_ == 2
    with pytest.raises(ValueError, match="architecture"):
        fitted.set_params(image_shape=(2, 32)).partial_fit(*small)


def test_an_optimizer_with_another_switch_starts_with_new_state(small):
    fitted = fit(small, warm_start=True)
    fitted.set_params(net_params={"optimizer__amsgrad": True}).fit(*small)
    assert fitted.n_iter_ == 4


def test_random_state_none_does_not_use_the_global_generator(small):
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()  # noqa: NPY002
    first, second = (fit(small, random_state=None) for _ in range(2))
    assert np.random.get_state()[2] == before[2]  # noqa: NPY002
    assert not torch.equal(weights(first), weights(second))


def test_a_split_that_fails_draws_no_random_numbers(small):
    state = np.random.RandomState(0)
    before = state.get_state()[2]
    single = np.minimum(np.arange(100), 1)
    with pytest.raises(ValueError, match="validation_fraction"):
        fit((small[0], single), early_stopping=True, random_state=state)
    assert state.get_state()[2] == before


@pytest.mark.parametrize("largest", [3e38, 1e308])
def test_no_range_of_finite_pixels_overflows(small, largest):
    X, y = small
    dtype = np.float32 if largest < 1e39 else np.float64
    wide = ((X / 8.0 - 1) * largest).astype(dtype)
    fitted = fit((wide, y))
    assert np.allclose(fitted.predict_proba(wide), fit(small).predict_proba(X), atol=1e-3)


def test_a_single_step_of_the_step_schedule_uses_the_full_learning_rate(small):
    one = {"max_epochs": 1, "batch_size": 100}
    a, b = (fit(small, lr_schedule=s, **one) for s in ("step", "constant"))
    assert torch.equal(weights(a), weights(b))


def test_images_that_resemble_channels_last_and_record_arrays():
    """Images whose last axis could be channels, and a field of a record array."""
    rng = np.random.default_rng(0)
    y = np.arange(20) % 2
    narrow = rng.random((20, 5, 8, 3))
    with pytest.raises(ValueError, match="channels last"):
        fit((narrow, y))
    assert fit((narrow, y), image_shape=(5, 8, 3)).image_shape_ == (5, 8, 3)
    records = np.zeros(20, dtype=[("label", "u1"), ("pixels", "f4", 64)])
    records["pixels"] = rng.random((20, 64))
    assert fit((records["pixels"], y)).image_shape_ == (1, 8, 8)
