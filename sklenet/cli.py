"""The command ``sklenet``."""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

import sklenet
from sklenet.study import StudyError, read_study, run_study
from sklenet.study.report import CURVES, TABLE, report
from sklenet.study.run import RECORDS


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 with a message on stderr."""
    parser = argparse.ArgumentParser(
        prog="sklenet",
        description="LeNet-5 as a scikit-learn estimator, and its studies.",
    )
    parser.add_argument("--version", action="version", version=sklenet.__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    study = commands.add_parser(
        "study",
        help="run a study file",
        description="Read a study file, search, refit, score the test set once per seed,"
        f" and write {RECORDS}, {TABLE} and {CURVES} to OUT/<study>/.",
    )
    study.add_argument("file", type=Path, metavar="FILE.toml")
    study.add_argument("--out", type=Path, default=Path("results"), help="default: results")
    study.add_argument(
        "--n-jobs", type=int, help="processes that GridSearchCV uses; default: 1"
    )
    study.set_defaults(run=_study)

    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments)
    except (ValueError, OSError) as error:
        print(f"sklenet: error: {error}", file=sys.stderr)
        return 2


def _study(arguments) -> int:
    study = read_study(arguments.file)
    if find_spec("matplotlib") is None:
        raise StudyError("A study draws learning curves: install sklenet[plots].")
    folder = run_study(study, arguments.out, n_jobs=arguments.n_jobs, echo=_echo)
    print(report(folder), end="")
    _echo(f"Records, table and learning curves are in {folder}/")
    return 0


def _echo(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
