"""The progress of a study: a bar on a terminal, a line per fit in a log."""

import sys
import threading
from pathlib import Path
from typing import Any

from rich import progress as rich_progress
from rich.console import Console

from sklenet.study.estimate import count_done, count_fits
from sklenet.study.journal import Journal, n_fits
from sklenet.study.spec import Study

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
        self._journal = Journal(journal)
        self._quiet = quiet
        self._total = count_fits(study)
        records, self._position = self._journal.since(0)
        self._done = count_done(study, records)
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
        if self._bar:
            self._bar.console.print(line, markup=False, highlight=False)
        elif not self._quiet:
            print(line, file=sys.stderr, flush=True)

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

    def _show_new(self) -> None:
        records, self._position = self._journal.since(self._position)
        for record in filter(n_fits, records):
            self._done += n_fits(record)
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
        score = "no score" if record["state"] == "fail" else f"{record['history'][-1]:.4f}"
        given_up = ", given up" if record["state"] == "pruned" else ""
        epochs = f"{len(record['history'])} epochs in {record['seconds']:.1f} s"
        return f"{what}: {score}, {epochs}{given_up}"
    if record["kind"] == "fold":
        scores = record["scores"]
    else:
        scores = {
            f"{test} {metric}": value
            for test, values in record["tests"].items()
            for metric, value in values.items()
            if isinstance(value, float)
        }
    shown = ", ".join(
        f"{name} {'not finite' if value is None else format(value, '.4f')}"
        for name, value in scores.items()
    )
    return f"{what}: {shown}, {len(record['history'])} epochs in {record['seconds']:.1f} s"
