"""The run of a study: its search, then its fits, which are evaluated on the test set."""

from collections.abc import Callable, Mapping
from pathlib import Path

from joblib import Parallel, delayed

from sklenet.study.config.spec import Study
from sklenet.study.engine.committee import group_by_setting, record_committees
from sklenet.study.engine.data import describe_dataset, make_sample, open_datasets
from sklenet.study.engine.fit import clone_with_seed, fit_and_evaluate
from sklenet.study.engine.journal import count_fits_in
from sklenet.study.engine.outputs import MODEL, PROBABILITIES, Outputs, is_model_of
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
    datasets: Mapping | None = None,
    command: str | None = None,
    echo: Callable[[str], None] = lambda line: None,
) -> Path:
    """Run the fits of a study that are not in its journal yet.

    Parameters
    ----------
    study : Study
        A study from `read_study`.
    out : path-like
        Folder of all results. Those of the study are written to ``out/<name>``.
    part : Study, optional
        Part of the study that is run now, from `select_part`. If None, the whole study.
    n_jobs : int, optional
        Number of fits in parallel, as in joblib.
    keep : bool, default=False
        Whether to continue the journal of a study that has changed since. Fits that are
        still part of it are not repeated.
    datasets : mapping of str to tuple, optional
        Custom datasets by their names in the study: arrays ``(X, y)``, of which a
        stratified fifth becomes the test set, or ``(X, y, X_test, y_test)``. X has rows of
        pixels or images; y has whole numbers or text.
    command : str, optional
        Command line, for the records.
    echo : callable, optional
        Called with a line of text at each step.

    Returns
    -------
    Path
        Folder of the study.

    Raises
    ------
    StudyError
        If the study cannot be run on its datasets, for example because of a metric for two
        classes, the folder has the records of another study, or another process runs it.
    OSError
        If a dataset is missing or the folder cannot be written.
    """
    study = open_datasets(study, datasets)
    if part is not None:
        part = part.with_datasets(study.datasets)
    prepare(study, out, part=part, n_jobs=n_jobs, keep=keep)
    folder = Path(out) / study.name
    folder.mkdir(parents=True, exist_ok=True)
    with lock_folder(folder):
        journal = StudyJournal(folder / RECORDS)
        run = _start_run(study, journal, keep, command, echo)
        _run_fits(part or study, journal.path, run, n_jobs, echo)
    return folder


def _run_fits(
    study: Study, journal: Path, run: int, n_jobs: int | None, echo: Callable[[str], None]
) -> None:
    jobs: list[Job] = []
    for data in study.data:
        winner = None
        if study.search:
            winner = search(study, data, journal, run, n_jobs, echo)
        jobs += plan_jobs(study, data, winner)
    evaluation = make_evaluation(study)
    in_committees = {job[:2] for group in group_by_setting(jobs) for job in group}
    Parallel(n_jobs=n_jobs)(
        delayed(fit_and_evaluate)(
            study.get_dataset(job.data),
            job.setting,
            job.pipeline,
            job.seed,
            make_sample(study, job.n_train, job.seed),
            evaluation,
            journal,
            run,
            Outputs(
                _choose_model(study, job, journal.parent),
                journal.parent / PROBABILITIES if job[:2] in in_committees else None,
            ),
        )
        for job in jobs
    )
    record_committees(study, jobs, journal, run)


def _choose_model(study: Study, job: Job, folder: Path) -> Path | None:
    """Return the file of the model of a fit, if it is the one that is kept of a winner.

    This is the fit with the first seed, which is a choice that does not depend on the test
    set. A model file holds a classifier alone, so that there is none of a winner with other
    steps. The file of an earlier winner is removed.
    """
    if study.search is None or job.seed != study.seeds[0]:
        return None
    model = folder / MODEL.format(job.data)
    is_alone = len(job.pipeline) == 1
    if not is_alone or not is_model_of(model, clone_with_seed(job.pipeline, job.seed)):
        model.unlink(missing_ok=True)
    return model if is_alone else None


def _start_run(
    study: Study,
    journal: StudyJournal,
    keep: bool,
    command: str | None,
    echo: Callable[[str], None],
) -> int:
    """Write the first records of a run, and return its number."""
    n_bytes = journal.repair()
    if n_bytes:
        echo(f"{journal.path}: dropped {n_bytes} bytes of an incomplete record")
    records = check_unchanged(study, journal, keep)
    studies = [record["study"] for record in records if record["kind"] == "study"]
    if not studies or studies[-1] != study.to_record():
        journal.append({"kind": "study", "study": study.to_record()})
    for name in study.data:
        dataset = study.get_dataset(name)
        if dataset.fingerprint:
            described = describe_dataset(dataset)
            same = [r for r in records if r["kind"] == "dataset" and r["data"] == name]
            if described not in same[-1:]:
                journal.append(described)
    n_finished = sum(map(count_fits_in, records))
    if n_finished:
        echo(f"{journal.path} has {n_finished} finished fits")
    run = 1 + sum(record["kind"] == "run" for record in records)
    journal.append({"kind": "run", "run": run, "command": command} | collect_provenance())
    return run
