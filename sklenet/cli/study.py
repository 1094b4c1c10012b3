"""``sklenet study`` and ``sklenet report``."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

from sklenet.cli.output import (
    add_output_options,
    print_progress,
    print_results,
    write_text,
)
from sklenet.cli.progress import Progress
from sklenet.study.config.errors import BadKey, BadKeys, StudyError
from sklenet.study.config.read import locate_error, read_study
from sklenet.study.config.spec import Study
from sklenet.study.engine.cluster import resume_after_worker_loss, use_cluster
from sklenet.study.engine.data import open_datasets
from sklenet.study.engine.estimate import (
    count_finished_fits,
    count_planned_fits,
    estimate,
)
from sklenet.study.engine.evaluate import to_jsonable
from sklenet.study.engine.plan import select_part
from sklenet.study.engine.prepare import prepare
from sklenet.study.engine.records import RECORDS, StudyJournal
from sklenet.study.engine.run import run_study
from sklenet.study.report.files import ReportFiles
from sklenet.study.report.missing import MissingFits, list_missing_fits
from sklenet.study.report.page import PAGE, write_page
from sklenet.study.report.results import Results
from sklenet.study.report.tables import TABLE, write_tables
from sklenet.study.report.tracking import write_to_mlflow

_MAX_MISSING = 20  # lines

_EXAMPLE = Path(__file__).with_name("example.toml")


def add_commands(commands) -> None:
    """Add the commands ``study`` and ``report`` to the subparsers of a parser."""
    _add_study(commands)
    _add_report(commands)


def _add_study(commands) -> None:
    study = commands.add_parser(
        "study",
        help="run a study, or resume it",
        description="Run the study that a TOML file describes: search for the best"
        " candidate, train it with every seed, evaluate each fit once on the test set, and"
        " write a report. Every finished fit is recorded; after an interruption, the same"
        " command runs the remaining fits.",
    )
    study.add_argument(
        "file",
        type=Path,
        nargs="?",
        metavar="FILE.toml",
        help="file that describes the study",
    )
    study.add_argument(
        "--example",
        action="store_true",
        help="print a commented file that can be run, instead of running one:"
        " sklenet study --example > my.toml",
    )
    study.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace a value of the file, such as --set estimator.max_epochs=1 or --set"
        " 'seeds=[0]'; can be given several times. The value is written as in TOML",
    )
    study.add_argument(
        "--out",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="folder in which a folder for the study is created (default: results)",
    )
    study.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME",
        help="run the study on this dataset only; can be given several times",
    )
    study.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="NAME",
        help="run this [[setting]] only, by its name in the results table; can be given"
        " several times",
    )
    study.add_argument(
        "--n-jobs",
        type=int,
        default=1,
        metavar="N",
        help="number of fits that run in parallel (default: 1)",
    )
    cluster_options = study.add_mutually_exclusive_group()
    cluster_options.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="run the fits on the Dask cluster with this scheduler, such as"
        " tcp://10.0.0.1:8786",
    )
    cluster_options.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="run the fits on a local Dask cluster of N processes, instead of --n-jobs",
    )
    study.add_argument(
        "--dry-run",
        action="store_true",
        help="list the fits and estimate their time, without running them",
    )
    study.add_argument(
        "--keep",
        action="store_true",
        help="resume the study although the file has changed, keeping the fits that are"
        " still part of it",
    )
    add_output_options(study)
    study.set_defaults(run=_run_study)


def _add_report(commands) -> None:
    report = commands.add_parser(
        "report",
        help="write the report of a study again",
        description="Write the report of a study into its folder, from the records of"
        f" the fits: {TABLE}, CSV files, figures, and {PAGE}, a single file that needs no"
        " network connection.",
    )
    report.add_argument(
        "folder", type=Path, metavar="DIR", help="folder of the study, with its records"
    )
    report.add_argument(
        "--mlflow",
        metavar="URI",
        help="also write every fit as a run to the MLflow server or database at this"
        " tracking URI, such as http://localhost:5000 or sqlite:///mlflow.db; fits that are"
        " there already are not written again",
    )
    add_output_options(report)
    report.set_defaults(run=_run_report)


def _run_study(arguments) -> int:
    if arguments.example:
        if arguments.file is not None:
            raise StudyError(
                "--example prints a new file and reads none. Remove"
                f" {arguments.file}, or --example."
            )
        write_text(_EXAMPLE.read_text(encoding="utf-8").rstrip("\n"), sys.stdout)
        return 0
    if arguments.file is None:
        raise StudyError(
            "a file that describes the study is required: sklenet study FILE.toml. To begin"
            " with an example: sklenet study --example > my.toml."
        )
    options = {"overrides": arguments.set} if arguments.set else {}
    study = read_study(arguments.file, **options)
    out = arguments.out.absolute()  # workers may have another working directory
    _check_options(arguments)
    try:
        study = open_datasets(study)
        part = select_part(study, arguments.data, arguments.setting)
        prepare(study, out, part=part, n_jobs=arguments.n_jobs, keep=arguments.keep)
    except (BadKey, BadKeys) as error:
        raise locate_error(arguments.file, error, arguments.set) from error
    if arguments.dry_run:
        if arguments.scheduler:
            with use_cluster(arguments.scheduler):
                pass  # the scheduler responds, and its workers have the right versions
        n_jobs = arguments.workers or arguments.n_jobs
        lines, values = estimate(part, out, n_jobs=n_jobs)
        print_results(arguments, "\n".join(lines), values)
        return 1 if values["errors"] else 0
    journal = out / study.name / RECORDS
    with ExitStack() as stack:
        n_jobs, on_cluster = arguments.n_jobs, arguments.scheduler or arguments.workers
        if on_cluster:
            n_jobs = stack.enter_context(
                use_cluster(arguments.scheduler, arguments.workers)
            )
        progress = stack.enter_context(Progress(part, journal, quiet=arguments.quiet))

        def run() -> Path:
            return run_study(
                study,
                out,
                part=part,
                n_jobs=n_jobs,
                keep=arguments.keep,
                command=arguments.command,
                echo=progress.print_line,
            )

        with _report_interrupts(part, journal):
            folder = (
                resume_after_worker_loss(run, journal, progress.print_line)
                if on_cluster
                else run()
            )
    print_progress(arguments, f"Records, tables and figures are in {folder}/")
    return _write_report(arguments, folder)


@contextmanager
def _report_interrupts(study: Study, journal: Path) -> Iterator[None]:
    """Print how many fits are done if the block is ended by Ctrl-C or a signal."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        done = count_finished_fits(study, StudyJournal(journal))
        total = count_planned_fits(study)
        write_text(
            f"sklenet: {done} of {total} fits are done; the same command continues the"
            " study.",
            sys.stderr,
        )
        raise


def _check_options(arguments) -> None:
    """Raise a StudyError for an invalid option or a missing package."""
    if arguments.workers is not None and arguments.workers < 1:
        raise StudyError(f"--workers must be at least 1. Got {arguments.workers}.")
    if (arguments.workers or arguments.scheduler) and find_spec("distributed") is None:
        raise StudyError("A cluster needs Dask: pip install sklenet[dask].")


def _run_report(arguments) -> int:
    if arguments.mlflow is not None:
        n_written, n_found = write_to_mlflow(Results(arguments.folder), arguments.mlflow)
        print_progress(
            arguments,
            f"{n_written} fits were written to {arguments.mlflow}; {n_found} were there"
            " already",
        )
    missing = list_missing_fits(Results(arguments.folder))
    status = _write_report(arguments, arguments.folder, missing)
    n_missing = sum(one.n_fits for one in missing)
    if n_missing:
        lines = [f"  {one.data}: {one.what}" for one in missing[:_MAX_MISSING]]
        if len(missing) > _MAX_MISSING:
            lines.append(f"  and {len(missing) - _MAX_MISSING} more")
        is_one = n_missing == 1
        write_text(
            f"sklenet: the study is not finished: {n_missing:,}"
            f" {'fit is' if is_one else 'fits are'} missing.\n" + "\n".join(lines),
            sys.stderr,
        )
    return 1 if n_missing else status


def _write_report(arguments, folder: Path, missing: list[MissingFits] | None = None) -> int:
    """Write the report of a study and print its table; return the exit status."""
    results = Results(folder)
    files = ReportFiles(folder)
    text = write_tables(results, files)
    page = write_page(results, files)
    for error in files.errors:
        write_text(f"sklenet: not written: {error}", sys.stderr)
    values = {
        "folder": str(folder),
        "page": page,
        "summary": to_jsonable(results.summary.to_dict("records")),
    }
    if missing is not None:
        values["n_missing"] = sum(one.n_fits for one in missing)
        values["missing"] = [one._asdict() for one in missing]
    print_results(arguments, text.rstrip("\n"), values)
    failed = any("error" in record for record in results.fit_records) or any(
        None in search["cv_results"]["mean_test_score"]
        for search in results.searches.values()
    )
    return 1 if failed or files.errors else 0
