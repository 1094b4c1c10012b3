"""Exit statuses, error messages and signals of the command."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sklenet.cli import main

HEAD = """
name = "s"
title = "t"
data = ["digits"]
"""
STUDY = f"""{HEAD}
seeds = [0, 1, 2, 3]
[estimator]
max_epochs = 1
batch_size = 256
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(STUDY)
    return path


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("wrong"), 2),
        (FileNotFoundError(2, "gone", "x"), 2),
        (KeyError("k"), 1),
        (RecursionError("deep"), 1),
        (MemoryError("large"), 1),
        (OverflowError("far"), 1),
        (AssertionError(), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_are_reported_in_one_short_line(path, monkeypatch, capsys, error, code):
    def fail(path):
        raise error

    monkeypatch.setattr("sklenet.cli.study.read_study", fail)
    assert main(["study", str(path)]) == code
    stderr = capsys.readouterr().err
    assert stderr.startswith("sklenet: ")
    assert stderr.count("\n") == 1
    if code == 1:
        assert f"unexpected error: {type(error).__name__}" in stderr
    monkeypatch.setenv("SKLENET_TRACEBACK", "1")
    assert main(["study", str(path)]) == code
    assert ("Traceback" in capsys.readouterr().err) is (code != 130)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("notes = " + "[" * 100_000, "nested more than 20 levels"),
        ("notes = " + "[" * 30 + "]" * 30, "nested more than 20 levels"),
        ("a" + ".a" * 30 + " = 1", "nested more than 20 levels"),
        ("a" + ".a" * 100_000 + " = 1", "nested more than 20 levels"),
        ("[a" + '."b"' * 100_000 + "]", "nested more than 20 levels"),
        ("seeds = [" + "9" * 400 + "]", r"s\.toml:\d+: seeds\.0 is a whole number that"),
        ("seeds = [" + "9" * 5000 + "]", "not a TOML file"),
        ("validation = " + "9" * 400, r"validation is a whole number that does not fit"),
        (
            "[[published]]\ndata = 'digits'\nsource = 's'\nfigures = { epochs = "
            + "9" * 400
            + " }",
            r"s\.toml:\d+: published\.0\.figures\.epochs is a whole number that",
        ),
        ("[estimator]\nnet_params = { callbacks = ['x'] }", "'callbacks'"),
        ("title2 = '" + "x" * 2**20 + "'", "more than 1,048,576 bytes"),
        ('"\\u001b]0;title\\u0007" = 1', r"s\.toml: \\x1b\]0;title\\x07: unknown key"),
        ("\0", "not a TOML file"),
    ],
)
def test_malformed_study_files_are_rejected(path, capsys, text, message):
    path.write_text(f"{HEAD}{text}\n")
    start = time.process_time()
    assert main(["study", str(path), "--dry-run"]) == 2
    stderr = capsys.readouterr().err
    assert re.search(message, stderr)
    assert len(stderr) < 5000
    assert time.process_time() - start < 3


def test_a_binary_study_file_is_rejected(path, capsys):
    path.write_bytes(bytes(range(256)) * 10)
    assert main(["study", str(path)]) == 2
    assert "not a TOML file" in capsys.readouterr().err
    assert main(["study", "a\0b"]) == 2
    assert "sklenet: error: a\\x00b: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--hidden", "[1000000000000000]", "The 'hidden' parameter of LeNet5Classifier"),
        ("--hidden", "[100000, 100000]", "more than the limit of 1,000,000,000"),
        ("--maps", "[1000000000, 1000000000]", "The 'maps' parameter"),
        ("--padding", "1000000000", "The 'padding' parameter"),
    ],
)
def test_a_network_that_is_too_large_is_rejected(tmp_path, capsys, option, value, message):
    model = tmp_path / "model"
    assert main(["fit", "--data", "digits", "--out", str(model), option, value]) == 2
    assert message in capsys.readouterr().err
    assert not model.exists()


@pytest.mark.parametrize("value", ["9" * 400, "[" * 40 + "]" * 40, "1979-05-27"])
def test_option_values_that_are_not_plain_are_rejected(tmp_path, capsys, value):
    with pytest.raises(SystemExit) as error:
        main(["fit", "--data", "digits", "--out", str(tmp_path / "m"), "--lr", value])
    assert error.value.code == 2
    assert "argument --lr: " in capsys.readouterr().err


def test_names_that_the_encoding_of_the_terminal_lacks(path, tmp_path):
    path.write_text(
        STUDY.replace('title = "t"', 'title = "Größe 数字 ±"')
        + '[[setting]]\nname = "naïve 😀"\nestimator = { lr = 0.002 }\n',
        encoding="utf-8",
    )
    process = subprocess.run(
        [sys.executable, "-m", "sklenet", "study", str(path), "--out", str(tmp_path)],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert process.returncode == 0, process.stderr
    assert "Gr\\xf6\\xdfe" in process.stdout.decode("ascii")
    assert "+/-" in process.stdout.decode("ascii")
    assert "naïve 😀" in (tmp_path / "s" / "table.md").read_text(encoding="utf-8")


def test_no_escape_sequence_reaches_the_terminal(path, tmp_path, capsys):
    name = "\\u001b]0;owned\\u0007\\u009b2J\\u202e"
    path.write_text(STUDY + f'[[setting]]\nname = "{name}"\n')
    out = str(tmp_path / "\x1b[31mout")
    for options in (["--dry-run"], [], ["--setting", "\x1b[5m"]):
        main(["study", str(path), "--out", out, *options])
        text = "".join(capsys.readouterr())
        assert not set("\x1b\x07\x9b\u202e") & set(text)
        assert "\\x1b" in text


def test_signal_handlers_are_restored(path):
    before = signal.getsignal(signal.SIGTERM)
    main(["study", str(path.with_name("none"))])
    assert signal.getsignal(signal.SIGTERM) == before
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main(["report", "none"])))
    thread.start()
    thread.join()
    assert codes == [2]


def child_processes(pid):
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if is_running(int(child))]


def is_running(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_sigterm_terminates_the_workers_of_a_study(path, tmp_path):
    path.write_text(STUDY.replace("max_epochs = 1", "max_epochs = 100000"))
    command = ["study", str(path), "--out", str(tmp_path), "--n-jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "sklenet", *command],
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    try:
        deadline = time.monotonic() + 120
        # Two workers and the resource tracker.
        while len(workers := child_processes(process.pid)) < 3:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(3)
        workers = child_processes(process.pid)
        cmdlines = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in workers}
        workers = [pid for pid in workers if "popen_loky" in cmdlines[pid]]
        assert len(workers) == 2
        process.terminate()
        deadline = time.monotonic() + 2
        while any(map(is_running, workers)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not any(map(is_running, workers))
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 143
    assert stderr.decode().splitlines()[-1] == "sklenet: ended by SIGTERM"
