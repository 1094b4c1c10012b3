"""Measure whether the memory of a process grows with the number of fits.

    OMP_NUM_THREADS=1 python benchmarks/measure/long_life.py
    python benchmarks/measure/long_life.py --kinds sdlm dropout --fits 1000

One process makes small fits of each kind in turn: plain, with augmentation, with SDLM,
dropout and averaged weights, saved and loaded, with callbacks of skorch and scikit-learn,
with ``partial_fit``, ``warm_start``, clones and early stopping, and in a grid search. After
every hundred fits, the memory, the threads and the open files of the process are recorded.
The command fails if the memory grows by more than 5 MB after the first 500 fits. It
requires Linux, because it reads ``/proc``.

The garbage collector runs as in any other program.
"""

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, LRScheduler

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.presets import lecun1998
from sklenet.study.engine.journal import Journal
from sklenet.study.engine.provenance import collect_provenance

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "results" / "long_life" / "records.jsonl"

N_BETWEEN = 100  # fits between two measurements
N_WARM_UP = 500  # fits before the first measurement that others are compared with
MAX_GROWTH = 5_000_000  # bytes

X, y = load_digits(return_X_y=True)
X, y = X[:100], y[:100]


class BatchCounter(Callback):
    """A skorch callback with a hook for batches."""

    n_batches = 0

    def on_batch_end(self, net, **kwargs):
        self.n_batches += 1


class EpochPredictor:
    """A scikit-learn callback that predicts after every epoch."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            fitted_estimator.predict(X)


def make(**params) -> LeNet5Classifier:
    """Return a classifier that trains for one epoch."""
    return LeNet5Classifier(**{"max_epochs": 1, "batch_size": 32} | params)


def save_and_load() -> None:
    """Fit, save and load an estimator, and continue its training."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        make().fit(X, y).save(path)
        LeNet5Classifier.load(path).partial_fit(X, y).save(path)


def diverge() -> None:
    """Run a fit that diverges."""
    try:
        make(lr=1e30, max_epochs=2).fit(X, y)
    except ValueError:
        return
    raise AssertionError("The fit did not diverge.")


KINDS: dict[str, Callable[[], object]] = {
    "plain": lambda: make().fit(X, y).predict_proba(X),
    "augment": lambda: make(augment=["lecun1998", "elastic", "invert"]).fit(X, y),
    "sdlm": lambda: make(optimizer="sdlm").fit(X, y),
    "lecun1998": lambda: make(**lecun1998() | {"max_epochs": 1}).fit(X, y),
    "dropout": lambda: make(dropout=0.3).fit(X, y),
    "average": lambda: make(average=0.5, lr_schedule="cosine").fit(X, y),
    "save and load": save_and_load,
    "callbacks of skorch": lambda: make(
        net_params={"callbacks": [BatchCounter(), LRScheduler()]}
    ).fit(X, y),
    "callbacks of scikit-learn": lambda: make().set_callbacks(EpochPredictor()).fit(X, y),
    "partial_fit": lambda: make().partial_fit(X, y, classes=range(10)).partial_fit(X, y),
    "warm_start": lambda: make(warm_start=True).fit(X, y).fit(X, y),
    "clone": lambda: clone(make().fit(X, y)).fit(X, y),
    "early stopping": lambda: make(early_stopping=True, max_epochs=2).fit(X, y),
    "weights": lambda: make(class_weight="balanced").fit(X, y, sample_weight=y + 1.0),
    "diverging": diverge,
    "grid search": lambda: GridSearchCV(make(), {"lr": [0.001, 0.01]}, cv=2).fit(X, y),
}


def measure() -> dict[str, int]:
    """Return the memory in bytes, and the number of threads and open files."""
    rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in rollup}
    return {
        "rss": sizes["Rss"],
        "uss": sizes["Private_Clean"] + sizes["Private_Dirty"],
        "threads": len(os.listdir("/proc/self/task")),
        "files": len(os.listdir("/proc/self/fd")),
    }


def compute_growth(rows: list[dict]) -> dict[str, int]:
    """Compute the largest growth of each measured value since the end of the warm-up."""
    later = [row for row in rows if row["fits"] >= N_WARM_UP]
    names = ("rss", "uss", "threads", "files")
    return {name: max(row[name] for row in later) - later[0][name] for name in names}


def run_fits(kinds: list[str], n_fits: int, records: Path | None) -> dict[str, int]:
    """Run fits of each kind in turn, write the records, and return the growth."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    origin = collect_provenance()
    rows = []
    start = time.perf_counter()
    for k in range(n_fits):
        KINDS[kinds[k % len(kinds)]]()
        if (k + 1) % N_BETWEEN == 0:
            # A fit releases the memory of earlier ones, unless this was done just before.
            time.sleep(0.2)
            KINDS["plain"]()
            seconds = round(time.perf_counter() - start, 1)
            rows.append({"kind": "measure", "fits": k + 1, "seconds": seconds} | measure())
            print(rows[-1], flush=True)
    growth = compute_growth(rows)
    if records is not None:
        records.unlink(missing_ok=True)
        journal = Journal(records)
        journal.append({"kind": "run", "kinds": kinds} | origin)
        for row in [*rows, {"kind": "growth", "since": N_WARM_UP} | growth]:
            journal.append(row)
    return growth


def main() -> int:
    """Run the fits; return 1 if the process grew by more than is allowed."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("--fits", type=int, default=3000, help="default: 3000")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="default: all")
    arguments = parser.parse_args()
    if arguments.fits <= N_WARM_UP:
        parser.error(f"--fits must be more than {N_WARM_UP}. Got {arguments.fits}.")
    every_kind = arguments.kinds is None and arguments.fits >= 3000
    kinds = arguments.kinds or list(KINDS)
    growth = run_fits(kinds, arguments.fits, RECORDS if every_kind else None)
    print(f"growth since fit {N_WARM_UP}:", growth)
    return int(growth["rss"] > MAX_GROWTH or growth["threads"] > 0 or growth["files"] > 0)


if __name__ == "__main__":
    sys.exit(main())
