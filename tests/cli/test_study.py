import json
import os
import pty
import shlex
import signal
import subprocess
import sys

import pytest

import sklenet
from sklenet.cli import main
from sklenet.datasets.torchvision_guard import import_torchvision
from sklenet.study import read_study

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


def test_quiet_prints_the_results_only(study, out, capfd):
    arguments = ["study", str(study), "--out", str(out)]
    assert main([*arguments, "--quiet", "--dry-run"]) == 0
    stdout, stderr = capfd.readouterr()
    assert "1 fits, 0 of them done" in stdout
    assert stderr == ""
    assert main([*arguments, "--quiet"]) == 0
    quiet = capfd.readouterr()
    assert quiet.err == ""
    assert main(arguments) == 0
    assert capfd.readouterr().out == quiet.out
    assert quiet.out.startswith("**A tiny study**")
    assert main(["report", str(out / "tiny"), "--quiet"]) == 0
    assert capfd.readouterr() == quiet


def test_json(study, out, capsys):
    assert main(["study", str(study), "--out", str(out), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["page"].endswith("report.html")
    assert values["summary"][0]["score"] == "test_accuracy"
    assert main(["report", str(out / "tiny"), "--json"]) == 0
    missing = {"n_missing": 0, "missing": []}
    assert json.loads(capsys.readouterr().out) == values | missing


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


@pytest.mark.parametrize("option", [[], ["--dry-run"]])
def test_a_dry_run_rejects_what_a_run_rejects(study, tmp_path, capsys, option):
    def run(out, *options):
        status = main(["study", str(study), "--out", str(out), *options, *option])
        return status, capsys.readouterr().err

    out = tmp_path / "out"
    assert main(["study", str(study), "--out", str(out)]) == 0
    capsys.readouterr()
    # The results of another study.
    status, stderr = run(out, "--set", "estimator.max_epochs=2")
    assert status == 2
    assert "has the records of another study" in stderr
    # A folder in which nothing can be created, also by root.
    status, stderr = run("/proc/self")
    assert status == 2
    assert "cannot be written" in stderr
    # A journal that cannot be continued.
    (tmp_path / "other" / "tiny" / "records.jsonl").mkdir(parents=True)
    status, stderr = run(tmp_path / "other")
    assert status == 2
    assert "records.jsonl" in stderr
    status, stderr = run(out, "--n-jobs", "0")
    assert (status, "n_jobs must be at least 1" in stderr) == (2, True)


SEVEN = """
[[setting]]
name = "rates"
grid = { lr = [0.001, 0.002, 0.003] }
[[setting]]
name = "few"
seeds = [7]
"""


def test_a_report_says_which_fits_are_missing(study, out, capsys):
    study.write_text(STUDY.replace("[estimator]", "seeds = [0, 1]\n[estimator]") + SEVEN)
    arguments = ["study", str(study), "--out", str(out)]
    assert main([*arguments, "--setting", "rates, lr 0.002"]) == 0
    journal = out / "tiny" / "records.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-2]))  # the fit with seed 1, and the committee
    capsys.readouterr()
    assert main(["report", str(out / "tiny"), "--quiet"]) == 1
    stdout, stderr = capsys.readouterr()
    assert "| rates, lr 0.002 " in stdout
    assert stderr.splitlines() == [
        "sklenet: the study is not finished: 6 fits are missing.",
        "  digits: 'rates, lr 0.001', seeds 0, 1",
        "  digits: 'rates, lr 0.002', seed 1",
        "  digits: 'rates, lr 0.003', seeds 0, 1",
        "  digits: 'few', seed 7",
    ]
    assert main(["report", str(out / "tiny"), "--json"]) == 1
    values = json.loads(capsys.readouterr().out)
    assert values["n_missing"] == 6
    assert values["missing"][1]["what"] == "'rates, lr 0.002', seed 1"
    assert main(arguments) == 0
    assert main(["report", str(out / "tiny")]) == 0


@pytest.mark.parametrize(
    "kind",
    [
        'kind = "grid"',
        'kind = "random"\nn_iter = 2',
        'kind = "halving"\nresource = "n_samples"\nmin_resources = 200\nfactor = 2',
        'kind = "optuna"\nn_iter = 2',
    ],
)
def test_a_report_says_what_is_missing_of_a_search(study, out, capsys, kind):
    if "optuna" in kind:
        pytest.importorskip("optuna_integration")
    study.write_text(
        f"{STUDY}[search]\n{kind}\ncv = 2\ngrid = {{ lr = [0.001, 0.002, 0.003] }}\n"
    )
    assert main(["study", str(study), "--out", str(out)]) == 0
    assert main(["report", str(out / "tiny")]) == 0
    journal = out / "tiny" / "records.jsonl"
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    kept = [r for r in records if r["kind"] in ("study", "run", "fold", "trial")]
    n_fits = sum(2 if r["kind"] == "trial" else r["kind"] == "fold" for r in kept)
    last = 2 if "optuna" in kind else 1
    journal.write_text("".join(json.dumps(record) + "\n" for record in kept[:-1]))
    capsys.readouterr()
    assert main(["report", str(out / "tiny")]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"sklenet: the study is not finished: {last + 1} fits are missing.",
        f"  digits: {last} of {n_fits} fits of the search",
        "  digits: 1 of 1 fits of the winner",
    ]


def test_ctrl_c_says_how_many_fits_are_done(study, out):
    study.write_text(
        STUDY.replace("max_epochs = 1", "max_epochs = 3") + f"[[setting]]\nname = 'a'\n"
        f"grid = {{ lr = {[k / 1000 for k in range(1, 36)]} }}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "sklenet", "study", str(study), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell may start background processes with SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not process.stderr.readline().startswith("[2/35]"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130
    records = (out / "tiny" / "records.jsonl").read_text().splitlines()
    done = sum(json.loads(line)["kind"] == "fit" for line in records)
    assert 2 <= done < 35
    expected = f"sklenet: {done} of 35 fits are done; the same command continues the study."
    assert expected in messages.splitlines()


def test_the_example_is_a_study_that_runs(tmp_path, capsys):
    assert main(["study", "--example"]) == 0
    text = capsys.readouterr().out
    path = tmp_path / "my.toml"
    path.write_text(text)
    assert sum(line.startswith("#") for line in text.splitlines()) > 10
    quick = ["--set", "estimator.max_epochs=1", "--set", "seeds=[0]"]
    assert main(["study", str(path), "--out", str(tmp_path), *quick]) == 0
    assert (tmp_path / "my_study" / "report.html").is_file()
    # What is commented out is valid, too.
    shown = text.replace("# hidden", "hidden").replace("# augment", "augment")
    shown = shown.replace("# pixelscaler__to", "pixelscaler__to")
    shown = shown.replace("# [[test]]\n# name", "[[test]]\nname").replace(
        "# steps", "steps"
    )
    path.write_text(shown.replace("# validation", "validation").replace("# notes", "notes"))
    study = read_study(path)
    assert len(study.search.grid) == 5
    assert study.test_names == ["test", "negatives"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a file that describes the study is required"),
        (["s.toml", "--example"], "--example prints a new file and reads none"),
    ],
)
def test_a_study_needs_a_file_or_the_example(arguments, message, capsys):
    assert main(["study", *arguments]) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert message in stderr


def test_overrides_are_part_of_the_study_and_its_records(study, out, capsys):
    arguments = ["study", str(study), "--out", str(out)]
    changed = ["--set", "seeds=[3]", "--set", "estimator.activation=tanh"]
    assert main([*arguments, *changed]) == 0
    records = (out / "tiny" / "records.jsonl").read_text()
    first, run, fit = map(json.loads, records.splitlines())
    assert first["study"]["seeds"] == [3]
    assert first["study"]["estimator"]["activation"] == "tanh"
    assert shlex.split(run["command"]) == ["sklenet", *arguments, *changed]
    assert (fit["seed"], fit["params"]["activation"]) == (3, "tanh")
    capsys.readouterr()
    # Without them, or with others, it is another study.
    for other in ([], [*changed, "--set", "estimator.lr=0.5"]):
        assert main([*arguments, *other]) == 2
        message = capsys.readouterr().err
        assert "has the records of another study" in message
        assert "--set name=" in message
    assert (out / "tiny" / "records.jsonl").read_text() == records
    assert main([*arguments, "--set", "name=whole"]) == 0
    assert (out / "whole" / "records.jsonl").is_file()
    # The same values are the same study, however they are written.
    study.write_text(STUDY.replace("[estimator]", "seeds = [3]\n[estimator]"))
    assert main([*arguments, "--set", 'estimator.activation="tanh"']) == 0


def test_an_error_names_the_option_that_caused_it(study, capsys):
    command = ["study", str(study), "--dry-run"]
    assert (
        main([*command, "--set", "estimator.max_epochs=0", "--set", "seeds=[0, -1]"]) == 2
    )
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(
        "sklenet: error: --set seeds=[0, -1]: seeds.1: Input should be"
    ) or lines[1].startswith("--set seeds=[0, -1]: seeds.1: Input should be")
    assert any("--set estimator.max_epochs=0: estimator.max_epochs: " in x for x in lines)
    assert main([*command, "--set", "metrics=['roc_auc']"]) == 2
    assert "--set metrics=['roc_auc']: metrics: 'roc_auc' cannot" in capsys.readouterr().err


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
