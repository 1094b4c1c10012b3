"""The progress of a study: a bar on a terminal, a line per fit in a log."""

import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import progress as rich_progress
from rich.console import Console

from sklenet._utils.printable import make_printable
from sklenet.cli.output import write_text
from sklenet.study.config.spec import Study
from sklenet.study.engine.candidates import describe_candidate
from sklenet.study.engine.estimate import count_finished_fits, count_planned_fits
from sklenet.study.engine.journal import JournalError, count_fits_in
from sklenet.study.engine.records import StudyJournal

# Time in seconds between two reads of the journal.
_SECONDS = 0.5


class Progress:
    """A context manager that shows the progress of a study.

    The finished fits are read from the journal of the study, so that it does not matter in
    which process they run.

    Parameters
    ----------
    study : Study
        The study, or the part of it that is run.
    journal : Path
        The journal of the study.
    quiet : bool, default=False
        Whether to show nothing.
    """

    def __init__(self, study: Study, journal: Path, *, quiet: bool = False) -> None:
        self._journal = StudyJournal(journal)
        self._quiet = quiet
        self._study = study
        self._total = count_planned_fits(study)
        records, self._position = self._journal.read_since(0)
        self._done = count_finished_fits(study, records)
        self._tail = self._journal.read_tail(self._position)
        self._seen = {record.get("key") for record in records}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._bar: Any = None
        self._task: Any = None
        if not quiet and sys.stderr.isatty():
            self._bar = rich_progress.Progress(
                rich_progress.TextColumn("{task.description}"),
                rich_progress.BarColumn(),
                rich_progress.MofNCompleteColumn(),
                rich_progress.TimeElapsedColumn(),
                rich_progress.TimeRemainingColumn(),
                console=Console(stderr=True),
            )

    def print_line(self, line: str) -> None:
        """Print a line of text above the bar, or to stderr."""
        line = make_printable(line, keep="\n")
        if self._bar:
            self._bar.console.print(line, markup=False, highlight=False)
        elif not self._quiet:
            write_text(line, sys.stderr)

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
            self._task = self._bar.add_task("fits", total=self._total, completed=self._done)
        if not self._quiet:
            self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._bar:
            self._bar.stop()

    def _follow(self) -> None:
        while not self._stopped.wait(_SECONDS):
            self._print_new()
        self._print_new()

    def _read_new(self) -> list[dict]:
        """Return the records of the journal that have not been printed yet.

        A journal that has been rewritten or damaged in the meantime is read again from its
        beginning. This thread continues; the process that writes the journal reports the
        damage.
        """
        try:
            if self._journal.read_tail(self._position) != self._tail:
                self._position = 0
            records, self._position = self._journal.read_since(self._position)
            self._tail = self._journal.read_tail(self._position)
        except (JournalError, OSError):
            self._position, self._tail = 0, b""
            return []
        return [record for record in records if record.get("key") not in self._seen]

    def _print_new(self) -> None:
        for record in filter(count_fits_in, self._read_new()):
            self._seen.add(record["key"])
            self._done += count_fits_in(record)
            candidate = {}
            if record["kind"] != "fit":
                candidate = describe_candidate(self._study, record)
            elif self._study.series:  # whose scores would not fit on a line
                names = self._study.single_test_names
                tests = {k: v for k, v in record.get("tests", {}).items() if k in names}
                record = record | {"tests": tests}
            line = _describe(record, candidate)
            self.print_line(f"[{self._done}/{self._total}] {line}")
        if self._bar:
            self._bar.update(self._task, completed=self._done)


def _describe(record: dict, candidate: Mapping[str, str] | None = None) -> str:
    """Return a line of text about a finished fit, fold or trial of a candidate."""
    kinds = {"fold": "one fold of a search", "trial": "a trial"}
    if record["kind"] == "fit":
        what = f"{record['data']}, {record['setting']}, seed {record['seed']}"
    else:
        names = [f"{name} {value}" for name, value in (candidate or {}).items()]
        what = ", ".join([record["data"], *names, kinds[record["kind"]]])
    if "error" in record:
        return f"{what}: {record['error']}"
    epochs, seconds = len(record.get("history", [])), record.get("seconds", 0)
    time = f"{epochs} epochs in {seconds:.1f} s"
    pruned = ", pruned" if record.get("state") == "pruned" else ""
    return f"{what}: {_describe_scores(record)}{time}{pruned}"


def _describe_scores(record: dict) -> str:
    """Return the scores of a record as text, each followed by a comma."""
    if record["kind"] == "trial":
        is_scored = record["state"] != "fail" and record["history"]
        return f"{_format_score(record['history'][-1])}, " if is_scored else "no score, "
    if record["kind"] == "fold":
        scores = record.get("scores", {})
    else:
        scores = {
            f"{test} {metric}": value
            for test, values in record.get("tests", {}).items()
            for metric, value in values.items()
            if isinstance(value, float)
        }
    return "".join(f"{name} {_format_score(value)}, " for name, value in scores.items())


def _format_score(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4f}"
