"""The provenance of records as a sentence: date, revision, machine and packages."""

from sklenet.study.report.results import Results

# The kinds of a study's records that a fit was run for.
_FIT_KINDS = {"fold", "trial", "fit"}


def describe_run(run: dict) -> str:
    """Return the provenance in the record of a run as a sentence."""
    versions, machine = run["versions"], run["machine"]
    packages = ", ".join(
        f"{name} {versions[name]}" for name in ("torch", "skorch", "scikit-learn")
    )
    instructions = f", {machine['isa']}" if "isa" in machine else ""
    gpu = f", {machine['cuda']}" if machine.get("cuda") else ""
    return (
        f"{run['started'][:10]}, revision `{(run['revision'] or 'unknown')[:12]}`,"
        f" {machine['cpu']} ({machine['cores']} cores{instructions}){gpu}, {packages}."
    )


def describe_runs(results: Results) -> str:
    """Return the provenance of a study: its first run with fits, and the number of runs."""
    numbers = {r["run"] for r in results.records if r["kind"] in _FIT_KINDS}
    first = next(run for run in results.runs if run["run"] in numbers)
    n = len(numbers)
    others = (
        f" This is the first of {n} runs; the records name all of them." if n > 1 else ""
    )
    return describe_run(first) + others
