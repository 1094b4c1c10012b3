"""Make ``docs/cost.md``: what a large study would cost, simulated from recorded fits.

The simulation is checked against what cluster.py measured on one and on two workers.
"""

import heapq
import statistics

import numpy as np
from origin import describe_run
from performance import RESULTS, ROOT
from tabulate import tabulate

from sklenet.study.engine.journal import Journal, n_fits
from sklenet.study.engine.records import RECORDS
from sklenet.study.report.results import Results

DOCUMENT = ROOT / "docs" / "cost.md"

_CORES_PER_MACHINE = 2


def simulate(durations, workers: int, starts_at: float = 0.0) -> float:
    """Return when the last task ends, if each goes to the first worker that is free.

    Parameters
    ----------
    durations : sequence of float
        Seconds, in the order in which tasks are handed out.
    workers : int
    starts_at : float
        When the first tasks begin.
    """
    free = [starts_at] * workers
    for seconds in durations:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def gaps(study: dict) -> list[float]:
    """Return the seconds from one fit of a single worker to the next."""
    arrived = [fit["arrived"] for fit in study["fits"]]
    return np.diff(arrived).tolist()


_HEAD = """# What a study costs

<!-- Made from the records by `make tables`; not to be edited. -->

How long do ten thousand fits take, on how many machines, and what do they move over the
network? The answer is a simulation: tasks as long as fits that were recorded, each handed
to the first worker that is free. First it is checked where it can be.

## The simulation, checked

`python benchmarks/measure/cluster.py` runs a study of {n} fits
(`benchmarks/studies/cluster.toml`: MNIST, one epoch each) in turn with one worker and with
two, of one thread each, {repeats} times; with one, joblib trains in the client itself. A
task is as long as the time from one fit's record to the next with one worker: training, the
test on 10,000 images, the record. The simulation draws {n} of them at random. Tasks and
start are those of the *other* repeat, so that no run predicts itself.

{checked}

Two fits side by side share the machine's memory and caches. By how much that slows each
of them was measured too, by the seconds of training: {contention:+.0%}, with which the
tasks of two workers are multiplied. Fits recorded two at a time, as below, have it in
their seconds.

- Until the first fit begins a command takes {startup_one:.1f} s with one worker and
  {startup_two:.1f} s with two: imports, processes, the scheduler.
- What is not training takes {overhead:.2f} s a fit.
- joblib and Dask hand out an empty task in {dispatch:.1f} ms. So one client keeps up with
  about {limit:,.0f} workers whose fits take {typical:.0f} s each; beyond, it is the limit.
- {per_fit:,.0f} kB a fit go over the network, each message counted at each of its hops,
  between client, scheduler and worker, and {idle:.1f} kB a second and worker while nothing
  is sent. Images are not among them: each worker reads them from its own disk, MNIST's
  47 MB once. An array given to a search in Python goes once to each worker.

## Ten thousand fits

Fits are as long as the {recorded} of five epochs in
`benchmarks/studies/activation_halving.toml`:
30,000 images, one thread, {typical:.1f} s in the median, {low:.1f} to {high:.1f} s,
recorded two at a time. A machine here is one of {cores} cores with a worker on each;
{draws} simulated schedules.

{large}

*Efficiency* is the time that the fits themselves take, over that which the workers are paid
for. What is lost is the start, and the end, when workers wait for the last fits: a search
that halves, or any that waits for a round, has such an end in every round. Not in the
simulation: machines that fail, or are slower than the others; a network folder for the
journal, which here was a local disk; and the winner's fits, which come after the search.

## Spending less

The activation study's grid of ninety candidates, two folds each, up to five epochs, and two
searches over the same candidates, folds and seeds that do not train all of them to the end.
*Rank in the grid* is the rank of the candidate found among the ninety by the grid's own
cross-validation. An epoch is one of one fold, on 30,000 images. The runs were made at
different times, at different speeds; seconds are the epochs at {epoch:.1f} s each, the
median of the halving search's fits of five epochs.

{spending}

{remarks}

{where}
"""

_REMARKS = """The grid's ten best are within {spread:.2f} points of each other, and the
two folds of one of them differ by {folds:.2f} in the median: which of the ten a search
ends with is chance. A halving search compares all candidates after one epoch, and so
favours what learns fast. Optuna proposes more of what did well, and may propose the same
again: {distinct} of its {tried} candidates were different ones. A grid costs more, and
shows each parameter's effect over all others, which neither of the two can."""


def render() -> str:
    """Return the document."""
    records = list(Journal(RESULTS / "cluster" / RECORDS))
    run, dispatch = records[0], records[-1]
    studies = {
        workers: [r for r in records if r["kind"] == "study" and r["workers"] == workers]
        for workers in (1, 2)
    }
    n = len(studies[1][0]["fits"])
    overhead = statistics.median(
        gap - fit["seconds"]
        for study in studies[1]
        for gap, fit in zip(gaps(study), study["fits"][1:], strict=True)
    )
    starts = {
        workers: [
            study["fits"][0]["arrived"] - study["fits"][0]["seconds"] - overhead
            for study in of
        ]
        for workers, of in studies.items()
    }
    contention = _training(studies[2]) / _training(studies[1]) - 1
    idle = statistics.median(
        study["bytes"] / study["fits"][-1]["arrived"] for study in studies[1]
    )
    per_fit = statistics.median(
        (both["bytes"] - 2 * idle * both["fits"][-1]["arrived"]) / n for both in studies[2]
    )
    folds = _fits_of_five_epochs()
    typical = float(np.median(folds))
    draws = 20
    return _HEAD.format(
        n=n,
        repeats=len(studies[1]),
        checked=_check(studies, starts, contention),
        contention=contention,
        startup_one=statistics.median(starts[1]),
        startup_two=statistics.median(starts[2]),
        overhead=overhead,
        dispatch=1000 * dispatch["seconds_per_task"],
        limit=typical / dispatch["seconds_per_task"],
        typical=typical,
        recorded=len(folds),
        epoch=typical / 5,
        low=folds.min(),
        high=folds.max(),
        per_fit=per_fit / 1000,
        idle=idle / 1000,
        cores=_CORES_PER_MACHINE,
        draws=draws,
        large=_large(folds + overhead, statistics.median(starts[2]), per_fit, idle, draws),
        spending=_spending(typical / 5),
        remarks=_remarks(),
        where=describe_run(run),
    )


def _training(studies: list[dict]) -> float:
    """Return the median seconds of training, without each process' first fit."""
    return statistics.median(
        fit["seconds"] for study in studies for fit in study["fits"][study["workers"] :]
    )


def _check(studies: dict, starts: dict, contention: float) -> str:
    """Return the table of measured and simulated times."""
    random = np.random.default_rng(0)
    n = len(studies[1][0]["fits"])
    rows = []
    for workers, of in studies.items():
        for repeat, study in enumerate(of):
            other = 1 - repeat
            tasks = np.array(gaps(studies[1][other])) * (1 + contention * (workers - 1))
            drawn = [
                simulate(random.choice(tasks, n), workers, starts[workers][other])
                for _ in range(1000)
            ]
            low, middle, high = np.percentile(drawn, [5, 50, 95])
            measured = study["fits"][-1]["arrived"]
            simulated = f"{middle:.1f} ({low:.1f} to {high:.1f})"
            rows.append(
                {
                    "workers": workers,
                    "repeat": repeat + 1,
                    "measured, s": f"{measured:.1f}",
                    "simulated, s (90 % of draws)": simulated,
                    "measured / simulated": f"{measured / middle:.2f}",
                }
            )
    return tabulate(rows, headers="keys", tablefmt="pipe")


def _large(tasks, startup: float, per_fit: float, idle: float, draws: int) -> str:
    random = np.random.default_rng(0)
    rows = []
    for machines in (1, 10, 100):
        workers = machines * _CORES_PER_MACHINE
        fits = [random.choice(tasks, 10_000) for _ in range(draws)]
        hours = [simulate(one, workers, startup) / 3600 for one in fits]
        paid = [
            h * workers / (one.sum() / 3600) for h, one in zip(hours, fits, strict=True)
        ]
        moved = 10_000 * per_fit + idle * workers * 3600 * statistics.median(hours)
        rows.append(
            {
                "machines": machines,
                "workers": workers,
                "hours": f"{min(hours):.2f} to {max(hours):.2f}",
                "machine hours": f"{statistics.median(hours) * machines:.1f}",
                "efficiency": f"{1 / statistics.median(paid):.1%}",
                "over the network": f"{moved / 1e6:,.0f} MB",
                "read from disks": f"{47 * workers:,} MB",
            }
        )
    return tabulate(rows, headers="keys", tablefmt="pipe", disable_numparse=True)


def _fits_of_five_epochs() -> np.ndarray:
    """Return the seconds of the halving search's second round."""
    folds = Results(RESULTS / "activation_halving").folds
    return folds["seconds"][folds["epochs"] == 5].to_numpy()


def _spending(seconds_per_epoch: float) -> str:
    grid = Results(RESULTS / "activation_study")
    ranked = grid.candidates("mnist")
    names = list(grid.grid)
    rows = []
    for name, what in (
        ("activation_study", "the whole grid"),
        ("activation_halving", "halving by epochs"),
        ("activation_optuna", "Optuna, pruned by epochs"),
    ):
        results = Results(RESULTS / name)
        spent = [r for r in results.records if r["kind"] in ("fold", "trial")]
        epochs = sum(n_fits(record) * len(record["history"]) for record in spent)
        best = results.candidates("mnist").iloc[0]
        same = (ranked[names].astype(str) == best[names].astype(str)).all(axis=1)
        found = ranked[same].iloc[0]
        score = results.summary.set_index("score").loc["test_accuracy"]
        test = f"{score['mean']:.4f} ± {score['sd']:.4f} (n = {score['n']})"
        rows.append(
            {
                "search": what,
                "fits begun": sum(map(n_fits, spent)),
                "epochs": epochs,
                "seconds": f"{epochs * seconds_per_epoch:,.0f}",
                "found": ", ".join(f"{best[key]}" for key in names),
                "rank in the grid": int(found["rank"]),
                "its CV accuracy there": f"{found['mean']:.4f}",
                "test accuracy": test,
            }
        )
    return tabulate(rows, headers="keys", tablefmt="pipe", disable_numparse=True)


def _remarks() -> str:
    grid = Results(RESULTS / "activation_study").cv_results("mnist")
    best = np.argsort(-grid["mean_test_score"])[:10]
    means = grid["mean_test_score"][best]
    folds = np.abs(grid["split0_test_score"] - grid["split1_test_score"])[best]
    optuna = Results(RESULTS / "activation_optuna").cv_results("mnist")["params"]
    return _REMARKS.format(
        spread=100 * np.ptp(means),
        folds=100 * np.median(folds),
        distinct=len({str(params) for params in optuna}),
        tried=len(optuna),
    )
