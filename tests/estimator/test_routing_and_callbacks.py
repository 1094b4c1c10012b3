"""Metadata routing, callbacks of scikit-learn, and progress."""

import numpy as np
import pytest
from joblib import parallel_config
from joblib.externals.loky import get_reusable_executor
from sklearn import config_context
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklenet import LeNet5Classifier

QUICK = {"max_epochs": 3, "batch_size": 16, "random_state": 0}


@pytest.fixture(scope="module")
def small(digits):
    X, y, *_ = digits
    return X[:120].astype(np.float32), y[:120]


# Metadata routing


def test_sample_weight_through_pipeline_and_grid_search(small):
    X, y = small
    weight = np.where(y < 5, 1.0, 0.0)
    with config_context(enable_metadata_routing=True):
        classifier = LeNet5Classifier(**QUICK)
        classifier.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(make_pipeline(MinMaxScaler(), classifier), {}, cv=2)
        search.fit(X, y, sample_weight=weight)
    # It was trained and scored on the digits below 5 only.
    predicted = search.predict(X)
    assert (predicted < 5).all()
    assert search.best_score_ > 0.3
    unweighted = make_pipeline(MinMaxScaler(), LeNet5Classifier(**QUICK)).fit(X, y)
    assert (unweighted.predict(X) >= 5).any()


def test_unrequested_sample_weight_is_an_error(small):
    X, y = small
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(ValueError, match=r"sample_weight.*not explicitly set"),
    ):
        GridSearchCV(LeNet5Classifier(**QUICK), {}, cv=2).fit(
            X, y, sample_weight=np.ones(len(y))
        )


def test_validation_data_is_transformed_by_the_preceding_steps(small, digits):
    X, y = small
    _, _, X_val, y_val = digits
    X_val = X_val[:60] * 16.0
    with config_context(enable_metadata_routing=True):
        classifier = LeNet5Classifier(**QUICK).set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline(
            [("scale", MinMaxScaler(clip=True)), ("net", classifier)],
            transform_input=["X_val"],
        ).fit(X * 16, y, X_val=X_val, y_val=y_val[:60])
    recorded = pipeline["net"].history_[-1]["valid_accuracy"]
    assert recorded == pytest.approx(pipeline.score(X_val, y_val[:60]))


# Callbacks of scikit-learn


def monitor():
    return ScoringMonitor(scoring=make_scorer(accuracy_score))


def test_scoring_monitor_scores_every_epoch(small):
    X, y = small
    callback = monitor()
    fitted = LeNet5Classifier(**QUICK).set_callbacks(callback).fit(X, y)
    rows = [row for row in callback.get_logs().data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in rows] == [0, 1, 2]
    assert rows[-1]["score"] == fitted.score(X, y)
    for epochs, row in enumerate(rows, start=1):
        shorter = LeNet5Classifier(**(QUICK | {"max_epochs": epochs})).fit(X, y)
        assert row["score"] == shorter.score(X, y)


def test_callbacks_do_not_change_the_weights(small):
    X, y = small
    plain = LeNet5Classifier(**QUICK).fit(X, y)
    watched = LeNet5Classifier(**QUICK).set_callbacks(monitor()).fit(X, y)
    assert np.array_equal(plain.predict_proba(X), watched.predict_proba(X))


class StopAfter:
    """A callback that stops training after some epochs, and records its calls."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs
        self.calls = []
        self.estimators = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.calls.append(f"end {context.task_name}")
        self.estimators.append(fitted_estimator)
        return context.task_name == "epoch" and context.task_id + 1 == self.n_epochs


def test_a_callback_can_stop_the_fit(small):
    X, y = small
    callback = StopAfter(2)
    fitted = LeNet5Classifier(**QUICK).set_callbacks(callback).fit(X, y)
    assert fitted.n_iter_ == 2
    assert not fitted.interrupted_
    epoch = ["begin epoch", "end epoch"]
    assert callback.calls == ["setup", "begin fit", *epoch, *epoch, "end fit", "teardown"]


def test_a_callback_can_stop_fits_in_a_pipeline_and_in_a_parallel_grid_search(small):
    X, y = small
    classifier = LeNet5Classifier(**(QUICK | {"max_epochs": 50})).set_callbacks(
        StopAfter(2)
    )
    pipeline = make_pipeline(MinMaxScaler(), classifier)
    assert pipeline.fit(X, y)[-1].n_iter_ == 2
    search = GridSearchCV(
        pipeline, {"lenet5classifier__lr": [0.001, 0.003]}, cv=2, n_jobs=2
    )
    search.fit(X, y)
    assert search.best_estimator_[-1].n_iter_ == 2
    # Every fit of the search stopped: the scores are those after two epochs.
    search.estimator = make_pipeline(
        MinMaxScaler(), LeNet5Classifier(**(QUICK | {"max_epochs": 2}))
    )
    scores = search.cv_results_["mean_test_score"]
    assert np.array_equal(scores, search.fit(X, y).cv_results_["mean_test_score"])


def test_an_estimator_passed_to_a_callback_does_not_change_later(small):
    X, y = small
    callback = StopAfter(None)
    LeNet5Classifier(**QUICK).set_callbacks(callback).fit(X, y)
    for epochs, shown in enumerate(callback.estimators[:3], start=1):
        shorter = LeNet5Classifier(**(QUICK | {"max_epochs": epochs})).fit(X, y)
        assert np.array_equal(shown.predict_proba(X), shorter.predict_proba(X))
        assert shown.n_iter_ == epochs


def test_an_error_in_a_callback_leaves_the_estimator_unfitted(small):
    class Broken(StopAfter):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("broken callback")

    estimator = LeNet5Classifier(**QUICK).set_callbacks(callback := Broken(None))
    with pytest.raises(RuntimeError, match="broken callback"):
        estimator.fit(*small)
    assert callback.calls[-1] == "teardown"
    assert not [name for name in vars(estimator) if name.endswith("_")]


@pytest.mark.filterwarnings("ignore:The estimator MinMaxScaler does not support callbacks")
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_scoring_monitor_and_progress_bar_in_a_parallel_grid_search(small, backend, capfd):
    X, y = small
    pipeline = make_pipeline(MinMaxScaler(), LeNet5Classifier(**QUICK))
    search = GridSearchCV(pipeline, {"lenet5classifier__lr": [0.001, 0.003]}, cv=2)
    callback = monitor()
    search.estimator[-1].set_callbacks(callback)
    search.set_callbacks(ProgressBar(max_propagation_depth=None))
    with parallel_config(backend, n_jobs=2):
        search.fit(X, y)
    logs = callback.get_logs(select="all")
    epochs = [row for log in logs for row in log.data if row["task_name"] == "epoch"]
    # 2 candidates x 2 folds and the refit, 3 epochs each.
    assert len(epochs) == (2 * 2 + 1) * 3
    out = capfd.readouterr().out
    assert "GridSearchCV" in out
    assert "LeNet5Classifier" in out


# Progress


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("verbose", [0, 1])
def test_verbose_with_every_backend(small, backend, verbose, capfd):
    # Workers that an earlier test has started would print to the stdout of that test.
    get_reusable_executor().shutdown(wait=True)
    with parallel_config(backend, n_jobs=2):
        cross_val_score(LeNet5Classifier(**QUICK, verbose=verbose), *small, cv=2)
    out, err = capfd.readouterr()
    assert err == ""
    if verbose:
        assert out.count("train_loss") == 2
        assert len(out.splitlines()) == 2 * (2 + 3)
    else:
        assert out == ""


def test_the_epoch_table(small, capsys):
    X, y = small
    fitted = LeNet5Classifier(**QUICK, verbose=1).fit(X, y, X_val=X[:20], y_val=y[:20])
    header, _, *rows = capsys.readouterr().out.splitlines()
    columns = "epoch lr train_accuracy train_loss valid_accuracy valid_loss dur"
    assert header.split() == columns.split()
    for row, record in zip(rows, fitted.history_, strict=True):
        assert float(row.split()[3]) == pytest.approx(record["train_loss"], abs=1e-4)
    assert "\x1b" not in "".join(rows)
