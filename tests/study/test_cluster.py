"""Studies and searches on a Dask cluster of real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import GridSearchCV

from sklenet import LeNet5Classifier
from sklenet.cli import main
from sklenet.datasets import load_digits
from sklenet.study.journal import Journal

distributed = pytest.importorskip("distributed")

X, y = load_digits(return_X_y=True)
X, y = X[:300], y[:300]

STUDY = """
name = "small"
title = "Small"
data = ["digits"]
seeds = [0, 1, 2]

[estimator]
max_epochs = 2

[search]
cv = 2

[search.grid]
pooling = ["max", "avg"]
"""

# A worker on a machine without sklenet, as far as the client can tell.
WITHOUT_SKLENET = """
import importlib.metadata as metadata, sys
version = metadata.version
def without(name):
    if name == "sklenet":
        raise metadata.PackageNotFoundError(name)
    return version(name)
without.__module__, without.__qualname__ = "importlib.metadata", "version"
metadata.version = without
from distributed.cli.dask_worker import main
main(sys.argv[1:])
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(*command, cwd):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextmanager
def scheduler(folder):
    """Start `dask scheduler`; give its address."""
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    process = start("-m", "distributed.cli.dask_scheduler", *options, cwd=folder)
    try:
        yield f"tcp://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def workers(address, folder, n=2, script=("-m", "distributed.cli.dask_worker")):
    """Start `dask worker`s in folders of their own."""
    processes = []
    for k in range(n):
        own = folder / f"worker{k}"
        own.mkdir(parents=True, exist_ok=True)
        options = ["--nthreads", "1", "--no-dashboard", "--no-nanny"]
        processes.append(start(*script, address, *options, cwd=own))
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    with scheduler(folder) as address, workers(address, folder):
        with distributed.Client(address, timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
        yield address


def comparable(folder: Path) -> dict:
    """Return what of each fit does not depend on when and where it was made."""
    records = {}
    for record in Journal(folder / "small" / "records.jsonl"):
        if record["kind"] in ("fold", "fit"):
            kept = {k: v for k, v in record.items() if k not in ("run", "threads")}
            kept["history"] = [
                {k: v for k, v in row.items() if k != "seconds"}
                for row in record["history"]
            ]
            del kept["seconds"], kept["cpu_seconds"]
            assert record["key"] not in records, "counted twice"
            records[record["key"]] = json.dumps(kept, sort_keys=True)
    return records


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return the study's file, and its fits as a serial run has them."""
    folder = tmp_path_factory.mktemp("serial")
    path = folder / "small.toml"
    path.write_text(STUDY)
    assert main(["study", str(path), "--out", str(folder), "--quiet"]) == 0
    return path, comparable(folder)


def test_a_study_on_a_cluster_is_the_serial_one(study, cluster, tmp_path, monkeypatch):
    path, serial = study
    monkeypatch.chdir(tmp_path)  # which is not where the workers are
    command = ["study", str(path), "--out", "results", "--scheduler", cluster, "--quiet"]
    assert main(command) == 0
    assert comparable(tmp_path / "results") == serial


def test_workers_of_its_own(study, tmp_path):
    path, serial = study
    environment = dict(os.environ)
    command = ["study", str(path), "--out", str(tmp_path), "--workers", "2", "--quiet"]
    assert main(command) == 0
    assert comparable(tmp_path) == serial
    environment["PYTEST_CURRENT_TEST"] = os.environ["PYTEST_CURRENT_TEST"]
    assert dict(os.environ) == environment


def test_any_search_of_scikit_learns(cluster):
    search = GridSearchCV(
        LeNet5Classifier(max_epochs=2, random_state=0),
        {"lr": [0.001, 0.003], "pooling": ["max", "avg"]},
        cv=2,
        refit=False,
    )
    serial = search.fit(X, y).cv_results_
    with distributed.Client(cluster), parallel_config("dask"):
        spread = search.set_params(n_jobs=-1).fit(X, y).cv_results_
    for name in serial:
        if not name.endswith("_time") and name != "params":
            assert np.array_equal(serial[name], spread[name]), name


def test_a_worker_that_is_killed_costs_what_it_was_doing(study, tmp_path):
    path, serial = study
    with scheduler(tmp_path) as address, workers(address, tmp_path, n=3) as processes:
        command = ["-m", "sklenet", "study", str(path), "--out", str(tmp_path)]
        client = start(*command, "--scheduler", address, "--quiet", cwd=tmp_path)
        journal = tmp_path / "small" / "records.jsonl"
        deadline = time.monotonic() + 120
        while not (journal.is_file() and journal.read_text().count('"fold"') > 1):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        processes[0].send_signal(signal.SIGKILL)
        assert client.wait(timeout=120) == 0
    assert comparable(tmp_path) == serial


# The workers cannot import this file.
WHO = "(__import__('time').sleep(0.3), __import__('os').getpid())[1]"


def test_a_worker_that_comes_late_gets_its_share(tmp_path):
    with (
        scheduler(tmp_path) as address,
        workers(address, tmp_path / "early"),
        distributed.Client(address, timeout=60) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        with parallel_config("dask"):
            late = threading.Timer(0.5, lambda: stack.enter_context(more))
            more = workers(address, tmp_path / "late", n=1)
            with ExitStack() as stack:
                late.start()
                found = Parallel(n_jobs=-1)(delayed(eval)(WHO) for _ in range(60))
    assert len(set(found)) == 3


@contextmanager
def running(command, journal):
    """Start a study, and give the process once a few fits are done."""
    process = start("-m", "sklenet", "study", *command, "--quiet", cwd=journal.parent)
    deadline = time.monotonic() + 120
    while not (journal.is_file() and journal.read_text().count('"fold"') > 1):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_scheduler_or_a_client_that_dies_loses_nothing_that_is_done(study, tmp_path):
    path, serial = study
    folder = tmp_path / "small"
    folder.mkdir()
    journal = folder / "records.jsonl"
    with scheduler(tmp_path) as address, workers(address, tmp_path):
        command = [str(path), "--out", str(tmp_path), "--scheduler", address]
        with running(command, journal) as client:
            client.kill()
    done = comparable(tmp_path)
    assert 2 <= len(done) < len(serial)
    with (
        scheduler(tmp_path) as address,
        workers(address, tmp_path),
        running([*command[:-1], address], journal) as client,
    ):
        pattern = f"dask_scheduler.*{address.rpartition(':')[2]}"
        subprocess.run(["pkill", "-9", "-f", pattern], check=True)
        assert client.wait(timeout=90) != 0
    with scheduler(tmp_path) as address, workers(address, tmp_path):
        assert main(["study", *command[:-1], address, "--quiet"]) == 0
    assert comparable(tmp_path) == serial
    assert done.items() <= serial.items()


def refused(command, capsys):
    """Return what a command says that is refused, within seconds."""
    began = time.monotonic()
    assert main(command) == 2
    assert time.monotonic() - began < 30
    return capsys.readouterr().err


def test_nobody_there(study, tmp_path, capsys):
    address = f"tcp://127.0.0.1:{free_port()}"
    command = ["study", str(study[0]), "--out", str(tmp_path), "--scheduler", address]
    assert f"No Dask scheduler answers at {address}" in refused(command, capsys)
    assert not list(tmp_path.iterdir())
    command[-1] = "nonsense://"
    assert "No Dask scheduler answers at nonsense://" in refused(command, capsys)


def test_no_worker(study, tmp_path, capsys):
    with scheduler(tmp_path) as address:
        command = ["study", str(study[0]), "--out", str(tmp_path), "--scheduler", address]
        assert "has no workers: start some with `dask worker" in refused(command, capsys)


def test_a_single_thread(study, tmp_path, capsys):
    with scheduler(tmp_path) as address, workers(address, tmp_path, n=1):
        command = ["study", str(study[0]), "--out", str(tmp_path), "--scheduler", address]
        assert "one thread only" in refused(command, capsys)


def test_a_worker_without_sklenet(study, tmp_path, capsys):
    script = ("-c", WITHOUT_SKLENET)
    with scheduler(tmp_path) as address, workers(address, tmp_path, 1, script):
        command = ["study", str(study[0]), "--out", str(tmp_path), "--scheduler", address]
        assert "has no sklenet: install version" in refused(command, capsys)


def test_without_dask(study, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sklenet.study.cluster.find_spec", lambda name: None)
    command = ["study", str(study[0]), "--out", str(tmp_path), "--workers", "2"]
    assert r"needs Dask: pip install sklenet[dask]" in refused(command, capsys)
