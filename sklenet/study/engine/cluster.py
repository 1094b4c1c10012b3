"""A Dask cluster for the fits of a study, through the backend of joblib."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

from joblib import cpu_count, parallel_config

from sklenet.study.config.errors import StudyError
from sklenet.study.engine.journal import count_fits_in
from sklenet.study.engine.records import StudyJournal

# Packages whose versions decide whether a worker can load what it is sent, and computes the
# same results.
_SAME_VERSIONS = (
    *("sklenet", "torch", "skorch", "scikit-learn", "numpy", "scipy"),
    *("joblib", "dask", "distributed", "cloudpickle"),
)
_SAME_VERSIONS_IF_INSTALLED = ("optuna", "optuna-integration")

# Seconds in which a scheduler must answer, and workers must have arrived.
_TIMEOUT = 10

# Attempts, a second apart, to send data to workers.
_N_ATTEMPTS = 60


@contextmanager
def use_cluster(
    scheduler: str | None = None, n_workers: int | None = None
) -> Iterator[int]:
    """Let joblib run the fits in the block on a Dask cluster.

    Every worker appends its fits to the journal of the study. The workers must therefore
    have the folder of results, and the datasets, under the same paths.

    Parameters
    ----------
    scheduler : str, optional
        Address of the scheduler, such as ``tcp://10.0.0.1:8786``.
    n_workers : int, optional
        Number of worker processes to start on this machine, instead of a scheduler.

    Yields
    ------
    int
        The number of jobs for joblib: -1, as many as the workers have threads.

    Raises
    ------
    StudyError
        If Dask is not installed, the scheduler does not answer, there is no worker or only
        one with one thread, or a worker has another version of Python or of one of the
        packages.
    """
    if find_spec("distributed") is None:
        raise StudyError("A cluster requires Dask: pip install sklenet[dask].")
    from distributed import Client

    with ExitStack() as stack:
        if scheduler is None:
            assert n_workers is not None
            scheduler = stack.enter_context(_start_workers(n_workers))
        try:
            client = stack.enter_context(_start(Client, scheduler, timeout=_TIMEOUT))
        except (OSError, ValueError) as error:
            raise StudyError(f"No Dask scheduler answers at {scheduler}: {error}") from None
        _wait_for_workers(client, scheduler)
        _check_versions(client)
        if n_workers is None:
            _wait_for_threads(client, scheduler)
        stack.enter_context(parallel_config(_make_backend()))
        yield -1


def _make_backend():
    """Return joblib's backend for Dask, which sends data again if that has failed.

    joblib sends a large array to one worker before it submits the task. If this worker dies
    at that moment, joblib's own backend loses the task, and waits for it forever.
    """
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):
        async def _to_func_args(self, func):
            for _ in range(_N_ATTEMPTS - 1):
                try:
                    return await super()._to_func_args(func)
                except Exception:
                    # joblib keeps the failed attempt, and would not make another one.
                    self.call_data_futures.clear()
                    await asyncio.sleep(1)
            return await super()._to_func_args(func)

    return Backend()


@contextmanager
def _start_workers(n_workers: int) -> Iterator[str]:
    """Start worker processes on this machine, and yield the address of their scheduler."""
    from distributed import LocalCluster

    with ExitStack() as stack:
        # Dask does not reset the variables that it sets for its workers.
        stack.callback(_restore_environment, dict(os.environ))
        n_threads = str(max(1, cpu_count() // n_workers))
        cluster = _start(
            LocalCluster,
            n_workers=n_workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            env={"OMP_NUM_THREADS": n_threads, "MKL_NUM_THREADS": n_threads},
        )
        yield stack.enter_context(cluster).scheduler_address


def _wait_for_workers(client, scheduler: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_TIMEOUT)
    except TimeoutError:
        raise StudyError(
            f"The scheduler at {scheduler} has no workers: start some with `dask worker"
            f" {scheduler} --nthreads 1`."
        ) from None


def _wait_for_threads(client, scheduler: str) -> None:
    """Wait for a second thread: joblib does not send anything to a single one."""
    deadline = time.monotonic() + _TIMEOUT
    while sum(client.nthreads().values()) < 2:
        if time.monotonic() > deadline:
            raise StudyError(
                f"The workers at {scheduler} have one thread only, to which joblib does not"
                " send any fits: start another worker."
            )
        time.sleep(0.1)


def resume_after_worker_loss(
    run: Callable[[], Path], journal: Path, echo: Callable[[str], None]
) -> Path:
    """Call `run` until it succeeds, as long as every call finishes some fits.

    joblib sends an array to one worker, from which the others fetch it. If that worker dies
    first, or four workers die during one fit, joblib raises an error although the remaining
    fits can still be done.

    Parameters
    ----------
    run : callable
        Runs the fits that are not in the journal.
    journal : Path
    echo : callable
        Called with a line of text before `run` is called again.

    Returns
    -------
    Path
        The result of `run`.

    Raises
    ------
    StudyError
        If the scheduler or all workers are gone.
    """
    from distributed import KilledWorker, get_client

    while True:
        before = sum(map(count_fits_in, StudyJournal(journal)))
        try:
            return run()
        except (CancelledError, KilledWorker) as error:
            try:
                get_client().wait_for_workers(1, timeout=_TIMEOUT)
            except Exception:
                raise StudyError(
                    "The cluster does not answer any more. Start a cluster and repeat the"
                    " command: finished fits are not repeated."
                ) from error
            if sum(map(count_fits_in, StudyJournal(journal))) == before:
                raise
            echo("Workers died with the data that they had been sent; continuing.")


def _start(factory, *args, **kwargs):
    """Return an object of Dask with an event loop, if necessary at the second attempt.

    Dask asserts that the thread of the loop has started within ten seconds. This fails if
    the whole machine was suspended for that long.
    """
    try:
        return factory(*args, **kwargs)
    except AssertionError:
        return factory(*args, **kwargs)


def _restore_environment(before: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)


def _check_versions(client) -> None:
    """Raise a StudyError if a worker has other versions than this process."""
    optional = _SAME_VERSIONS_IF_INSTALLED
    found = client.get_versions(packages=[*_SAME_VERSIONS, *optional])
    own = found["client"]["packages"]
    compared = ["python", *_SAME_VERSIONS, *(name for name in optional if own[name])]
    for worker, about in found["workers"].items():
        wrong = [
            f"{name} {theirs or 'missing'} instead of {ours}"
            for name in compared
            if (theirs := _normalize(name, about["packages"][name]))
            != (ours := _normalize(name, own[name]))
        ]
        if wrong:
            raise StudyError(
                f"The worker {worker} differs from this process: {', '.join(wrong)}."
                " Install the same versions there."
            )


def _normalize(name: str, version: str | None) -> str | None:
    """Return the part of a version that must be the same."""
    if version is None:
        return None
    if name == "python":
        return ".".join(version.split(".")[:2])
    return version.partition("+")[0]  # builds for CPUs and GPUs are compatible
