"""An interrupted study loses no finished fit, and repeats none."""

import multiprocessing
import os
import random
import resource
import signal
import time
from pathlib import Path

import pytest
from filelock import FileLock

from sklenet.study.config.errors import StudyError
from sklenet.study.config.read import read_study
from sklenet.study.engine.journal import Journal
from sklenet.study.engine.records import RECORDS
from sklenet.study.engine.run import run_study
from sklenet.study.report.results import Results
from sklenet.study.report.tables import render_tables

STUDY = """
name = "killed"
title = "Killed again and again"
data = ["digits"]
seeds = [0, 1, 2, 3]
metrics = ["accuracy", "neg_log_loss"]

[estimator]
max_epochs = 1
batch_size = 256

[search]
cv = 2

[search.grid]
activation = ["relu", "tanh", "elu", "leaky_relu"]
pooling = ["max", "avg"]
init = ["he_uniform", "torch", "xavier_uniform"]

[[test]]
name = "negatives"
steps = [{ transformer = "Inverter", maximum = 16 }]
"""
N_FITS = 4 * 2 * 3 * 2 + 4
N_KILLS = 30

# Processes are forked from a server that has imported torch, which takes seconds, but has
# not started its threads, which do not survive a fork.
FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["sklenet.study.engine.run", "pytest"])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "killed.toml"
    path.write_text(STUDY)
    return read_study(path)


@pytest.fixture(scope="module")
def whole(study, tmp_path_factory):
    """The results of the study, run without interruption."""
    return Results(_finish(study, tmp_path_factory.mktemp("whole")))


def _run(study, out):
    # A process that a shell runs in the background may ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setpgrp()
    run_study(study, out)


def _start(study, out):
    process = FORK.Process(target=_run, args=(study, out))
    process.start()
    return process


def _finish(study, out) -> Path:
    process = _start(study, out)
    process.join()
    assert process.exitcode == 0
    return Path(out) / study.name


def _keys(folder):
    return [r["key"] for r in Journal(folder / RECORDS) if r["kind"] in ("fold", "fit")]


def _without_circumstances(frame):
    return frame.drop(columns=["seconds", "cpu_seconds", "run", "threads"])


def _check_same(results, whole):
    assert render_tables(results) == render_tables(whole)
    for name in ("fits", "folds"):
        ours, theirs = (_without_circumstances(getattr(r, name)) for r in (results, whole))
        assert ours.equals(theirs)


def test_a_study_killed_at_random_times_ends_with_the_same_tables(study, whole, tmp_path):
    generator = random.Random(0)
    folder = tmp_path / study.name
    kills, finished, seen = 0, 0, []
    while kills < N_KILLS:
        process = _start(study, tmp_path)
        time.sleep(generator.uniform(0, 0.7))
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        else:
            finished += 1
            assert process.exitcode == 0
            if finished > 3:  # there is nothing left to interrupt
                (folder / RECORDS).write_bytes(b"")
                seen, finished = [], 0
        process.join()
        if (folder / RECORDS).is_file():
            Journal(folder / RECORDS).repair()
            keys = _keys(folder)
            assert keys[: len(seen)] == seen, "a finished fit was lost"
            seen = keys
    _finish(study, tmp_path)
    keys = _keys(folder)
    assert keys[: len(seen)] == seen
    assert len(keys) == len(set(keys)) == N_FITS, "a fit was done twice"
    _check_same(Results(folder), whole)


def test_tables_do_not_depend_on_the_order_of_fits(study, whole, tmp_path):
    run_study(study, tmp_path, n_jobs=2)
    _check_same(Results(tmp_path / study.name), whole)


def _run_on_a_small_disk(study, out, limit):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        run_study(study, out)
    except OSError:
        os._exit(7)


def test_a_study_can_be_continued_after_a_full_disk(study, whole, tmp_path):
    for limit in (200, 9_000, 30_000):
        process = FORK.Process(target=_run_on_a_small_disk, args=(study, tmp_path, limit))
        process.start()
        process.join()
        assert process.exitcode == 7
    n_kept = len(_keys(tmp_path / study.name))
    assert 0 < n_kept < N_FITS
    results = Results(_finish(study, tmp_path))
    assert len(_keys(results.folder)) == N_FITS
    _check_same(results, whole)


def test_finished_fits_survive_ctrl_c(study, whole, tmp_path):
    process = _start(study, tmp_path)
    journal = tmp_path / study.name / RECORDS
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 6:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 1  # multiprocessing shows a traceback
    kept = _keys(tmp_path / study.name)
    assert kept
    results = Results(_finish(study, tmp_path))
    assert _keys(results.folder)[: len(kept)] == kept
    _check_same(results, whole)


def test_a_finished_study_repeats_nothing(whole, study):
    before = _keys(whole.folder)
    start = time.perf_counter()
    run_study(study, whole.folder.parent)
    assert time.perf_counter() - start < 5
    assert _keys(whole.folder) == before


def test_a_second_run_at_the_same_time_is_an_error(study, tmp_path):
    (tmp_path / study.name).mkdir()
    with (
        FileLock(tmp_path / study.name / "run.lock"),
        pytest.raises(StudyError, match="another process is running this study"),
    ):
        run_study(study, tmp_path)


@pytest.fixture
def quick(tmp_path):
    def quick(title="t", seeds="[0]"):
        path = tmp_path / "quick.toml"
        path.write_text(
            f'name = "quick"\ntitle = "{title}"\ndata = ["digits"]\nseeds = {seeds}\n'
            "[estimator]\nmax_epochs = 1\nbatch_size = 256\n"
        )
        return read_study(path)

    return quick


def test_a_changed_study_is_an_error_that_names_the_change(quick, tmp_path):
    run_study(quick(), tmp_path)
    before = (tmp_path / "quick" / RECORDS).read_bytes()
    with pytest.raises(StudyError, match=r"seeds: \[0\] is now \[0, 1\]") as error:
        run_study(quick(seeds="[0, 1]"), tmp_path)
    assert "--out" in str(error.value)
    assert "--keep" in str(error.value)
    assert (tmp_path / "quick" / RECORDS).read_bytes() == before


def test_a_changed_study_can_be_continued_with_keep(quick, tmp_path):
    folder = run_study(quick(seeds="[0, 1]"), tmp_path)
    first = _keys(folder)
    run_study(quick(seeds="[1, 2]"), tmp_path, keep=True)
    assert _keys(folder)[:2] == first
    assert len(_keys(folder)) == 3
    assert Results(folder).fits["seed"].tolist() == [1, 2]


def test_a_new_title_does_not_count_as_a_change(quick, tmp_path):
    folder = run_study(quick(), tmp_path)
    run_study(quick(title="better words"), tmp_path)
    assert len(_keys(folder)) == 1
    assert "better words" in render_tables(Results(folder))


def test_a_run_reports_a_dropped_last_line(quick, tmp_path):
    folder = run_study(quick(), tmp_path)
    with (folder / RECORDS).open("ab") as file:
        file.write(b'{"key": "abc", "kind": "fi')
    lines = []
    run_study(quick(), tmp_path, echo=lines.append)
    assert "dropped 26 bytes" in lines[0]
    assert len(_keys(folder)) == 1
