import json
import os
import pty
import subprocess
import sys

import pytest

import sklenet
from sklenet.cli import main
from sklenet.datasets.torchvision_guard import import_torchvision

STUDY = """
name = "tiny"
title = "A tiny study"
data = ["digits"]
[estimator]
max_epochs = 1
batch_size = 128
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_study_prints_the_table_and_writes_the_report(study, out, capsys):
    assert main(["study", str(study), "--out", str(out)]) == 0
    stdout, stderr = capsys.readouterr()
    assert stdout.startswith("**A tiny study**")
    assert "| digits | max_epochs 1, batch_size 128 |" in stdout
    assert "[1/1] digits, estimator, seed 0: test accuracy 0." in stderr
    names = {path.name for path in (out / "tiny").iterdir()}
    expected = {"records.jsonl", "table.md", "fits.csv", "summary.csv", "report.html"}
    assert names >= expected | {"learning_curves_digits.png", "learning_curves_digits.svg"}
    assert names >= {"confusion_digits.png", "mistakes_digits.svg"}


def test_a_finished_study_runs_nothing_again(study, out, capsys):
    main(["study", str(study), "--out", str(out)])
    first = capsys.readouterr()
    assert main(["study", str(study), "--out", str(out)]) == 0
    stdout, stderr = capsys.readouterr()
    assert stdout == first.out
    assert "has 1 finished fits" in stderr
    assert "[1/1]" not in stderr


SETTINGS = """
[[setting]]
name = "rates"
grid = { lr = [0.001, 0.002] }
"""


def test_part_of_a_study_and_then_the_rest(study, out, capsys):
    study.write_text(STUDY + SETTINGS)
    arguments = ["study", str(study), "--out", str(out)]
    part = ["--setting", "rates, lr 0.002", "--data", "digits"]
    assert main([*arguments, *part, "--dry-run"]) == 0
    assert "1 fits, 0 of them done" in capsys.readouterr().out
    assert main([*arguments, *part]) == 0
    stdout, stderr = capsys.readouterr()
    assert "[1/1] digits, rates, lr 0.002, seed 0" in stderr
    assert "rates, lr 0.001" not in stdout
    assert main(arguments) == 0
    stdout, stderr = capsys.readouterr()
    assert "has 1 finished fits" in stderr
    assert "[2/2] digits, rates, lr 0.001, seed 0" in stderr
    assert stdout.index("rates, lr 0.001") < stdout.index("rates, lr 0.002")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--setting", "rates, lr 0.02"],
            "Did you mean 'rates, lr 0.002'?",
        ),
        (
            ["--data", "cifar10"],
            "not in this study. Known: digits, mnist.",
        ),
        (
            ["--data", "digits", "--setting", "elsewhere"],
            "None of the selected settings is for digits.",
        ),
    ],
)
def test_unknown_data_sets_and_settings_are_rejected(study, out, capsys, options, message):
    text = (STUDY + SETTINGS).replace('["digits"]', '["digits", "mnist"]')
    study.write_text(text + "[[setting]]\nname = 'elsewhere'\ndata = ['mnist']\n")
    assert main(["study", str(study), "--out", str(out), *options]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "--setting: this study has no [[setting]]"),
        ("[search]\nkind = 'settings'\ncv = 2\n" + SETTINGS, "this study has a search"),
    ],
)
def test_studies_without_settings_cannot_be_run_in_part(study, capsys, table, message):
    study.write_text(STUDY + table)
    assert main(["study", str(study), "--setting", "rates, lr 0.001"]) == 2
    assert message in capsys.readouterr().err


def test_a_search_over_settings_on_one_data_set(study, out, capsys):
    study.write_text(STUDY + "[search]\nkind = 'settings'\ncv = 2\n" + SETTINGS)
    arguments = ["study", str(study), "--out", str(out)]
    assert main([*arguments, "--data", "digits"]) == 0
    stdout, stderr = capsys.readouterr()
    assert "2 candidates of kind 'settings'" in stdout
    assert "[5/5] digits, winner, seed 0" in stderr
    assert main(arguments) == 0
    assert capsys.readouterr().out == stdout


def test_quiet_prints_nothing(study, out, capfd):
    assert main(["study", str(study), "--out", str(out), "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")


def test_json(study, out, capsys):
    assert main(["study", str(study), "--out", str(out), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["page"].endswith("report.html")
    assert values["summary"][0]["score"] == "test_accuracy"
    assert main(["report", str(out / "tiny"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == values


def test_dry_run_trains_nothing(study, out, capsys):
    study.write_text(
        STUDY + '[search]\ncv = 3\ngrid = { pooling = ["max", "avg"], lr = [0.1, 0.2] }\n'
    )
    assert main(["study", str(study), "--out", str(out), "--dry-run"]) == 0
    stdout = capsys.readouterr().out
    assert "4 candidates x 3 folds: 12 fits of 958 images, 1 epochs" in stdout
    assert "the winner: 1 fits of 1,437 images, 1 epochs" in stdout
    assert "13 fits, 0 of them done; about" in stdout
    assert not out.exists()


@pytest.mark.parametrize(
    ("search", "rounds"),
    [
        ("resource = 'max_epochs'\nmin_resources = 1\nmax_resources = 4\nfactor = 2", 3),
        ("resource = 'max_epochs'\nmin_resources = 2\nmax_resources = 4", 1),
        ("resource = 'n_samples'\nmin_resources = 100\nfactor = 2", 3),
        ("resource = 'n_samples'", 2),
    ],
)
def test_dry_run_counts_the_fits_of_a_halving_search(study, out, capsys, search, rounds):
    head = STUDY.replace("max_epochs = 1\n", "") if "max_epochs" in search else STUDY
    study.write_text(
        head + f"[search]\nkind = 'halving'\n{search}\ncv = 2\n"
        'grid = { pooling = ["max", "avg"], activation = ["relu", "tanh"] }\n'
    )
    assert main(["study", str(study), "--dry-run", "--json"]) == 0
    estimate = json.loads(capsys.readouterr().out)
    assert len(estimate["batches"]) == rounds + 1
    assert main(["study", str(study), "--out", str(out), "--quiet"]) == 0
    lines = (out / "tiny" / "records.jsonl").read_text().splitlines()
    fits = [r for r in map(json.loads, lines) if r["kind"] in ("fold", "fit")]
    assert len(fits) == estimate["fits"]


def test_failed_fits_have_exit_status_1(study, out, capsys):
    study.write_text(STUDY + 'optimizer = "sgd"\nlr = 1e30\n')
    assert main(["study", str(study), "--out", str(out)]) == 1
    assert "Failed: digits, estimator, seed 0: ValueError: Training diverged" in (
        capsys.readouterr().out
    )


def test_an_invalid_study_is_reported_with_exit_status_2(study, out, capsys):
    study.write_text(STUDY.replace("max_epochs = 1", "max_epochs = 0"))
    assert main(["study", str(study), "--out", str(out)]) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert stderr.startswith(f"sklenet: error: {study}:6: estimator.max_epochs: ")
    assert not out.exists()


def test_an_output_folder_that_cannot_be_created_is_rejected(study, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["study", str(study), "--out", str(tmp_path / "file")]) == 2
    assert "sklenet: error: " in capsys.readouterr().err


def test_missing_data_is_found_before_training(study, tmp_path, out, capsys, monkeypatch):
    monkeypatch.setenv("SKLENET_DATA", str(tmp_path / "empty"))
    monkeypatch.setattr(
        import_torchvision().datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"]
    )
    study.write_text(STUDY.replace('["digits"]', '["digits", "fashion_mnist"]'))
    monkeypatch.setattr(
        import_torchvision().datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"]
    )
    assert main(["study", str(study), "--out", str(out)]) == 2
    assert "Three ways to get them" in capsys.readouterr().err
    assert not out.exists()


def test_report_of_a_folder_without_records_is_rejected(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "no records of a study" in capsys.readouterr().err


def test_the_package_can_be_run_as_a_module():
    process = subprocess.run(
        [sys.executable, "-m", "sklenet", "--version"], capture_output=True, text=True
    )
    assert (process.returncode, process.stdout.strip()) == (0, sklenet.__version__)


def test_every_command_has_a_help_text(capsys):
    for command in ([], ["data"], ["fit"], ["predict"], ["page"], ["study"], ["report"]):
        with pytest.raises(SystemExit) as error:
            main([*command, "--help"])
        assert error.value.code == 0
        assert len(capsys.readouterr().out) > 300


def test_progress_bar_on_a_terminal(study, out):
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "sklenet", "study", str(study), "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=follower,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(follower)
    text = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        text += part
    os.close(leader)
    assert process.wait() == 0
    assert "1/1" in text.decode()
    assert "━" in text.decode()
    assert "[1/1] digits, estimator, seed 0: test accuracy" in text.decode()
