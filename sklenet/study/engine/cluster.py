"""A Dask cluster under a study: joblib's backend does the rest."""

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

# Packages whose versions decide whether a worker understands what it is sent, and gives
# the same figures.
_SAME = (
    *("sklenet", "torch", "skorch", "scikit-learn", "numpy", "scipy"),
    *("joblib", "dask", "distributed", "cloudpickle"),
)
_SAME_IF_USED = ("optuna", "optuna-integration")

# Seconds in which a scheduler must answer, and workers must have come.
_PATIENCE = 10


@contextmanager
def use_cluster(scheduler: str | None = None, workers: int | None = None) -> Iterator[int]:
    """Let joblib run what is in the block on a cluster.

    Fits go where there is a worker free; each appends to the study's journal, so that the
    workers must see its folder, and the data home, under the same paths.

    Parameters
    ----------
    scheduler : str, optional
        Its address, such as ``tcp://10.0.0.1:8786``.
    workers : int, optional
        Start so many processes on this machine instead.

    Yields
    ------
    int
        The number of jobs for joblib: as many as the workers have threads.

    Raises
    ------
    StudyError
        If Dask is not installed, nobody answers, no worker comes, or only one of one
        thread, or a worker has another version of Python or of a package that matters.
    """
    if find_spec("distributed") is None:
        raise StudyError("A cluster needs Dask: pip install sklenet[dask].")
    from distributed import Client, LocalCluster

    with ExitStack() as stack:
        if scheduler is None:
            assert workers is not None
            # Dask leaves what it sets for its workers behind in this process.
            stack.callback(_restore_environment, dict(os.environ))
            threads = str(max(1, cpu_count() // workers))
            local = _started(
                LocalCluster,
                n_workers=workers,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                env={"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
            )
            scheduler = stack.enter_context(local).scheduler_address
        try:
            client = stack.enter_context(_started(Client, scheduler, timeout=_PATIENCE))
        except (OSError, ValueError) as error:
            raise StudyError(f"No Dask scheduler answers at {scheduler}: {error}") from None
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError:
            raise StudyError(
                f"The scheduler at {scheduler} has no workers: start some with `dask worker"
                f" {scheduler} --nthreads 1`."
            ) from None
        _check_versions(client)
        # Others may be about to come.
        deadline = time.monotonic() + _PATIENCE
        while (n_threads := sum(client.nthreads().values())) < 2 and workers is None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        if n_threads == 1 and workers is None:
            raise StudyError(
                f"The workers at {scheduler} have one thread only, for which joblib sends"
                " nothing to them: start another one."
            )
        stack.enter_context(parallel_config("dask"))
        yield -1


def resume_after_worker_loss(
    run: Callable[[], Path], journal: Path, echo: Callable[[str], None]
) -> Path:
    """Call `run` until it gets through, as long as every call has finished some fits.

    joblib sends an array to one worker, from which others take it. If that worker dies
    first, or four under one fit, joblib ends with an error; what is missing can be done.

    Parameters
    ----------
    run : callable
        Does what the journal does not have.
    journal : Path
    echo : callable
        Told a line of text when it goes on.

    Raises
    ------
    StudyError
        If there is nobody left to do it.
    """
    from distributed import KilledWorker, get_client

    while True:
        before = sum(map(count_fits_in, StudyJournal(journal)))
        try:
            return run()
        except (CancelledError, KilledWorker) as error:
            try:
                get_client().wait_for_workers(1, timeout=_PATIENCE)
            except Exception:
                raise StudyError(
                    "The cluster is gone. Start one and give the same command: what is"
                    " finished is not done again."
                ) from error
            if sum(map(count_fits_in, StudyJournal(journal))) == before:
                raise
            echo("Workers died, with what they had been sent; going on.")


def _started(kind, *args, **kwargs):
    """Return what has an event loop of Dask's, if need be at the second attempt.

    Dask asserts that the loop's thread has started within ten seconds, which fails where
    the whole machine has stood still for so long.
    """
    try:
        return kind(*args, **kwargs)
    except AssertionError:
        return kind(*args, **kwargs)


def _restore_environment(before: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)


def _check_versions(client) -> None:
    """Raise a StudyError if a worker cannot do what this process would."""
    found = client.get_versions(packages=[*_SAME, *_SAME_IF_USED])
    own = found["client"]["packages"]
    compared = ["python", *_SAME, *(name for name in _SAME_IF_USED if own[name])]
    for worker, about in found["workers"].items():
        wrong = [
            f"{name} {theirs or 'missing'} instead of {ours}"
            for name in compared
            if (theirs := _comparable(name, about["packages"][name]))
            != (ours := _comparable(name, own[name]))
        ]
        if wrong:
            raise StudyError(
                f"The worker {worker} differs from this process: {', '.join(wrong)}."
                " Install the same versions there."
            )


def _comparable(name: str, version: str | None) -> str | None:
    if version is None:
        return None
    if name == "python":
        return ".".join(version.split(".")[:2])
    return version.partition("+")[0]  # builds for the CPU and for GPUs go together
