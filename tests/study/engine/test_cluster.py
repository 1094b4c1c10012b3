"""Studies and searches on a Dask cluster of real processes."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from dask_cluster import (
    end,
    free_port,
    machines,
    scheduler,
    start,
    start_scheduler,
    start_worker,
    workers,
)
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from sklenet import LeNet5Classifier
from sklenet.cli import main
from sklenet.datasets import load_digits
from sklenet.study.engine.cluster import resume_after_worker_loss, use_cluster
from sklenet.study.engine.journal import Journal

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
batch_size = [32, 64, 128]
"""

# A worker that reports to the client that sklenet is not installed.
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

WITH_ANOTHER_TORCH = WITHOUT_SKLENET.replace(
    'if name == "sklenet":\n        raise metadata.PackageNotFoundError(name)',
    'if name == "torch":\n        return "1.13.1"',
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    with scheduler(folder) as address, workers(address, folder):
        with distributed.Client(address, timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
        yield address


def comparable(folder: Path) -> dict:
    """Return the records of the fits without times, threads and runs, by their keys."""
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
    """Return the study file, and the fits of a serial run."""
    folder = tmp_path_factory.mktemp("serial")
    path = folder / "small.toml"
    path.write_text(STUDY)
    assert main(["study", str(path), "--out", str(folder), "--quiet"]) == 0
    return path, comparable(folder)


def test_a_cluster_has_the_results_of_a_serial_run(study, cluster, tmp_path, monkeypatch):
    path, serial = study
    monkeypatch.chdir(tmp_path)  # the workers have another one
    command = ["study", str(path), "--out", "results", "--scheduler", cluster, "--quiet"]
    assert main(command) == 0
    assert comparable(tmp_path / "results") == serial


def test_local_workers_give_the_results_of_a_serial_run(study, tmp_path):
    path, serial = study
    environment = dict(os.environ)
    command = ["study", str(path), "--out", str(tmp_path), "--workers", "2", "--quiet"]
    assert main(command) == 0
    assert comparable(tmp_path) == serial
    environment["PYTEST_CURRENT_TEST"] = os.environ["PYTEST_CURRENT_TEST"]
    assert dict(os.environ) == environment


def test_local_workers_divide_the_cores(study, tmp_path, monkeypatch):
    monkeypatch.setattr("sklenet.study.engine.cluster.cpu_count", lambda: 4)
    command = ["study", str(study[0]), "--out", str(tmp_path), "--workers", "2", "--quiet"]
    assert main(command) == 0
    records = list(Journal(tmp_path / "small" / "records.jsonl"))
    assert {record["threads"] for record in records if "threads" in record} == {2}


def test_a_grid_search_on_a_cluster_has_the_results_of_a_serial_one(cluster):
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


def test_a_study_survives_a_killed_worker(study, tmp_path):
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


def test_a_study_is_resumed_after_its_data_is_lost(tmp_path):
    journal = Journal(tmp_path / "records.jsonl")
    calls = []

    def run():
        calls.append(None)
        if len(calls) < 3:
            record = {"kind": "fold", "key": str(len(calls)), "data": "digits"}
            journal.append(record | {"params": {}})
            raise distributed.client.FutureCancelledError("array", "lost")
        return tmp_path

    told = []
    with (
        scheduler(tmp_path) as address,
        workers(address, tmp_path),
        distributed.Client(address, timeout=60) as client,
    ):
        client.wait_for_workers(1, timeout=60)
        assert resume_after_worker_loss(run, journal.path, told.append) == tmp_path
        assert len(calls) == 3
        assert (
            told == ["Workers died with the data that they had been sent; continuing."] * 2
        )

        def without_progress():
            raise distributed.client.FutureCancelledError("array", "lost")

        with pytest.raises(distributed.client.FutureCancelledError):
            resume_after_worker_loss(without_progress, journal.path, told.append)


# A task as text, since the workers cannot import this file.
WHO = "(__import__('time').sleep(0.3), __import__('os').getpid())[1]"


def test_a_late_worker_gets_tasks(tmp_path):
    def tasks():
        deadline = time.monotonic() + 120
        while not come.is_set() and time.monotonic() < deadline:
            yield delayed(eval)(WHO)
        yield from [delayed(eval)(WHO)] * 12

    come = threading.Event()
    with (
        scheduler(tmp_path) as address,
        workers(address, tmp_path / "early"),
        distributed.Client(address, timeout=60) as client,
    ):
        client.wait_for_workers(2, timeout=60)

        def arrive():
            with workers(address, tmp_path / "late", n=1):
                client.wait_for_workers(3, timeout=100)
                come.set()
                done.wait(timeout=100)

        done = threading.Event()
        late = threading.Thread(target=arrive)
        late.start()
        with parallel_config("dask"):
            found = Parallel(n_jobs=-1)(tasks())
        done.set()
        late.join()
    assert len(set(found)) == 3


def n_folds(journal):
    return journal.read_text().count('"fold"') if journal.is_file() else 0


@contextmanager
def running(command, journal):
    """Start a study, and yield the process after it has finished two more fits."""

    before = n_folds(journal)
    process = start("-m", "sklenet", "study", *command, "--quiet", cwd=journal.parent)
    try:
        deadline = time.monotonic() + 120
        while n_folds(journal) < before + 2:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        yield process
    finally:
        end(process)


def test_finished_fits_survive_a_killed_scheduler_or_client(study, tmp_path):
    path, serial = study
    folder = tmp_path / "small"
    folder.mkdir()
    journal = folder / "records.jsonl"
    command = [str(path), "--out", str(tmp_path), "--scheduler"]
    with (
        scheduler(tmp_path) as address,
        workers(address, tmp_path),
        running([*command, address], journal) as client,
    ):
        client.kill()
    done = comparable(tmp_path)
    assert 2 <= len(done) < len(serial) - 1
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    with ExitStack() as stack:
        process = start_scheduler(tmp_path, port)
        stack.callback(end, process)
        stack.enter_context(workers(address, tmp_path))
        client = stack.enter_context(running([*command, address], journal))
        process.kill()
        assert client.wait(timeout=90) == 2
    more = comparable(tmp_path)
    assert done.items() < more.items()
    with scheduler(tmp_path) as address, workers(address, tmp_path):
        assert main(["study", *command, address, "--quiet"]) == 0
    assert comparable(tmp_path) == serial
    assert more.items() <= serial.items()


def error_of(command, capsys):
    """Return the message of a command that must fail within seconds."""
    began = time.monotonic()
    assert main(command) == 2
    assert time.monotonic() - began < 30
    return capsys.readouterr().err


def test_an_address_without_a_scheduler_is_an_error(study, tmp_path, capsys):
    address = f"tcp://127.0.0.1:{free_port()}"
    command = ["study", str(study[0]), "--out", str(tmp_path), "--scheduler", address]
    assert f"No Dask scheduler answers at {address}" in error_of(command, capsys)
    assert not list(tmp_path.iterdir())
    command[-1] = "nonsense://"
    assert "No Dask scheduler answers at nonsense://" in error_of(command, capsys)


def test_a_scheduler_without_workers_is_an_error(study, tmp_path, capsys):
    with scheduler(tmp_path) as address:
        command = ["study", str(study[0]), "--out", str(tmp_path), "--scheduler", address]
        assert "has no workers: start some with `dask worker" in error_of(command, capsys)


def test_a_cluster_with_a_single_thread_is_an_error(study, tmp_path, capsys):
    with scheduler(tmp_path) as address, workers(address, tmp_path, n=1):
        command = ["study", str(study[0]), "--out", str(tmp_path), "--scheduler", address]
        assert "one thread only" in error_of(command, capsys)


def test_a_worker_without_sklenet_is_an_error(study, tmp_path, capsys):
    script = ("-c", WITHOUT_SKLENET)
    with scheduler(tmp_path) as address, workers(address, tmp_path, 1, script):
        command = ["study", str(study[0]), "--out", str(tmp_path), "--scheduler", address]
        assert "sklenet missing instead of" in error_of(command, capsys)


def test_a_worker_with_another_version_is_an_error(study, tmp_path, capsys):
    script = ("-c", WITH_ANOTHER_TORCH)
    with scheduler(tmp_path) as address, workers(address, tmp_path, 2, script):
        command = ["study", str(study[0]), "--out", str(tmp_path), "--scheduler", address]
        assert "torch 1.13.1 instead of 2" in error_of(command, capsys)


def test_a_slow_start_of_dask_is_repeated(study, tmp_path, monkeypatch):
    start, attempts = distributed.utils.LoopRunner._start_unlocked, []

    def late_at_first(runner):
        attempts.append(runner)
        assert len(attempts) > 1
        start(runner)

    monkeypatch.setattr(distributed.utils.LoopRunner, "_start_unlocked", late_at_first)
    with (
        scheduler(tmp_path) as address,
        workers(address, tmp_path),
        use_cluster(address) as n,
    ):
        assert n == -1
        assert Parallel(n_jobs=n)(delayed(abs)(-i) for i in range(3)) == [0, 1, 2]
    assert len(attempts) == 2


def test_data_are_sent_again_if_a_worker_dies_while_it_gets_them(
    study, tmp_path, monkeypatch
):
    scatter, failures = distributed.Client.scatter, []

    async def fail():
        failures.append(1)
        raise OSError("the worker has died")

    def scatter_at_the_third_attempt(client, *args, **kwargs):
        return fail() if len(failures) < 2 else scatter(client, *args, **kwargs)

    monkeypatch.setattr(distributed.Client, "scatter", scatter_at_the_third_attempt)
    images = np.arange(100_000)
    with scheduler(tmp_path) as address, workers(address, tmp_path), use_cluster(address):
        sums = Parallel(n_jobs=-1)(delayed(np.sum)(images) for _ in range(4))
    assert sums == [images.sum()] * 4
    assert len(failures) == 2


def test_a_missing_dask_is_an_error(study, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sklenet.study.engine.cluster.find_spec", lambda name: None)
    command = ["study", str(study[0]), "--out", str(tmp_path), "--workers", "2"]
    assert "requires Dask: pip install sklenet[dask]" in error_of(command, capsys)


def test_a_study_survives_twenty_random_kills(study, tmp_path):
    """The results are those of a serial run, whichever processes are killed.

    The first fit is always finished. A client that ends, for example because the scheduler
    was killed, is started again, as a user would do.
    """
    path, serial = study
    draw = random.Random(20)
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    deadline = time.monotonic() + 400
    n_kills, n_studies = 0, 0
    with ExitStack() as stack:
        running = {"scheduler": start_scheduler(tmp_path, port)}
        stack.callback(lambda: [end(process) for process in running.values()])
        while n_kills < 20:
            n_studies += 1
            out = tmp_path / str(n_studies)
            command = ["-m", "sklenet", "study", str(path), "--out", str(out), "--quiet"]
            journal = out / "small" / "records.jsonl"
            next_kill = math.inf
            finished = False
            while not finished:
                assert time.monotonic() < deadline, f"{n_kills} kills, {n_studies} studies"
                for name in ("scheduler", "worker 1", "worker 2", "worker 3", "client"):
                    process = running.get(name)
                    if process is not None and process.poll() is None:
                        continue
                    if process is not None and name == "client" and process.poll() == 0:
                        finished = True
                        del running[name]
                    elif name == "scheduler":
                        running[name] = start_scheduler(tmp_path, port)
                    elif name == "client":
                        running[name] = start(
                            *command, "--scheduler", address, cwd=tmp_path
                        )
                    else:
                        running[name] = start_worker(tmp_path / name, address)
                if next_kill == math.inf and n_folds(journal):
                    next_kill = time.monotonic() + draw.uniform(0, 2)
                if time.monotonic() > next_kill and n_kills < 20 and not finished:
                    end(running[draw.choice([*running, "worker 1", "worker 2"])])
                    n_kills += 1
                    next_kill = time.monotonic() + draw.uniform(0, 6)
                time.sleep(0.05)
            assert comparable(out) == serial


@pytest.fixture(scope="module")
def two_machines(tmp_path_factory):
    """Yield a client of a scheduler, and two machines with one worker each."""
    folder = tmp_path_factory.mktemp("machines")
    with ExitStack() as stack:
        try:
            own, found = stack.enter_context(machines(2))
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("network namespaces need Linux and its administrator")
        address = stack.enter_context(scheduler(folder, own))
        for machine in found:
            before = ["ip", "netns", "exec", machine.name]
            worker = start_worker(folder / machine.name, address, before=before)
            stack.callback(end, worker)
        client = stack.enter_context(distributed.Client(address, timeout=60))
        client.wait_for_workers(2, timeout=60)
        yield client, found


def test_a_search_sends_its_data_once_to_each_machine(two_machines):
    _, found = two_machines
    images = np.random.default_rng(0).integers(256, size=(4000, 784), dtype=np.uint8)
    labels = np.arange(4000) % 10
    search = GridSearchCV(
        LeNet5Classifier(max_epochs=1, random_state=0),
        {"lr": [0.001, 0.002, 0.003, 0.004, 0.005, 0.006]},
        cv=ShuffleSplit(2, train_size=200, test_size=100, random_state=0),
        refit=False,
        n_jobs=-1,
    )
    before = [machine.bytes_received for machine in found]
    with parallel_config("dask"):
        search.fit(images, labels)
    for machine, earlier in zip(found, before, strict=True):
        received = machine.bytes_received - earlier
        assert images.nbytes < received < 1.5 * images.nbytes  # for 12 tasks


@pytest.mark.real_data("mnist")
def test_a_study_sends_no_data(two_machines, tmp_path, real_data):
    client, found = two_machines
    path = tmp_path / "small.toml"
    text = STUDY.replace("digits", "mnist").replace("max_epochs = 2", "max_epochs = 1")
    text = text.replace("batch_size = [32, 64, 128]", "")
    path.write_text(text.replace("seeds = [0, 1, 2]", "seeds = [0]"))
    before = [machine.bytes_received for machine in found]
    address = client.scheduler.address
    command = ["study", str(path), "--out", str(tmp_path), "--scheduler", address]
    assert main([*command, "--quiet"]) == 0
    for machine, earlier in zip(found, before, strict=True):
        assert machine.bytes_received - earlier < 2e6  # the images are 47 MB


OPTUNA = STUDY.replace("[search]\n", '[search]\nkind = "optuna"\nn_iter = 6\n').replace(
    '["max", "avg"]', '["max", "avg"]\nlr = {loguniform = [1e-4, 1e-2]}'
)


def test_the_trials_of_optuna_run_on_a_cluster(cluster, tmp_path):
    pytest.importorskip("optuna_integration")
    path = tmp_path / "small.toml"
    path.write_text(OPTUNA)
    command = ["study", str(path), "--out", str(tmp_path), "--scheduler", cluster]
    assert main([*command, "--quiet"]) == 0
    records = list(Journal(tmp_path / "small" / "records.jsonl"))
    trials = [record for record in records if record["kind"] == "trial"]
    assert sorted(trial["number"] for trial in trials) == list(range(6))
    assert len({trial["params"]["lr"] for trial in trials}) == len(trials)
    assert sum(record["kind"] == "fit" for record in records) == 3


RAY = """
import numpy as np, ray
from joblib import parallel_config
from ray.util.joblib import register_ray
from sklearn.model_selection import GridSearchCV
from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits

X, y = load_digits(return_X_y=True)
X, y = X[:300], y[:300]
grid = {"lr": [0.001, 0.003], "pooling": ["max", "avg"]}
estimator = LeNet5Classifier(max_epochs=2, random_state=0)
search = GridSearchCV(estimator, grid, cv=2, refit=False)
serial = search.fit(X, y).cv_results_
ray.init(num_cpus=2, include_dashboard=False)
register_ray()
with parallel_config("ray"):
    spread = search.set_params(n_jobs=2).fit(X, y).cv_results_
for name in serial:
    if not name.endswith("_time") and name != "params":
        assert np.array_equal(serial[name], spread[name]), name
print("the same")
"""


def test_a_grid_search_on_ray_has_the_results_of_a_serial_one(tmp_path):
    """Ray runs in a separate process, because it changes the state of its process."""
    pytest.importorskip("ray")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}
    done = subprocess.run(
        [sys.executable, "-c", RAY],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.stdout.strip().endswith("the same"), done.stderr
