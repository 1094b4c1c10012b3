"""Where records come from, in words: their day, revision, machine and packages."""

from sklenet.study.report.results import Results

# The kinds of a study's records that something was trained for.
_TRAINED = {"fold", "trial", "fit"}


def describe_run(run: dict) -> str:
    """Return where a record comes from, as a sentence."""
    versions, machine = run["versions"], run["machine"]
    packages = ", ".join(
        f"{name} {versions[name]}" for name in ("torch", "skorch", "scikit-learn")
    )
    instructions = f", {machine['isa']}" if "isa" in machine else ""
    return (
        f"{run['started'][:10]}, revision `{(run['revision'] or 'unknown')[:12]}`,"
        f" {machine['cpu']} ({machine['cores']} cores{instructions}), {packages}."
    )


def describe_runs(results: Results) -> str:
    """Return where a study's records come from, and how many runs trained for them."""
    trained = {record["run"] for record in results.records if record["kind"] in _TRAINED}
    first = next(run for run in results.runs if run["run"] in trained)
    n = len(trained)
    more = f" The first of {n} runs, each named in the records." if n > 1 else ""
    return describe_run(first) + more
