"""Measure the time of a small study with one and with two workers of a cluster.

    SKLENET_DATA=FOLDER python benchmarks/measure/cluster.py

writes ``benchmarks/results/cluster/records.jsonl``, from which ``docs/cost.md`` is
generated. Nothing else should run on the machine at the same time.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sklenet.study.engine.journal import Journal, count_fits_in
from sklenet.study.engine.provenance import collect_provenance
from sklenet.study.engine.records import RECORDS

STUDY = Path(__file__).parents[1] / "studies" / "cluster.toml"
JOURNAL = STUDY.parents[1] / "results" / "cluster" / RECORDS

N_REPEATS = 2
_N_TASKS = 2000

# Times the dispatch of joblib tasks that do nothing.
_DISPATCH = f"""
import time
from joblib import Parallel, delayed
from sklenet.study.engine.cluster import use_cluster

with use_cluster(n_workers=2) as n_jobs:
    parallel = Parallel(n_jobs=n_jobs, batch_size=1)
    parallel(delayed(abs)(k) for k in range(20))
    start = time.perf_counter()
    parallel(delayed(abs)(k) for k in range({_N_TASKS}))
    print(time.perf_counter() - start)
"""


def measure() -> None:
    """Run the study alternately with one and with two workers of one thread each."""
    JOURNAL.unlink(missing_ok=True)
    journal = Journal(JOURNAL)
    journal.append(
        {"kind": "run", "command": "benchmarks/measure/cluster.py"} | collect_provenance()
    )
    for _ in range(N_REPEATS):
        for workers in (1, 2):
            record = {"kind": "study", "workers": workers} | _run_study(workers)
            journal.append(record)
            print(workers, record["fits"][-1]["arrived"], flush=True)
    done = subprocess.run(
        [sys.executable, "-c", _DISPATCH], check=True, capture_output=True, text=True
    )
    seconds = float(done.stdout) / _N_TASKS
    journal.append({"kind": "dispatch", "tasks": _N_TASKS, "seconds_per_task": seconds})


def _run_study(workers: int) -> dict:
    """Run the study; return the time at which each fit was recorded, and the bytes sent."""
    with tempfile.TemporaryDirectory() as folder:
        before, start = _count_loopback_bytes(), time.perf_counter()
        study = subprocess.Popen(
            [
                *(sys.executable, "-m", "sklenet", "study", str(STUDY), "--quiet"),
                *("--out", folder, "--workers", str(workers)),
            ],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
        )
        journal = Journal(Path(folder) / STUDY.stem / RECORDS)
        fits: list[dict] = []
        position = 0
        while study.poll() is None:
            records, position = journal.read_since(position)
            now = time.perf_counter() - start
            fits += [
                {"arrived": now, "seconds": record["seconds"]}
                for record in records
                if count_fits_in(record)
            ]
            time.sleep(0.01)
        if study.returncode:
            raise RuntimeError(f"The study exited with code {study.returncode}.")
    return {"fits": fits, "bytes": _count_loopback_bytes() - before}


def _count_loopback_bytes() -> int:
    return int(Path("/sys/class/net/lo/statistics/rx_bytes").read_text())


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    measure()
