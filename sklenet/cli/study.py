"""``sklenet study`` and ``sklenet report``."""

import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from sklenet.cli.output import add_output_options, show, teller, write_text
from sklenet.cli.progress import Progress
from sklenet.study.config.read import located, read_study
from sklenet.study.config.rules import BadKey
from sklenet.study.config.spec import StudyError
from sklenet.study.engine.cluster import cluster, despite_deaths
from sklenet.study.engine.estimate import estimate
from sklenet.study.engine.evaluate import plain
from sklenet.study.engine.plan import part_of
from sklenet.study.engine.prepare import prepare
from sklenet.study.engine.records import RECORDS
from sklenet.study.engine.run import run_study
from sklenet.study.report.files import ReportFiles
from sklenet.study.report.page import PAGE, write_page
from sklenet.study.report.results import Results
from sklenet.study.report.tables import TABLE, write_tables


def add_commands(commands) -> None:
    """Add the two commands to the parser's."""
    study = commands.add_parser(
        "study",
        help="run a study file, or go on with it",
        description="Read a study file, search, train what is chosen with every seed, score"
        " the test set once per fit, and write the report. Every finished fit is kept:"
        " after an interruption the same command does the rest.",
    )
    study.add_argument("file", type=Path, metavar="FILE.toml")
    study.add_argument("--out", type=Path, default=Path("results"), help="default: results")
    study.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME",
        help="only on this data set; may be given several times",
    )
    study.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="NAME",
        help="only this [[setting]], by its name in the table; may be given several times",
    )
    study.add_argument("--n-jobs", type=int, default=1, help="fits at once; default: 1")
    where = study.add_mutually_exclusive_group()
    where.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask cluster that does the fits, such as tcp://10.0.0.1:8786",
    )
    where.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="start a Dask cluster of N processes here, instead of --n-jobs",
    )
    study.add_argument(
        "--dry-run", action="store_true", help="list the fits, and estimate their time"
    )
    study.add_argument(
        "--keep",
        action="store_true",
        help="go on although the file has changed, with the fits it still asks for",
    )
    add_output_options(study)
    study.set_defaults(run=_study)

    report = commands.add_parser(
        "report",
        help="write a study's tables, pictures and page",
        description=f"Write {TABLE}, CSV files, the pictures and {PAGE}, one file that"
        " needs no network, into DIR, from its records.",
    )
    report.add_argument("folder", type=Path, metavar="DIR")
    add_output_options(report)
    report.set_defaults(run=_report)


def _study(arguments) -> int:
    study = read_study(arguments.file)
    part = part_of(study, arguments.data, arguments.setting)
    out = arguments.out.absolute()  # a worker may have been started elsewhere
    _check_options(arguments)
    try:
        prepare(
            study,
            out,
            part=part,
            n_jobs=arguments.n_jobs,
            keep=arguments.keep,
            is_checked=True,
        )
    except BadKey as error:
        raise located(arguments.file, error) from error
    if arguments.dry_run:
        if arguments.scheduler:
            with cluster(arguments.scheduler):
                pass  # it answers, and has workers of the right versions
        n_jobs = arguments.workers or arguments.n_jobs
        lines, values = estimate(part, out, n_jobs=n_jobs)
        show(arguments, "\n".join(lines), values)
        return 1 if values["errors"] else 0
    tell = teller(arguments)
    journal = out / study.name / RECORDS
    with ExitStack() as stack:
        n_jobs, on_cluster = arguments.n_jobs, arguments.scheduler or arguments.workers
        if on_cluster:
            n_jobs = stack.enter_context(cluster(arguments.scheduler, arguments.workers))
        progress = stack.enter_context(Progress(part, journal, quiet=arguments.quiet))

        def run() -> Path:
            return run_study(
                study,
                out,
                part=part,
                n_jobs=n_jobs,
                keep=arguments.keep,
                command=" ".join(["sklenet", *sys.argv[1:]]),
                echo=progress.tell,
            )

        folder = despite_deaths(run, journal, progress.tell) if on_cluster else run()
    tell(f"Records, tables and pictures are in {folder}/")
    return _show(arguments, folder)


def _check_options(arguments) -> None:
    """Raise a StudyError for options and packages that a run would stumble over."""
    if arguments.workers is not None and arguments.workers < 1:
        raise StudyError(f"--workers is {arguments.workers}; right would be 1 or more.")
    if (arguments.workers or arguments.scheduler) and find_spec("distributed") is None:
        raise StudyError("A cluster needs Dask: pip install sklenet[dask].")
    if find_spec("matplotlib") is None:
        raise StudyError("A study draws figures: install sklenet[plots].")


def _report(arguments) -> int:
    if find_spec("matplotlib") is None:
        raise StudyError("A report has figures: install sklenet[plots].")
    return _show(arguments, arguments.folder)


def _show(arguments, folder: Path) -> int:
    results = Results(folder)
    files = ReportFiles(folder)
    text = write_tables(results, files)
    page = write_page(results, files)
    for error in files.errors:
        write_text(f"sklenet: not written: {error}", sys.stderr)
    values = {
        "folder": str(folder),
        "page": page,
        "summary": plain(results.summary.to_dict("records")),
    }
    show(arguments, text.rstrip("\n"), values)
    failed = any("error" in record for record in results.fit_records) or any(
        None in search["cv_results"]["mean_test_score"]
        for search in results.searches.values()
    )
    return 1 if failed or files.errors else 0
