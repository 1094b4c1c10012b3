"""The progress bar of a fit, on a terminal and elsewhere."""

import os
import pickle
import pty
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from sklenet import LeNet5Classifier
from sklenet.training.step_bar import StepBar

SCRIPT = """
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Checkpoint, PrintLog
from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits

X, y = load_digits(return_X_y=True)
classifier = LeNet5Classifier(max_epochs=3, random_state=0, verbose={verbose})
"""
TABLE = ["epoch", "-------", "1", "2", "3"]


def run_on_terminal(code, verbose=1):
    """Return what a script writes to a terminal, and the lines that remain visible."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(verbose=verbose) + code],
        stdout=follower,
        stderr=follower,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(follower)
    written = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
    os.close(leader)
    text = written.decode()
    assert process.wait() == 0, text
    return text, [line for line in map(show, text.split("\n")) if line]


def show(line):
    """Return what a terminal shows of a line, where "\\r" returns to its beginning."""
    shown = ""
    for part in line.replace("\x1b[A", "").split("\r"):
        shown = part + shown[len(part) :]
    return shown.rstrip()


def first_words(lines):
    return [line.split()[0] for line in lines]


def test_bar_with_remaining_time_leaves_the_table_whole():
    text, lines = run_on_terminal("classifier.fit(X, y)")
    assert "epoch 3/3" in text
    assert re.search(r"\d+/69 \[\d\d:\d\d<\d\d:\d\d, ", text)  # 3 epochs of 23 batches
    assert first_words(lines) == TABLE


def test_skorchs_own_log_is_not_broken():
    code = "classifier.net_params = {'callbacks': [PrintLog()]}\n"
    text, lines = run_on_terminal(code + "classifier.fit(X, y)")
    assert "epoch 2/3" in text
    assert sorted(first_words(lines)) == sorted(2 * TABLE)


def test_a_net_is_pickled_while_the_bar_is_shown(tmp_path):
    checkpoint = f"Checkpoint(monitor=None, dirname={str(tmp_path)!r}, f_pickle='net.pkl')"
    code = f"classifier.net_params = {{'callbacks': [{checkpoint}]}}\n"
    run_on_terminal(code + "classifier.fit(X, y)")
    assert (tmp_path / "net.pkl").exists()


def test_early_stopping_removes_the_bar():
    code = "classifier.set_params(max_epochs=500, lr=0.05, early_stopping=True)\n"
    code += "classifier.set_params(n_iter_no_change=1).fit(X, y)\n"
    text, lines = run_on_terminal(code)
    assert "/500" in text
    assert first_words(lines)[:2] == TABLE[:2]
    assert all(word.isdigit() for word in first_words(lines)[2:])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_searches_show_bars_in_the_main_process_only(n_jobs):
    code = f"search = GridSearchCV(classifier, {{'lr': [0.001, 0.002]}}, n_jobs={n_jobs},"
    text, lines = run_on_terminal(code + "cv=2, refit=False).fit(X, y)")
    assert ("epoch 1/3" in text) == (n_jobs == 1)
    assert first_words(lines).count("epoch") == 4
    assert set(first_words(lines)) == set(TABLE)


def test_nothing_is_shown_by_a_silent_fit():
    text, _ = run_on_terminal("classifier.fit(X, y)", verbose=0)
    assert text == ""


def test_no_bar_without_a_terminal(digits, capfd):
    LeNet5Classifier(max_epochs=1, verbose=1).fit(*digits[:2])
    out, err = capfd.readouterr()
    assert "train_loss" in out
    assert err == ""


@pytest.mark.parametrize("app", ["IPKernelApp", "TerminalIPythonApp"])
def test_bar_in_notebooks(monkeypatch, capsys, app):
    shell = SimpleNamespace(config={app: {}})
    ipython = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    bar = StepBar(2, 5, verbose=1)
    for _ in range(2):
        bar.begin_epoch()
        for _ in range(5):
            bar.step()
    copied = pickle.loads(pickle.dumps(bar))
    bar.close()
    copied.step()
    assert ("epoch 2/2" in capsys.readouterr().err) == (app == "IPKernelApp")
