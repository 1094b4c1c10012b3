"""Run a study: scikit-learn searches, its winner is trained per seed and tested once."""

from collections.abc import Callable
from pathlib import Path

from joblib import Parallel, delayed

from sklenet.study.config.spec import Study
from sklenet.study.engine.fit import fit_and_evaluate
from sklenet.study.engine.journal import count_fits_in
from sklenet.study.engine.plan import Job, make_evaluation, plan_jobs
from sklenet.study.engine.prepare import check_unchanged, lock_folder, prepare
from sklenet.study.engine.provenance import collect_provenance
from sklenet.study.engine.records import RECORDS, StudyJournal
from sklenet.study.engine.search import search


def run_study(
    study: Study,
    out: Path,
    *,
    part: Study | None = None,
    n_jobs: int | None = None,
    keep: bool = False,
    command: str | None = None,
    echo: Callable[[str], None] = lambda line: None,
) -> Path:
    """Run what the study's journal does not have yet.

    Parameters
    ----------
    study : Study
    out : Path
        The folder of results; the study's own is ``out/<name>``.
    part : Study, optional
        What of the study to run now, by `select_part`.
    n_jobs : int, optional
        Fits at once, as joblib has it.
    keep : bool
        Go on with a journal of a study that has changed: fits it still asks for are not
        done again.
    command : str, optional
        The command line, for the record.
    echo : callable
        Told a line of text at each step of progress.

    Returns
    -------
    Path
        The study's folder.

    Raises
    ------
    StudyError
        If the study cannot be run on its data sets, such as for a metric of two classes,
        the folder has another study's records, or another process runs it.
    OSError
        If a data set is missing or the folder cannot be written.
    """
    prepare(study, out, part=part, n_jobs=n_jobs, keep=keep)
    folder = Path(out) / study.name
    folder.mkdir(parents=True, exist_ok=True)
    with lock_folder(folder):
        journal = StudyJournal(folder / RECORDS)
        run = _open(study, journal, keep, command, echo)
        _run(part or study, journal.path, run, n_jobs, echo)
    return folder


def _run(study, journal, run, n_jobs, echo):
    found: list[Job] = []
    for name in study.data:
        winner = search(study, name, journal, run, n_jobs, echo) if study.search else None
        found += plan_jobs(study, name, winner)
    Parallel(n_jobs=n_jobs)(
        delayed(fit_and_evaluate)(*job, make_evaluation(study), journal, run)
        for job in found
    )


def _open(study, journal, keep, command, echo) -> int:
    """Write the first records of this run; return its number."""
    dropped = journal.repair()
    if dropped:
        echo(f"{journal.path}: dropped {dropped} bytes of a record that was cut short")
    records = check_unchanged(study, journal, keep)
    plain = study.to_record()
    studies = [record["study"] for record in records if record["kind"] == "study"]
    if not studies or studies[-1] != plain:
        journal.append({"kind": "study", "study": plain})
    done = sum(map(count_fits_in, records))
    if done:
        echo(f"{journal.path} has {done} finished fits")
    run = 1 + sum(record["kind"] == "run" for record in records)
    journal.append({"kind": "run", "run": run, "command": command} | collect_provenance())
    return run
