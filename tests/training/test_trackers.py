"""MLflow's automatic logging and skorch's TensorBoard callback, with the libraries."""

import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import TensorBoard

from sklenet import LeNet5Classifier

QUICK = {"max_epochs": 2, "batch_size": 64, "random_state": 0}


@pytest.fixture
def mlflow(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("mlflow.sklearn")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = mlflow.create_experiment("e", artifact_location=(tmp_path / "a").as_uri())
    mlflow.set_experiment(experiment_id=experiment)
    mlflow.sklearn.autolog(silent=True, log_datasets=False)
    yield mlflow
    mlflow.sklearn.autolog(disable=True)
    mlflow.set_tracking_uri(before)


def test_autolog_records_the_fit_of_a_pipeline(mlflow, digits):
    X, y, X_test, _ = digits
    pipeline = make_pipeline(LeNet5Classifier(**QUICK, lr=0.002))
    with mlflow.start_run() as run:
        pipeline.fit(X, y)
    found = mlflow.get_run(run.info.run_id)
    assert found.data.params["lenet5classifier__lr"] == "0.002"
    assert found.data.metrics["training_accuracy_score"] == pipeline.score(X, y)
    mlflow.sklearn.autolog(disable=True)
    alone = LeNet5Classifier(**QUICK, lr=0.002).fit(X, y)
    assert (alone.predict_proba(X_test) == pipeline.predict_proba(X_test)).all()


def test_autolog_does_not_disturb_a_fit_that_it_does_not_record(mlflow, digits):
    # MLflow records the fits of scikit-learn's own classes only.
    X, y, *_ = digits
    with mlflow.start_run() as run:
        LeNet5Classifier(**QUICK).fit(X, y)
    assert mlflow.get_run(run.info.run_id).info.status == "FINISHED"


def test_autolog_records_the_candidates_of_a_search(mlflow, digits):
    X, y, *_ = digits
    grid = {"lr": [0.001, 0.003]}
    with mlflow.start_run() as run:
        search = GridSearchCV(LeNet5Classifier(**QUICK), grid, cv=2).fit(X, y)
    found = mlflow.get_run(run.info.run_id)
    assert found.data.metrics["best_cv_score"] == search.best_score_
    assert found.data.params["best_lr"] == str(search.best_params_["lr"])
    children = mlflow.search_runs(
        filter_string=f"tags.`mlflow.parentRunId` = '{run.info.run_id}'",
        output_format="list",
    )
    assert sorted(child.data.params["lr"] for child in children) == ["0.001", "0.003"]


def test_tensorboard_gets_every_epoch(tmp_path, digits):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    X, y, *_ = digits
    writer = tensorboard.SummaryWriter(str(tmp_path))
    fitted = LeNet5Classifier(**QUICK, net_params={"callbacks": [TensorBoard(writer)]})
    fitted.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    for tag, name in (("Loss/train_loss", "train_loss"), ("Loss/valid_loss", "valid_loss")):
        values = [event.value for event in events.Scalars(tag)]
        assert values == pytest.approx([row[name] for row in fitted.history_])
