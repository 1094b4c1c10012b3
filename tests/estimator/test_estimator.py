"""The main behavior of LeNet5Classifier."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits as sklearn_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklenet import LeNet5Classifier
from sklenet.network import OPTIMIZERS
from sklenet.preprocessing import Inverter


def weights(estimator):
    return torch.cat([p.detach().flatten() for p in estimator.module_.parameters()])


def test_learns_the_digits(digits):
    X, y, X_test, y_test = digits
    fitted = LeNet5Classifier(max_epochs=20, batch_size=16, random_state=0).fit(X, y)
    assert fitted.score(X_test, y_test) > 0.88
    assert fitted.loss_curve_[-1] < 0.1 * fitted.loss_curve_[0]


def test_default_network_has_61706_parameters(fitted):
    assert weights(fitted).numel() == 61_706


def test_fitted_attributes(fitted):
    assert fitted.classes_.tolist() == list(range(10))
    assert fitted.n_features_in_ == 64
    assert fitted.image_shape_ == (1, 8, 8)
    assert fitted.pixel_range_ == (0, 16)
    assert fitted.n_iter_ == len(fitted.history_) == len(fitted.loss_curve_) == 5
    assert [row["epoch"] for row in fitted.history_] == [1, 2, 3, 4, 5]
    assert all(row["seconds"] > 0 for row in fitted.history_)
    assert fitted.module_ is fitted.net_.module_
    assert fitted.canvas_.image_shape == (1, 8, 8)
    assert fitted.fit_params_ == fitted.get_params()
    assert fitted.held_out_ is None


def test_held_out_samples_are_not_trained_on(digits):
    X, y, *_ = digits
    stopped = LeNet5Classifier(max_epochs=1, early_stopping=True, random_state=0).fit(X, y)
    held_out = stopped.held_out_["rows"]
    validated = stopped.history_[0]["valid_accuracy"]
    assert np.abs(np.bincount(y[held_out]) - 0.1 * np.bincount(y)).max() <= 0.5
    assert validated == pytest.approx(stopped.score(X[held_out], y[held_out]))
    assert stopped.partial_fit(X, y).held_out_ is None


def test_flat_and_image_shaped_X_give_the_same_weights(digits):
    X, y, *_ = digits
    shapes = [X, X.reshape(-1, 8, 8), X.reshape(-1, 1, 8, 8)]
    fits = [LeNet5Classifier(max_epochs=1, random_state=0).fit(x, y) for x in shapes]
    for fitted in fits:
        assert torch.equal(weights(fitted), weights(fits[0]))
        for x in shapes:
            assert np.array_equal(fitted.predict_proba(x), fits[0].predict_proba(X))


@pytest.mark.parametrize(
    "scale", [lambda X: X / 16, lambda X: X * 15.9375, lambda X: X - 8.0]
)
def test_the_scale_of_the_pixels_does_not_matter(digits, scale):
    X, y, X_test, _ = digits
    plain = LeNet5Classifier(max_epochs=2, random_state=0).fit(X, y)
    scaled = LeNet5Classifier(max_epochs=2, random_state=0).fit(scale(X), y)
    agree = plain.predict(X_test) == scaled.predict(scale(X_test))
    assert agree.mean() > 0.99


def test_random_state_is_reproducible_and_global_generators_are_unchanged(digits):
    X, y, *_ = digits
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    torch_state = torch.get_rng_state()
    fits = [LeNet5Classifier(max_epochs=2, random_state=s).fit(X, y) for s in (0, 0, 1)]
    fits[0].predict(X)
    assert torch.equal(weights(fits[0]), weights(fits[1]))
    assert not torch.equal(weights(fits[0]), weights(fits[2]))
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_probabilities(fitted, digits):
    X_test = digits[2]
    probabilities = fitted.predict_proba(X_test)
    assert probabilities.shape == (360, 10)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(
        fitted.classes_[probabilities.argmax(axis=1)], fitted.predict(X_test)
    )
    assert fitted.decision_function(X_test).shape == (360, 10)


def test_log_probabilities(fitted, digits):
    X_test = digits[2]
    logarithms = fitted.predict_log_proba(X_test)
    assert np.allclose(logarithms, np.log(fitted.predict_proba(X_test)))
    # The softmax of such large outputs is 0 or 1.
    with pytest.warns(UserWarning, match="trained on pixels from 0 to 16"):
        wild = fitted.predict_log_proba(1e6 * X_test[:3])
    assert np.isfinite(wild).all()
    assert (np.exp(wild) == 0).any()


@pytest.mark.parametrize("loss", ["mse", "bce", "map"])
def test_log_probabilities_of_every_loss(digits, loss):
    X, y, X_test, _ = digits
    fitted = LeNet5Classifier(loss=loss, max_epochs=1, random_state=0).fit(X, y)
    logarithms = fitted.predict_log_proba(X_test)
    assert np.allclose(logarithms, np.log(fitted.predict_proba(X_test)))
    two = LeNet5Classifier(loss=loss, max_epochs=1, random_state=0).fit(X, y % 2)
    difference = np.diff(two.predict_log_proba(X_test))[:, 0]
    assert np.allclose(difference, two.decision_function(X_test))


def test_a_torch_device(digits, tmp_path):
    X, y, X_test, _ = digits
    options = {"max_epochs": 1, "random_state": 0}
    by_name = LeNet5Classifier(device="cpu", **options).fit(X, y)
    device = torch.device("cpu")
    fitted = clone(LeNet5Classifier(device=device, **options)).fit(X, y)
    assert fitted.get_params()["device"] == device
    assert fitted.device_ == device
    by_name.save(tmp_path / "name")
    fitted.save(tmp_path / "device")
    loaded = LeNet5Classifier.load(tmp_path / "device")
    assert loaded.device == "cpu"
    for other in (
        fitted,
        loaded,
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
    ):
        assert np.array_equal(other.predict_proba(X_test), by_name.predict_proba(X_test))
        assert other.fit(X, y).n_iter_ == 1
    search = GridSearchCV(by_name, {"device": [device, "cpu"]}, cv=2).fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 1


def test_two_classes_with_text_labels(digits):
    X, y, X_test, _ = digits
    y = np.where(y % 2, "odd", "even")
    fitted = LeNet5Classifier(max_epochs=3, random_state=0).fit(X, y)
    scores = fitted.decision_function(X_test)
    assert scores.shape == (360,)
    assert np.array_equal(fitted.predict(X_test) == "odd", scores > 0)


def test_weight_decay_shrinks_the_weights(digits):
    X, y, *_ = digits
    norms = [
        weights(
            LeNet5Classifier(max_epochs=5, weight_decay=w, random_state=0).fit(X, y)
        ).norm()
        for w in (0, 0.1)
    ]
    assert norms[1] < 0.9 * norms[0]


@pytest.mark.parametrize(
    "optimizer", [*sorted(set(OPTIMIZERS) - {"sdlm"}), torch.optim.NAdam]
)
def test_every_optimizer_learns(digits, optimizer):
    X, y, *_ = digits
    rates = {"sgd": 0.1, "nesterov": 0.1, "adagrad": 0.01, "adadelta": 1.0}
    lr = rates.get(optimizer, 0.001)
    fitted = LeNet5Classifier(optimizer=optimizer, lr=lr, max_epochs=3, random_state=0)
    curve = fitted.fit(X, y).loss_curve_
    assert curve[-1] < curve[0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"activation": "rely"},
            r"'activation' parameter of LeNet5Classifier.*'relu'.*'rely'",
        ),
        ({"pooling": "mean"}, r"'pooling' parameter.*'avg'.*'mean'"),
        ({"init": 3}, r"'init' parameter.*'he_uniform'.*Got 3"),
        ({"optimizer": "adamm"}, r"'optimizer' parameter.*'adam'"),
        ({"lr": 0}, r"'lr' parameter.*range \(0"),
        ({"weight_decay": -1}, r"'weight_decay' parameter.*range \[0"),
        ({"batch_size": 0.5}, r"'batch_size' parameter.*an int in the range \[1"),
        ({"max_epochs": 0}, r"'max_epochs' parameter"),
        ({"device": "cuda:99"}, r"'device' parameter is 'cuda:99'"),
        (
            {"image_shape": (7, 9)},
            r"'image_shape' parameter is \(7, 9\).*63 pixels.*64 features",
        ),
        ({"image_shape": (8,)}, r"'image_shape' parameter.*2 or 3 positive integers"),
        ({"image_shape": (8, -8)}, r"'image_shape' parameter.*positive"),
    ],
)
def test_wrong_parameters(digits, parameters, message):
    X, y, *_ = digits
    estimator = LeNet5Classifier(**parameters)
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y)
    assert not hasattr(estimator, "net_")


def test_wrong_data(digits):
    X, y, *_ = digits
    holey = X.astype(float)
    holey[3, 5] = np.nan
    for bad_X, bad_y, message in [
        (holey, y, "contains NaN"),
        (X, y[:-1], r"inconsistent numbers of samples: \[300, 299\]"),
        (X, np.zeros(300), "1 class"),
        (X, np.linspace(0, 1, 300), "continuous"),
        (X[:0], y[:0], "0 sample"),
        (np.zeros((300, 8, 8, 3, 1)), y, "dim"),
    ]:
        estimator = LeNet5Classifier()
        with pytest.raises(ValueError, match=message):
            estimator.fit(bad_X, bad_y)
        assert not hasattr(estimator, "classes_")


def test_predict_rejects_images_of_another_shape(fitted):
    with pytest.raises(
        ValueError, match="65 features, but LeNet5Classifier is expecting 64"
    ):
        fitted.predict(np.zeros((1, 65)))
    with pytest.raises(ValueError, match="image_shape is 1x8x8"):
        fitted.predict(np.zeros((1, 4, 16)))


def test_clone_pickle_and_deepcopy(fitted, digits):
    X_test = digits[2]
    assert clone(fitted).get_params() == fitted.get_params()
    for copied in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert np.array_equal(copied.predict_proba(X_test), fitted.predict_proba(X_test))


def test_grid_search_over_a_pipeline(digits):
    X, y, X_test, y_test = digits
    search = GridSearchCV(
        make_pipeline(
            Inverter(maximum=16), LeNet5Classifier(batch_size=16, random_state=0)
        ),
        {"lenet5classifier__max_epochs": [1, 8], "inverter": [Inverter(), "passthrough"]},
        cv=2,
    ).fit(X, y)
    assert search.best_params_["lenet5classifier__max_epochs"] == 8
    assert search.score(X_test, y_test) > 0.8


def test_verbose_prints_a_line_per_epoch(digits, capsys):
    X, y, *_ = digits
    LeNet5Classifier(max_epochs=3).fit(X, y)
    assert capsys.readouterr() == ("", "")
    LeNet5Classifier(max_epochs=3, verbose=1).fit(X, y)
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 2 + 3
    assert "train_loss" in out[0]


def test_one_sample_can_be_predicted(fitted):
    digit = sklearn_digits().data[:1]
    assert fitted.predict(digit).shape == (1,)


def test_parameters_of_the_architecture(digits):
    X, y, *_ = digits
    options = {"kernel_size": 3, "hidden": [16], "padding": 5, "feature_range": None}
    small = LeNet5Classifier(max_epochs=1, random_state=0, **options).fit(X, y)
    assert small.module_.features.C1.kernel_size == (3, 3)
    # 18x18 - 16x16 - 8x8 - 6x6 - 3x3
    assert small.module_.head.C5.weight.shape == (16, 16 * 9)
    again = pickle.loads(pickle.dumps(small))
    assert np.array_equal(again.predict_proba(X), small.predict_proba(X))
    # Without padding, images are not enlarged either.
    plain = LeNet5Classifier(max_epochs=1, padding=0, kernel_size=2).fit(X, y)
    assert plain.module_.head.C5.in_features == 16
