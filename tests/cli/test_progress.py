"""The progress of a study, from its journal."""

import json
import threading
import time

import pytest

from sklenet.cli.progress import Progress, _describe
from sklenet.study import read_study
from sklenet.study.engine.records import RECORDS

STUDY = """
name = "s"
title = "t"
data = ["digits"]
seeds = [0, 1, 2, 3]
[estimator]
max_epochs = 1
batch_size = 256
"""

HISTORY = [{"train_loss": 1.0}, {"train_loss": 0.5}]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(STUDY)
    return path


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (
            {
                "kind": "fit",
                "setting": "a",
                "seed": 3,
                "tests": {"test": {"accuracy": 0.98765, "n": 3}, "noise": {"f1": 0.5}},
                "history": HISTORY,
                "seconds": 1.26,
            },
            "a, seed 3: test accuracy 0.9877, noise f1 0.5000, 2 epochs in 1.3 s",
        ),
        (
            {"kind": "fit", "setting": "a", "seed": 3, "error": "ValueError: diverged"},
            "a, seed 3: ValueError: diverged",
        ),
        (
            {"kind": "fold", "scores": {"a": 0.5, "b": None}, "history": HISTORY},
            "one fold of a search: a 0.5000, b not finite, 2 epochs in 0.0 s",
        ),
        (
            {"kind": "trial", "state": "complete", "history": [0.1, 0.9], "seconds": 2},
            "a trial: 0.9000, 2 epochs in 2.0 s",
        ),
        (
            {"kind": "trial", "state": "pruned", "history": [None], "seconds": 2},
            "a trial: not finite, 1 epochs in 2.0 s, pruned",
        ),
        (
            {"kind": "trial", "state": "fail", "history": [0.1], "seconds": 2},
            "a trial: no score, 1 epochs in 2.0 s",
        ),
        (
            {"kind": "trial", "state": "pruned", "history": [], "seconds": 2},
            "a trial: no score, 0 epochs in 2.0 s, pruned",
        ),
    ],
)
def test_a_line_for_each_kind_of_record(record, line):
    assert _describe({"data": "digits"} | record) == f"digits, {line}"


def fit_record(seed, **changes):
    record = {"key": f"k{seed}", "kind": "fit", "data": "digits", "setting": "a"}
    record |= {"seed": seed, "params": {}, "tests": {"test": {"accuracy": 0.5}}}
    return json.dumps(record | changes) + "\n"


def test_a_line_has_no_scores_of_series(path, tmp_path, capsys):
    path.write_text(
        STUDY + '[[test]]\nname = "turned"\nsteps = [{ transformer = "Disturber" }]\n'
        "grid = { disturber__rotation = [10] }\n"
    )
    journal = tmp_path / RECORDS
    tests = {"test": {"accuracy": 0.5}, "turned 10": {"accuracy": 0.25}}
    with Progress(read_study(path), journal):
        journal.write_text(fit_record(0, tests=tests))
    assert "seed 0: test accuracy 0.5000, 0 epochs" in capsys.readouterr().err


def test_progress_survives_a_rewritten_journal(path, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sklenet.cli.progress._SECONDS", 0.01)
    journal = tmp_path / RECORDS
    failures = []
    monkeypatch.setattr(threading, "excepthook", failures.append)

    def wait_for(text):
        deadline = time.monotonic() + 10
        stderr = ""
        while text not in stderr:
            assert time.monotonic() < deadline, stderr
            stderr += capsys.readouterr().err
            time.sleep(0.01)
        return stderr

    with Progress(read_study(path), journal) as progress:
        journal.write_text(fit_record(0) + fit_record(1))
        wait_for("seed 1: test accuracy 0.5000")
        journal.write_text(fit_record(2, setting="a much longer name") * 2)
        wait_for("seed 2")
        for damage in ("{}\n" + fit_record(3), "\0" * 5000 + "\n\n", "", '{"kind": 1}\n'):
            journal.write_text(damage)
            time.sleep(0.05)
        journal.unlink()
        time.sleep(0.05)
        journal.write_text(fit_record(4))
        assert "seed 0" not in wait_for("seed 4")
        assert progress._thread.is_alive()
    assert failures == []
