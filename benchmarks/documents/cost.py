"""Render ``docs/cost.md``: the time of a large study, simulated from recorded fits.

The simulation is compared with the times that cluster.py measured with one and two workers.
"""

import heapq
from statistics import median
from typing import NamedTuple

import numpy as np
from origin import describe_run
from rendering import DOCS, read_records, read_results, render_template

from sklenet.study.engine.journal import count_fits_in

DOCUMENT = DOCS / "cost.md"

_CORES_PER_MACHINE = 2
_N_LARGE = 10_000  # fits of the large study
_N_SCHEDULES = 20
_N_SIMULATIONS = 1000  # of the small study, for the validation
_N_EPOCHS = 5  # of the fits that are simulated, and of the last round of the halving
_MNIST_MB = 47

_SEARCHES = {
    "activation_study": "grid",
    "activation_halving": "halving by epochs",
    "activation_optuna": "Optuna, pruned by epochs",
}


class Overhead(NamedTuple):
    """Costs of a study other than training, from the records of `cluster.py`.

    Parameters
    ----------
    per_fit : float
        Seconds per fit outside training.
    startup : dict of int to list of float
        Seconds until the first fit begins, of each repeat, by the number of workers.
    contention : float
        Relative slowdown of training when two fits run at the same time, the median over
        the repeats.
    bytes_per_fit : float
        Bytes sent over the network per fit.
    idle_bytes : float
        Bytes sent per second and worker without fits.
    """

    per_fit: float
    startup: dict[int, list[float]]
    contention: float
    bytes_per_fit: float
    idle_bytes: float


def render() -> str:
    """Return the document."""
    run, *studies, dispatch = read_records("cluster")
    by_workers = {n: [s for s in studies if s["workers"] == n] for n in (1, 2)}
    overhead = _compute_overhead(by_workers)
    seconds = _read_durations()
    typical = float(np.median(seconds))
    comparison = _compare_simulation(by_workers, overhead)
    return render_template(
        "cost.md",
        n_fits=len(studies[0]["fits"]),
        n_repeats=len(by_workers[1]),
        comparison=[_format_comparison(row) for row in comparison],
        n_outside=sum(not row.low <= row.measured <= row.high for row in comparison),
        largest=max(abs(row.ratio - 1) for row in comparison),
        n_simulations=_N_SIMULATIONS,
        n_epochs=_N_EPOCHS,
        overhead=overhead,
        startup={n: median(values) for n, values in overhead.startup.items()},
        dispatch=dispatch["seconds_per_task"],
        seconds=seconds,
        typical=typical,
        cores=_CORES_PER_MACHINE,
        n_schedules=_N_SCHEDULES,
        mnist_mb=_MNIST_MB,
        large=[_simulate_large(seconds, overhead, machines) for machines in (1, 10, 100)],
        seconds_per_epoch=typical / _N_EPOCHS,
        searches=[_summarize_search(name, typical / _N_EPOCHS) for name in _SEARCHES],
        origin=describe_run(run),
        **_describe_candidates(),
    )


def simulate(durations, n_workers: int, startup: float = 0.0) -> float:
    """Return the time at which the last task ends.

    Parameters
    ----------
    durations : sequence of float
        Seconds of the tasks, each of which is given to the first worker that is free.
    n_workers : int
        Number of workers.
    startup : float
        Time at which the first tasks begin.
    """
    free = [startup] * n_workers
    for seconds in durations:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def _compute_intervals(study: dict) -> list[float]:
    """Return the seconds between the records of successive fits."""
    return np.diff([fit["arrived"] for fit in study["fits"]]).tolist()


def _compute_overhead(by_workers: dict[int, list[dict]]) -> Overhead:
    per_fit = median(
        interval - fit["seconds"]
        for study in by_workers[1]
        for interval, fit in zip(_compute_intervals(study), study["fits"][1:], strict=True)
    )
    startup = {
        n: [s["fits"][0]["arrived"] - s["fits"][0]["seconds"] - per_fit for s in studies]
        for n, studies in by_workers.items()
    }
    # The first fit of each process also compiles and caches.
    alone, together = (
        [median(fit["seconds"] for fit in study["fits"][n:]) for study in by_workers[n]]
        for n in (1, 2)
    )
    idle_bytes = median(s["bytes"] / s["fits"][-1]["arrived"] for s in by_workers[1])
    bytes_per_fit = median(
        (s["bytes"] - 2 * idle_bytes * s["fits"][-1]["arrived"]) / len(s["fits"])
        for s in by_workers[2]
    )
    contention = median(b / a for a, b in zip(alone, together, strict=True)) - 1
    return Overhead(per_fit, startup, contention, bytes_per_fit, idle_bytes)


class Comparison(NamedTuple):
    """The measured and the simulated time of a run of the small study.

    Parameters
    ----------
    workers, repeat : int
        Number of workers, and of the repeat from 1.
    measured : float
        Measured seconds.
    low, simulated, high : float
        5th percentile, median and 95th percentile of the simulated seconds.
    """

    workers: int
    repeat: int
    measured: float
    low: float
    simulated: float
    high: float

    @property
    def ratio(self) -> float:
        """The measured time divided by the simulated one."""
        return self.measured / self.simulated


def _compare_simulation(
    by_workers: dict[int, list[dict]], overhead: Overhead
) -> list[Comparison]:
    """Return the measured and the simulated time of each run of the small study."""
    rng = np.random.default_rng(0)
    rows = []
    for workers, studies in by_workers.items():
        for repeat, study in enumerate(studies):
            other = 1 - repeat
            tasks = np.array(_compute_intervals(by_workers[1][other]))
            tasks *= 1 + overhead.contention * (workers - 1)
            simulated = [
                simulate(
                    rng.choice(tasks, len(study["fits"])),
                    workers,
                    overhead.startup[workers][other],
                )
                for _ in range(_N_SIMULATIONS)
            ]
            measured = study["fits"][-1]["arrived"]
            percentiles = np.percentile(simulated, [5, 50, 95]).tolist()
            rows.append(Comparison(workers, repeat + 1, measured, *percentiles))
    return rows


def _format_comparison(row: Comparison) -> dict:
    return {
        "workers": row.workers,
        "repeat": row.repeat,
        "measured (s)": f"{row.measured:.1f}",
        "simulated (s)": f"{row.simulated:.1f} ({row.low:.1f} to {row.high:.1f})",
        "measured / simulated": f"{row.ratio:.2f}",
    }


def _read_durations() -> np.ndarray:
    """Return the seconds of the fits in the last round of the halving."""
    folds = read_results("activation_halving").folds
    return folds["seconds"][folds["epochs"] == _N_EPOCHS].to_numpy()


def _simulate_large(
    seconds: np.ndarray, overhead: Overhead, machines: int
) -> dict[str, str]:
    """Return the simulated time and traffic of the large study."""
    rng = np.random.default_rng(0)
    workers = machines * _CORES_PER_MACHINE
    hours, efficiencies = [], []
    for _ in range(_N_SCHEDULES):
        tasks = rng.choice(seconds + overhead.per_fit, _N_LARGE)
        total = simulate(tasks, workers, median(overhead.startup[2]))
        hours.append(total / 3600)
        efficiencies.append(tasks.sum() / (total * workers))
    idle_bytes = overhead.idle_bytes * workers * 3600 * median(hours)
    traffic = _N_LARGE * overhead.bytes_per_fit + idle_bytes
    return {
        "machines": str(machines),
        "workers": str(workers),
        "hours": f"{median(hours):.2f}",
        "machine hours": f"{median(hours) * machines:.1f}",
        "efficiency": f"{median(efficiencies):.1%}",
        "network traffic": f"{traffic / 1e6:,.0f} MB",
        "read from disk": f"{_MNIST_MB * workers:,} MB",
    }


def _summarize_search(name: str, seconds_per_epoch: float) -> dict[str, str]:
    """Return the cost of a search, and the rank of its best candidate in the grid."""
    results, grid = read_results(name), read_results("activation_study")
    fits = [r for r in results.records if r["kind"] in ("fold", "trial")]
    n_epochs = sum(count_fits_in(record) * len(record["history"]) for record in fits)
    parameters = list(grid.grid)
    best = results.candidates("mnist").iloc[0]
    ranked = grid.candidates("mnist")
    is_best = (ranked[parameters].astype(str) == best[parameters].astype(str)).all(axis=1)
    in_grid = ranked[is_best].iloc[0]
    score = results.summary.set_index("score").loc["test_accuracy"]
    return {
        "search": _SEARCHES[name],
        "fits": str(sum(map(count_fits_in, fits))),
        "epochs": str(n_epochs),
        "estimated seconds": f"{n_epochs * seconds_per_epoch:,.0f}",
        "best candidate": ", ".join(str(best[parameter]) for parameter in parameters),
        "rank in the grid": str(in_grid["rank"]),
        "CV accuracy in the grid": f"{in_grid['mean']:.4f}",
        "test accuracy": f"{score['mean']:.4f} ± {score['sd']:.4f} (n = {score['n']})",
    }


def _describe_candidates() -> dict[str, float]:
    """Return how much the best candidates of the grid differ, and how many Optuna tried."""
    grid = read_results("activation_study").cv_results("mnist")
    best = np.argsort(-grid["mean_test_score"])[:10]
    folds = np.abs(grid["split0_test_score"] - grid["split1_test_score"])[best]
    tried = read_results("activation_optuna").cv_results("mnist")["params"]
    return {
        "n_candidates": len(grid["params"]),
        "best_range": 100 * np.ptp(grid["mean_test_score"][best]),
        "fold_difference": 100 * np.median(folds),
        "n_tried": len(tried),
        "n_distinct": len({str(params) for params in tried}),
    }
