"""The progress of a study: a bar on a terminal, a line per fit in a log."""

import sys
import threading
from pathlib import Path
from typing import Any

from rich import progress as rich_progress
from rich.console import Console

from sklenet._utils.printable import printable
from sklenet.cli.output import write_text
from sklenet.study.config.spec import Study
from sklenet.study.engine.estimate import count_finished_fits, count_planned_fits
from sklenet.study.engine.journal import JournalError, count_fits_in
from sklenet.study.engine.records import StudyJournal

_SECONDS = 0.5


class Progress:
    """Follow a study's journal, whichever process writes it, until the block ends.

    Parameters
    ----------
    study : Study
        Or the part of it that is run.
    journal : Path
    quiet : bool
        Show nothing.
    """

    def __init__(self, study: Study, journal: Path, *, quiet: bool = False) -> None:
        self._journal = StudyJournal(journal)
        self._quiet = quiet
        self._total = count_planned_fits(study)
        records, self._position = self._journal.read_since(0)
        self._done = count_finished_fits(study, records)
        self._tail = self._journal.read_tail(self._position)
        self._seen = {record.get("key") for record in records}
        self._ended = threading.Event()
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

    def tell(self, line: str) -> None:
        """Show a line of text."""
        line = printable(line, keep="\n")
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
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._bar:
            self._bar.stop()

    def _follow(self) -> None:
        while not self._ended.wait(_SECONDS):
            self._show_new()
        self._show_new()

    def _read_new(self) -> list[dict]:
        """Return the records that have not been seen.

        If the journal has been rewritten or damaged meanwhile, it is read again from its
        beginning: the thread goes on, and whoever writes the journal reports the damage.
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

    def _show_new(self) -> None:
        for record in filter(count_fits_in, self._read_new()):
            self._seen.add(record["key"])
            self._done += count_fits_in(record)
            self.tell(f"[{self._done}/{self._total}] {_describe(record)}")
        if self._bar:
            self._bar.update(self._task, completed=self._done)


def _describe(record: dict) -> str:
    what = f"{record['data']}, one fold of a search"
    if record["kind"] == "fit":
        what = f"{record['data']}, {record['setting']}, seed {record['seed']}"
    elif record["kind"] == "trial":
        what = f"{record['data']}, a trial"
    if "error" in record:
        return f"{what}: {record['error']}"
    if record["kind"] == "trial":
        failed = record["state"] == "fail" or not record["history"]
        score = "no score" if failed else _score(record["history"][-1])
        given_up = ", given up" if record["state"] == "pruned" else ""
        took = f"{len(record['history'])} epochs in {record['seconds']:.1f} s"
        return f"{what}: {score}, {took}{given_up}"
    if record["kind"] == "fold":
        scores = record.get("scores", {})
    else:
        scores = {
            f"{test} {metric}": value
            for test, values in record.get("tests", {}).items()
            for metric, value in values.items()
            if isinstance(value, float)
        }
    shown = "".join(f"{name} {_score(value)}, " for name, value in scores.items())
    epochs, seconds = len(record.get("history", [])), record.get("seconds", 0)
    return f"{what}: {shown}{epochs} epochs in {seconds:.1f} s"


def _score(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4f}"
