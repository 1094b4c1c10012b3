"""Searches by Optuna: trials, pruning, and continuation after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from dask_cluster import die_with_parent
from sklearn.model_selection import StratifiedKFold

from sklenet import LeNet5Classifier
from sklenet.cli import main
from sklenet.datasets import load_digits
from sklenet.study.config.errors import StudyError
from sklenet.study.config.read import read_study
from sklenet.study.engine.journal import Journal
from sklenet.study.report.results import Results

pytest.importorskip("optuna_integration")

STUDY = """
name = "small"
title = "Small"
data = ["digits"]

[estimator]
max_epochs = 3

[search]
kind = "optuna"
cv = 2
n_iter = 12

[search.grid]
activation = ["relu", "tanh", "sigmoid"]
lr = {loguniform = [1e-4, 1e-2]}
batch_size = {randint = [32, 65]}
"""


def write(folder, text=STUDY):
    path = folder / "small.toml"
    path.write_text(text)
    return path


def run(folder, text=STUDY, *options):
    command = ["study", str(write(folder, text)), "--out", str(folder), *options]
    return main([*command, "--quiet"])


def trials(folder):
    journal = Journal(folder / "small" / "records.jsonl")
    return [record for record in journal if record["kind"] == "trial"]


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serial")
    assert run(folder) == 0
    return folder


def test_bad_candidates_are_pruned(serial):
    found = trials(serial)
    assert len(found) == 12
    states = {trial["state"] for trial in found}
    assert states == {"complete", "pruned"}
    for trial in found:
        epochs = len(trial["history"])
        assert epochs == 3 if trial["state"] == "complete" else 1 <= epochs <= 3
        assert trial["history"][-1] == pytest.approx(np.mean(trial["scores"]))
        assert 1e-4 <= trial["params"]["lr"] <= 1e-2
        assert 32 <= trial["params"]["batch_size"] <= 64
    # Pruned are candidates below the median of the others at the same epoch.
    for k, trial in enumerate(found):
        if trial["state"] == "pruned":
            last = len(trial["history"]) - 1
            others = [t["history"][last] for t in found[:k] if t["state"] == "complete"]
            assert len(others) >= 5
            assert max(trial["history"]) < np.median(others)


def test_the_winner_is_the_best_candidate_that_was_not_pruned(serial):
    results = Results(serial / "small")
    candidates = results.candidates("digits")
    complete = candidates["state"] == "complete"
    assert complete.is_monotonic_decreasing
    assert candidates["mean"][complete].is_monotonic_decreasing
    (fit,) = results.fit_records
    for name in ("activation", "lr", "batch_size"):
        assert fit["params"][name] == candidates[name][0]
    table = (serial / "small" / "table.md").read_text()
    assert f"{sum(~complete)} were pruned before their last epoch" in table


def comparable(trial):
    return trial | {"seconds": 0, "run": 0}


def test_trials_of_one_process_are_reproducible_after_a_kill(serial, tmp_path):
    path = write(tmp_path)
    command = [sys.executable, "-m", "sklenet", "study", str(path), "--out", str(tmp_path)]
    kill_after(5, [*command, "--quiet"], tmp_path)
    assert run(tmp_path) == 0
    again, before = map(comparable, trials(tmp_path)), map(comparable, trials(serial))
    assert list(again) == list(before)
    assert {trial["run"] for trial in trials(tmp_path)} == {1, 2}


def test_a_search_with_more_trials_begins_with_the_same(serial, tmp_path):
    shutil.copytree(serial / "small", tmp_path / "small")
    assert run(tmp_path, STUDY.replace("n_iter = 12", "n_iter = 13"), "--keep") == 0
    assert trials(tmp_path)[:12] == trials(serial)
    assert len(trials(tmp_path)) == 13


def test_an_epoch_is_a_partial_fit_of_the_estimator(serial):
    trial = next(t for t in trials(serial) if t["state"] == "complete")
    X, y = load_digits(subset="train", return_X_y=True)
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    scores = []
    for train, test in folds.split(X, y):
        model = LeNet5Classifier(random_state=0, **trial["params"])
        scores.append([])
        for _ in range(3):
            model.partial_fit(X[train], y[train], classes=range(10))
            scores[-1].append(model.score(X[test], y[test]))
    assert trial["history"] == pytest.approx(np.mean(scores, axis=0).tolist(), abs=1e-12)


def test_a_failed_metric_is_a_failed_trial(tmp_path):
    text = STUDY.replace(
        'data = ["digits"]', 'data = ["digits"]\nmetrics = ["neg_log_loss"]'
    )
    text = text.replace("lr = {loguniform = [1e-4, 1e-2]}", "lr = [0.001, 1e18]")
    text = text.replace("n_iter = 12", "n_iter = 6").replace('"tanh", "sigmoid"', '"elu"')
    assert run(tmp_path, text) == 1
    found = {trial["params"]["lr"]: trial for trial in trials(tmp_path)}
    assert len(trials(tmp_path)) == 6
    assert found[0.001]["state"] == "complete"
    assert found[1e18]["state"] == "fail"
    assert found[1e18]["error"]


def test_finished_trials_are_not_repeated(serial, capsys):
    journal = serial / "small" / "records.jsonl"
    before = trials(serial)
    assert run(serial) == 0
    assert trials(serial) == before
    kinds = [record["kind"] for record in Journal(journal)]
    assert (kinds.count("fit"), kinds.count("search")) == (1, 1)
    assert not list((serial / "small").glob("optuna-*"))


def kill_after(wanted, command, folder):
    """Kill a study with all its processes after a number of trials have finished."""
    process = subprocess.Popen(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    deadline = time.monotonic() + 120
    while len(trials(folder)) < wanted:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_processes_share_a_search_that_survives_kills(tmp_path):
    path = write(tmp_path, STUDY.replace("n_iter = 12", "n_iter = 14"))
    command = ["study", str(path), "--out", str(tmp_path), "--n-jobs", "2", "--quiet"]
    for wanted in (3, 7):
        kill_after(wanted, [sys.executable, "-m", "sklenet", *command], tmp_path)
        kept = trials(tmp_path)
    assert main(command) == 0
    found = trials(tmp_path)
    assert found[: len(kept)] == kept
    assert sorted(trial["number"] for trial in found) == list(range(14))
    assert {trial["run"] for trial in found} == {1, 2, 3}
    tried = [json.dumps(trial["params"]) for trial in found]
    assert len(set(tried)) == len(tried), "processes tried the same candidate"
    assert not list((tmp_path / "small").glob("optuna-*"))


def test_a_failed_candidate_is_a_failed_trial(tmp_path):
    text = STUDY.replace("lr = {loguniform = [1e-4, 1e-2]}", "lr = [0.001, 1e30]")
    text = text.replace("n_iter = 12", "n_iter = 6")
    text = text.replace("max_epochs = 3", "max_epochs = 1")
    text = text.replace('"tanh", "sigmoid"', '"leaky_relu"')
    assert run(tmp_path, text) == 1
    found = {trial["params"]["lr"]: trial for trial in trials(tmp_path)}
    assert {lr: one["state"] for lr, one in found.items()} == {
        0.001: "complete",
        1e30: "fail",
    }
    assert "Training diverged" in found[1e30]["error"]
    results = Results(tmp_path / "small")
    assert results.fit_records[0]["params"]["lr"] == 0.001
    assert "fail" in (tmp_path / "small" / "table.md").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "n_iter = 12",
            "",
            "n_iter: this key is required in a search of kind 'optuna'",
        ),
        (
            "batch_size = {randint = [32, 65]}",
            "max_epochs = [2, 3]",
            "Optuna decides after",
        ),
        (
            "max_epochs = 3",
            'lr_schedule = "cosine"',
            "depends on the last epoch of",
        ),
        (
            "batch_size = {randint = [32, 65]}",
            "early_stopping = [true, false]",
            "depends on the last epoch of",
        ),
        ("[32, 65]", "[65, 32]", "where low is below high"),
        ("[32, 65]", "[32, 64.5]", "{randint = .* whole numbers"),
        ("[1e-4, 1e-2]", "[0.0, 1e-2]", "{loguniform = .* low above 0"),
    ],
)
def test_a_search_that_optuna_cannot_make_is_an_error(tmp_path, old, new, message):
    assert old in STUDY
    with pytest.raises(StudyError, match=message):
        read_study(write(tmp_path, STUDY.replace(old, new)))


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_missing_optuna_is_an_error(tmp_path, monkeypatch, capsys, options):
    monkeypatch.setitem(sys.modules, "optuna_integration.sklearn", None)
    assert run(tmp_path, STUDY, *options) == 2
    assert "pip install sklenet[optuna]" in capsys.readouterr().err
    assert not list(tmp_path.rglob("records.jsonl"))


def test_optuna_search_cv_works_with_the_estimator(tmp_path):
    from optuna import create_study
    from optuna.distributions import CategoricalDistribution
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna_integration.sklearn import OptunaSearchCV

    storage = JournalStorage(JournalFileBackend(str(tmp_path / "trials.log")))
    study = create_study(storage=storage, direction="maximize")

    X, y = load_digits(return_X_y=True)
    with pytest.warns(Warning, match="experimental"):
        search = OptunaSearchCV(
            LeNet5Classifier(random_state=0),
            {"pooling": CategoricalDistribution(["max", "avg"])},
            cv=2,
            enable_pruning=True,
            max_iter=2,
            n_trials=2,
            study=study,
        )
    search.fit(X[:300], y[:300])
    assert search.best_estimator_.pooling == search.best_params_["pooling"]
    assert 0 < search.best_score_ <= 1
