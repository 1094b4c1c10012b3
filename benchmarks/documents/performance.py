"""Render ``docs/performance.md`` from the records of speed.py and single_pattern.py."""

import statistics
from pathlib import Path

import pandas as pd
from origin import describe_run
from rendering import read_records, read_results, render_template
from tabulate import tabulate

from sklenet.study.engine.journal import Journal
from sklenet.study.report.results import Results

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENT = ROOT / "docs" / "performance.md"

_BASE = "loop_without_faults"

_NAMES = {
    "loop": "bare torch loop, tensors in memory",
    "loop_without_faults": "the same loop, freed memory kept",
    "sklenet": "**LeNet5Classifier**",
    "sklenet_by_torch": "LeNet5Classifier, torch's gradient",
    "sklenet_unfused": "LeNet5Classifier, torch's unfused Adam",
    "data_loader": "tutorial's loop: DataLoader, ToTensor",
    "skorch": "skorch's NeuralNetClassifier, defaults",
    "mlp": "scikit-learn's MLPClassifier(100), for scale",
}


class Group:
    """The records of one group of comparisons, and where they come from.

    Parameters
    ----------
    records : list of dict
    """

    def __init__(self, records: list[dict]) -> None:
        self.run = next(record for record in records if record["kind"] == "run")
        self.ones: dict[str, list[dict]] = {}
        for record in records:
            if record["kind"] == "one":
                self.ones.setdefault(record["name"], []).append(record)

    def values(self, name: str, field: str) -> list[float]:
        """Return a field of each repeat."""
        return [one[field] for one in self.ones[name]]

    def ratios(self, name: str, base: str, field: str = "seconds") -> list[float]:
        """Return a contender's field over that of `base`, repeat by repeat."""
        pairs = zip(self.values(name, field), self.values(base, field), strict=True)
        return [a / b for a, b in pairs]

    def ratio(self, name: str, base: str, field: str = "seconds") -> float:
        """Return their median."""
        return statistics.median(self.ratios(name, base, field))


def render() -> str:
    """Return the document."""
    return render_template("performance.md", tables=_parts())


def read_groups() -> dict[str, Group]:
    """Return the records of speed.py by the name of their group."""
    of_groups: dict[str, list[dict]] = {}
    for record in Journal(RESULTS / "speed" / "records.jsonl"):
        of_groups.setdefault(record["group"], []).append(record)
    return {name: Group(records) for name, records in of_groups.items()}


def _parts() -> dict[str, str]:
    """Return the text of each part of the document that is made from records."""
    groups = read_groups()
    tables = {
        "threads": _threads,
        "batch": _batch,
        "kernels": _kernels,
        "first_fit": _first_fit,
        "gpu": _gpu,
    }
    return {
        name: table(groups[name])
        if name in groups
        else f"Not measured yet: `python benchmarks/measure/speed.py {name}`."
        for name, table in tables.items()
    } | {
        "targets": _targets(groups),
        "fit": _fit(groups["fit"]),
        "predict": _seconds(groups["predict"], _BASE),
        "import": _seconds(groups["import"], "others"),
        "search": _search(groups["search"]),
        "memory": _memory(groups["memory"]),
        "step": _step(groups["step"]),
        "single_pattern": _single_pattern(),
        "again": _again(),
    }


def _targets(groups: dict[str, Group]) -> str:
    fit, search = groups["fit"], groups["search"]
    above = _above_idle(groups["memory"])
    least, most = "at least", "at most"
    rows = [
        (
            "a fit, over the bare loop without page faults",
            most,
            1.00,
            fit.ratio("sklenet", _BASE),
        ),
        ("a fit, over the bare loop as it comes", most, 0.70, fit.ratio("sklenet", "loop")),
        ("a fit, over skorch's defaults", most, 0.75, fit.ratio("sklenet", "skorch")),
        (
            "a fit, over the tutorial's loop",
            most,
            0.60,
            fit.ratio("sklenet", "data_loader"),
        ),
        (
            "minor page faults per epoch",
            most,
            20_000,
            statistics.median(fit.values("sklenet", "faults")),
        ),
        (
            "skorch's predict, over ours",
            least,
            1.5,
            groups["predict"].ratio("skorch", "sklenet"),
        ),
        (
            "import, over that of torch, scikit-learn and skorch",
            most,
            1.05,
            groups["import"].ratio("sklenet", "others"),
        ),
    ]
    if "threads" in groups:
        rows += [
            (
                f"a fit of {pair}, over the bare loop without page faults",
                most,
                0.33,
                groups["threads"].ratio(f"{pair}, sklenet", f"{pair}, {_BASE}"),
            )
            for pair in _pairs(groups["threads"])
        ]
    if "first_fit" in groups:
        rows += [
            (
                f"s of a first fit, empty cache: {name}",
                most,
                15,
                statistics.median(groups["first_fit"].values(name, "empty_cache")),
            )
            for name in groups["first_fit"].ones
        ]
    alone, threads = "1 worker, 1 thread", "1 worker, 2 threads"
    for name, aim in (("2 workers, loky", 1.9), ("2 workers, threading", 1.8)):
        rows += [
            (
                f"fits per minute: {name}, over {base}",
                least,
                target,
                search.ratio(name, base, "fits_per_minute"),
            )
            for base, target in ((alone, aim), (threads, 1.25))
        ]
    rows.append(
        ("MB above an idle process, beside the data, for CIFAR-10", most, 150, above)
    )
    made = []
    for what, side, target, measured in rows:
        met = measured <= target if side == most else measured >= target
        made.append(
            [what, f"{side} {target:,}", _number(measured), "yes" if met else "**no**"]
        )
    return _table(made, ["what", "target", "measured", "met"])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _fit(group: Group) -> str:
    rows = []
    for name in group.ones:
        ratios = group.ratios(name, _BASE)
        rows.append(
            [
                _NAMES[name],
                _range(group.values(name, "seconds"), 2),
                _range(ratios, 2),
                f"{statistics.median(group.values(name, 'faults')):,.0f}",
                f"{statistics.median(group.values(name, 'peak_mb')):,.0f}",
                f"{statistics.median(group.values(name, 'accuracy')):.4f}",
            ]
        )
    heads = [
        "",
        "s per epoch",
        "over the loop without faults",
        "faults per epoch",
        "peak MB",
        "test accuracy",
    ]
    return _table(rows, heads) + _where(group)


def _pairs(group: Group) -> list[str]:
    """Return the names of what is compared, without the contenders'."""
    return list(dict.fromkeys(name.rpartition(", ")[0] for name in group.ones))


def _threads(group: Group) -> str:
    rows = []
    for pair in _pairs(group):
        ours, loop = f"{pair}, sklenet", f"{pair}, {_BASE}"
        rows.append(
            [
                pair,
                _range(group.values(loop, "seconds"), 2),
                _range(group.values(ours, "seconds"), 2),
                _range(group.ratios(ours, loop), 2),
            ]
        )
    heads = ["", "loop, s per epoch", "LeNet5Classifier, s per epoch", "ratio"]
    return _table(rows, heads) + _where(group)


def _batch(group: Group) -> str:
    rows = []
    for size in _pairs(group):
        loop = f"{size}, {_BASE}"
        row = [size, _range(group.values(loop, "seconds"), 2)]
        for name in ("sklenet", "sklenet_by_torch"):
            row.append(_range(group.ratios(f"{size}, {name}", loop), 2))
        rows.append(row)
    heads = [
        "batch size",
        "loop, s per epoch",
        "LeNet5Classifier, over the loop",
        "with torch's gradient, over the loop",
    ]
    return _table(rows, heads) + _where(group)


def _kernels(group: Group) -> str:
    (ones,) = group.ones.values()
    rows = []
    for name in ones[0]["kernels"]:
        values = [one["kernels"][name] for one in ones]
        peaks = [one["kernels"]["peak"]["gflops"] for one in ones]
        fractions = [v["gflops"] / p for v, p in zip(values, peaks, strict=True)]
        rows.append(
            [
                "**the peak of one core**" if name == "peak" else name,
                "" if name == "peak" else f"{min(v['microseconds'] for v in values):,.0f}",
                f"{max(v['gflops'] for v in values):.0f}",
                f"{statistics.median(fractions):.0%}",
            ]
        )
    return _table(rows, ["", "microseconds", "GFLOP/s", "of the peak"]) + _where(group)


def _first_fit(group: Group) -> str:
    fields = {
        "empty_cache": "s with an empty cache",
        "later_process": "s in a later process",
        "second_fit": "s of its second fit",
    }
    rows = [
        [name, *(_range(group.values(name, field), 2) for field in fields)]
        for name in group.ones
    ]
    return _table(rows, ["first fit", *fields.values()]) + _where(group)


def _gpu(group: Group) -> str:
    names = {
        "loop": "bare torch loop, tensors on the GPU",
        "sklenet, without graphs": "LeNet5Classifier, without CUDA graphs",
        "sklenet, augmented": "LeNet5Classifier, with 1998's distortions",
    }
    (one,) = group.ones["contenders"]
    loop = one["times"]["loop"]["fit"]
    rows = []
    for name, times in one["times"].items():
        ratios = [a / b for a, b in zip(times["fit"], loop, strict=True)]
        what = names.get(name, _NAMES.get(name, name))
        rows.append([what, _range(times["fit"], 2), _range(ratios, 2)])
    heads = ["", "s per epoch", "over the loop"]
    return _table(rows, heads) + f"\n\n{len(loop)} repeats. {describe_run(group.run)}"


def _seconds(group: Group, base: str) -> str:
    rows = [
        [
            _NAMES.get(name, name),
            _range(group.values(name, "seconds"), 2),
            _range(group.ratios(name, base), 2),
        ]
        for name in group.ones
    ]
    return _table(rows, ["", "seconds", f"over {_NAMES.get(base, base)}"]) + _where(group)


def _search(group: Group) -> str:
    base = "1 worker, 1 thread"
    rows = []
    for name in group.ones:
        running = group.values(name, "running_threads")
        median, most = (max(r[which] for r in running) for which in ("median", "95%"))
        rows.append(
            [
                name,
                _range(group.values(name, "fits_per_minute"), 1),
                _range(group.ratios(name, base, "fits_per_minute"), 2),
                _range(group.values(name, "first_small_search"), 1),
                f"{median:.0f}, {most:.0f}",
            ]
        )
    scores = {tuple(one["scores"]) for ones in group.ones.values() for one in ones}
    same = (
        "The scores of all of them are the same to the last bit."
        if len(scores) == 1
        else f"Their scores differ: there are {len(scores)} of them."
    )
    heads = [
        "",
        "fits per minute",
        f"over {base}",
        "s of a first small search",
        "running threads: median, 95 %",
    ]
    return _table(rows, heads) + f"\n\n{same}" + _where(group)


def _above_idle(group: Group) -> float:
    return statistics.median(
        one["peak_mb"] - one["idle_mb"] - one["data_mb"] for one in group.ones["sklenet"]
    )


def _memory(group: Group) -> str:
    ones = group.ones["sklenet"]
    fields = {
        "the data": "data_mb",
        "a process that has imported sklenet": "idle_mb",
        "the peak of a fit": "peak_mb",
    }
    rows = [
        [what, f"{statistics.median(o[f] for o in ones):,.0f}"]
        for what, f in fields.items()
    ]
    rows.append(["the peak less the other two", f"{_above_idle(group):,.0f}"])
    return _table(rows, ["", "MB"]) + _where(group)


def _step(group: Group) -> str:
    threads = list(group.ones)
    ways = group.ones[threads[0]][0]["milliseconds"]
    rows = []
    for way in ways:
        row = [way]
        for n in threads:
            taken = [one["milliseconds"] for one in group.ones[n]]
            mine = [statistics.median(t[way]) for t in taken]
            ratios = [
                statistics.median(a / b for a, b in zip(t[way], t["plain"], strict=True))
                for t in taken
            ]
            row += [f"{statistics.median(mine):.2f}", _range(ratios, 2)]
        rows.append(row)
    heads = ["", *(h for n in threads for h in (f"ms, {n}", "over plain"))]
    return _table(rows, heads) + _where(group)


def _single_pattern() -> str:
    run, one = Journal(RESULTS / "single_pattern" / "records.jsonl")
    seconds = one["seconds"]
    ratios = [a / b for a, b in zip(seconds["pass"], seconds["loop"], strict=True)]
    rows = [
        ["plain torch loop, gradient descent", _range(seconds["loop"], 1), ""],
        [
            "**a pass of LeNet5Classifier**, second derivatives and all",
            _range(seconds["pass"], 1),
            _range(ratios, 2),
        ],
    ]
    return (
        _table(rows, ["", f"s per {one['patterns']:,} patterns", "over the loop"])
        + f"\n\n{describe_run(run)}"
    )


def _again() -> str:
    """Compare fits of older studies with the same fits by the kernels."""
    rows = []
    for model in sorted(read_records("pretrained"), key=lambda model: model["name"]):
        results = read_results(model["study"])
        fits = results.fits
        is_same = (fits["data"] == model["data"]) & (fits["setting"] == model["setting"])
        if _used_kernels(results, fits[is_same & (fits["seed"] == model["seed"])]):
            continue
        sd = fits["test_accuracy"][is_same].astype(float).std()
        change = model["trained_accuracy"] - model["recorded"]
        rows.append(
            [
                f"`{model['study']}.toml`, {model['data']}: {model['setting']}",
                str(model["seed"]),
                f"{100 * model['recorded']:.2f}",
                f"{100 * model['trained_accuracy']:.2f}",
                f"{100 * change:+.2f}",
                f"{100 * sd:.2f}",
                f"{change / sd:+.1f}",
            ]
        )
    heads = [
        "",
        "seed",
        "recorded (%)",
        "again (%)",
        "difference",
        "sd over the seeds",
        "difference, in sd",
    ]
    return _table(rows, heads)


def _used_kernels(results: Results, fits: pd.DataFrame) -> bool:
    """Return whether the runs of fits recorded the instructions that the kernels use."""
    runs = {run["run"]: run for run in results.runs}
    return all("isa" in runs[number]["machine"] for number in fits["run"])


def _range(values: list[float], digits: int) -> str:
    """Return the median, and the range of all."""
    low, middle, high = (
        f"{v:.{digits}f}" for v in (min(values), statistics.median(values), max(values))
    )
    return middle if low == high else f"{middle} ({low} to {high})"


def _table(rows: list[list], headers: list[str]) -> str:
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


def _where(group: Group) -> str:
    repeats = {len(ones) for ones in group.ones.values()}
    return f"\n\n{max(repeats)} repeats. {describe_run(group.run)}"
