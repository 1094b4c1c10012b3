import subprocess
import sys

import pytest

import sklenet
from sklenet._torchvision import import_torchvision
from sklenet.cli import main

STUDY = """
name = "tiny"
title = "A tiny study"
data = ["digits"]
[estimator]
max_epochs = 1
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY)
    return path


def test_study_prints_the_table_and_writes_the_records(study, tmp_path, capsys):
    assert main(["study", str(study), "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("**A tiny study**")
    assert "| digits | max_epochs 1 |" in out
    assert "digits: seed 0, 1 epochs in" in err
    names = sorted(path.name for path in (tmp_path / "out" / "tiny").iterdir())
    assert names == ["learning_curves.png", "records.jsonl", "table.md"]


def test_a_bad_study_is_one_message_and_exit_code_2(study, tmp_path, capsys):
    study.write_text(STUDY.replace("max_epochs = 1", "max_epochs = 0"))
    assert main(["study", str(study), "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"sklenet: error: {study}: estimator.max_epochs: ")
    assert not (tmp_path / "out").exists()


def test_missing_data_is_found_before_training(study, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SKLENET_DATA", str(tmp_path / "empty"))
    monkeypatch.setattr(
        import_torchvision().datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"]
    )
    study.write_text(STUDY.replace('["digits"]', '["digits", "mnist"]'))
    assert main(["study", str(study), "--out", str(tmp_path / "out")]) == 2
    assert "Three ways to get them" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_module_is_the_command(study, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sklenet", "--version"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, sklenet.__version__)
