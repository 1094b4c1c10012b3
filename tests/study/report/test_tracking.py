"""Records of a study in MLflow, read with MLflow's own client."""

import json

import pytest

from sklenet.cli import main
from sklenet.study import StudyError, read_study, run_study
from sklenet.study.engine.records import RECORDS
from sklenet.study.report.results import Results
from sklenet.study.report.tracking import write_to_mlflow

mlflow = pytest.importorskip("mlflow")

STUDY = """
name = "tracked"
title = "t"
data = ["digits"]
seeds = [0, 1]
[estimator]
max_epochs = 2
batch_size = 256
[search]
cv = 2
grid = { lr = [0.001, 0.002] }
[[test]]
name = "negatives, inverted (all)"
steps = [{ transformer = "Inverter", maximum = 16 }]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tracked")
    (path / "s.toml").write_text(STUDY)
    return run_study(read_study(path / "s.toml"), path)


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


def list_runs(uri):
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("tracked")
    return client, client.search_runs([experiment.experiment_id])


def test_every_fit_is_a_run_with_parameters_curves_and_scores(folder, uri):
    results = Results(folder)
    assert write_to_mlflow(results, uri) == (6, 0)
    client, runs = list_runs(uri)
    kinds = sorted(run.data.tags["sklenet.kind"] for run in runs)
    assert kinds == ["fit", "fit", *["fold"] * 4]
    assert {run.info.status for run in runs} == {"FINISHED"}
    (run,) = [run for run in runs if run.info.run_name == "digits, setting winner, seed 1"]
    record = results.fit_records[1]
    assert run.data.params["lr"] == str(record["params"]["lr"])
    assert run.data.params["n_train"] == "1437"
    assert run.data.metrics["test_accuracy"] == record["tests"]["test"]["accuracy"]
    negatives = record["tests"]["negatives, inverted (all)"]
    name = "negatives_ inverted _all__accuracy"
    assert run.data.metrics[name] == negatives["accuracy"]
    curve = client.get_metric_history(run.info.run_id, "train_loss")
    assert [m.value for m in sorted(curve, key=lambda m: m.step)] == [
        epoch["train_loss"] for epoch in record["history"]
    ]
    assert [m.step for m in sorted(curve, key=lambda m: m.step)] == [1, 2]
    folds = [run for run in runs if run.data.tags["sklenet.kind"] == "fold"]
    assert {run.info.run_name for run in folds} == {"digits, lr 0.001", "digits, lr 0.002"}
    assert all("cv_accuracy" in run.data.metrics for run in folds)


def test_a_repeated_export_adds_only_what_is_missing(folder, uri, tmp_path, capsys):
    write_to_mlflow(Results(folder), uri)
    assert write_to_mlflow(Results(folder), uri) == (0, 6)
    client, runs = list_runs(uri)
    client.delete_run(runs[0].info.run_id)
    client.update_run(runs[1].info.run_id, status="RUNNING")  # as after an interrupt
    assert main(["report", str(folder), "--mlflow", uri]) == 0
    err = capsys.readouterr().err
    assert "2 fits were written to sqlite" in err
    assert "4 were there already" in err
    keys = [run.data.tags["sklenet.key"] for run in list_runs(uri)[1]]
    assert len(set(keys)) == len(keys) == 6


def test_a_failed_fit_is_a_failed_run(folder, tmp_path):
    lines = (folder / RECORDS).read_text().splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        if record["kind"] == "fit":
            record["error"] = "ValueError: diverged"
            del record["tests"]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / RECORDS).write_text(text)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    write_to_mlflow(Results(tmp_path), uri)
    failed = [run for run in list_runs(uri)[1] if run.info.status == "FAILED"]
    assert {run.data.tags["sklenet.error"] for run in failed} == {"ValueError: diverged"}
    assert len(failed) == 2


def test_an_unknown_uri_is_an_error(folder, capsys):
    with pytest.raises(StudyError, match="--mlflow nowhere://x: "):
        write_to_mlflow(Results(folder), "nowhere://x")
    assert main(["report", str(folder), "--mlflow", "nowhere://x"]) == 2
    assert "sklenet: error: --mlflow nowhere://x" in capsys.readouterr().err
