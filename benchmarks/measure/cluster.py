"""Measure a small study on one and on two workers of a cluster.

    python benchmarks/measure/cluster.py  # needs $SKLENET_DATA, and the machine for itself

writes ``results/cluster/records.jsonl``, of which cost.py makes ``docs/cost.md``.
"""

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

REPEATS = 2
_DISPATCHED = 2000

# One task of joblib's, and nothing in it: what handing it out costs.
_DISPATCH = f"""
import time
from joblib import Parallel, delayed
from sklenet.study.engine.cluster import use_cluster

with use_cluster(n_workers=2) as n_jobs:
    parallel = Parallel(n_jobs=n_jobs, batch_size=1)
    parallel(delayed(abs)(k) for k in range(20))
    start = time.perf_counter()
    parallel(delayed(abs)(k) for k in range({_DISPATCHED}))
    print(time.perf_counter() - start)
"""


def measure() -> None:
    """Run the small study in turn on one and on two workers of one thread each."""
    JOURNAL.unlink(missing_ok=True)
    journal = Journal(JOURNAL)
    journal.append(
        {"kind": "run", "command": "benchmarks/measure/cluster.py"} | collect_provenance()
    )
    for _ in range(REPEATS):
        for workers in (1, 2):
            record = {"kind": "study", "workers": workers} | _run(workers)
            journal.append(record)
            print(workers, record["fits"][-1]["arrived"], flush=True)
    done = subprocess.run(
        [sys.executable, "-c", _DISPATCH], check=True, capture_output=True, text=True
    )
    seconds = float(done.stdout) / _DISPATCHED
    journal.append({"kind": "dispatch", "tasks": _DISPATCHED, "seconds_per_task": seconds})


def _run(workers: int) -> dict:
    """Return when each fit of the study arrived in its journal, and the bytes moved."""
    with tempfile.TemporaryDirectory() as folder:
        before, start = _bytes_on_loopback(), time.perf_counter()
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
            raise RuntimeError(f"the study ended with {study.returncode}")
    return {"fits": fits, "bytes": _bytes_on_loopback() - before}


def _bytes_on_loopback() -> int:
    return int(Path("/sys/class/net/lo/statistics/rx_bytes").read_text())


if __name__ == "__main__":
    measure()
