"""Records on disk: one JSON line each, whole or absent, written when it is made."""

import functools
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock


def count_fits_in(record: dict) -> int:
    """Return the number of fits in a record: one of a search or a test, or a trial's."""
    if record.get("kind") == "trial":
        return len(record["scores"])
    return int(record.get("kind") in ("fold", "fit"))


class JournalError(ValueError):
    """A journal with a line that is not a record, elsewhere than at its end."""


class Journal:
    """An append-only file of JSON records, which several processes may write.

    Parameters
    ----------
    path : Path
        Its folder is made when the first record is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def append(self, record: dict) -> None:
        """Write one record and wait until the disk has it.

        A record whose ``key`` is there already is not written again: a process that
        outlived its killed parent may have finished the same fit.

        Raises
        ------
        OSError
            If the disk is full or the like; nothing of the record is left then.
        """
        line = (json.dumps(record, allow_nan=False) + "\n").encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock(), self.path.open("ab", buffering=0) as file:
            places = _places(self.path)
            end = places.catch_up(self)
            if record.get("key") in places.of:
                return
            if file.seek(0, os.SEEK_END) > end:
                file.truncate(end)  # of a process that died while it wrote
            try:
                if file.write(line) < len(line):
                    raise OSError(f"{self.path}: the disk took only a part of a record.")
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(end)
                raise

    def repair(self) -> int:
        """Drop what a power cut left of a last record.

        Returns
        -------
        int
            The number of bytes dropped: 0 where the journal is whole, or not there.
        """
        if not self.path.is_file():
            return 0
        with self._lock(), self.path.open("r+b") as file:
            length = file.seek(0, os.SEEK_END)
            _, whole = self.read_since(0)
            file.truncate(whole)
        return length - whole

    def find(self, key: str) -> dict | None:
        """Return the record with this ``key``."""
        places = _places(self.path)
        places.catch_up(self)
        if key not in places.of:
            return None
        with self.path.open("rb") as file:
            file.seek(places.of[key])
            return _parse(file.readline())

    def read_tail(self, position: int) -> bytes:
        """Return up to 4096 bytes before a byte of the file, to tell whether it changed."""
        if not self.path.is_file():
            return b""
        start = max(0, position - 4096)
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(position - start)

    def find_problem(self, record: dict) -> str | None:
        """Return what is wrong with a record that is read; None for any JSON object.

        A subclass for a journal of known records checks more.
        """
        return None

    def __iter__(self) -> Iterator[dict]:
        """Give the records; one that is being written, or was cut, is not among them."""
        return iter(self.read_since(0)[0])

    def read_since(self, position: int) -> tuple[list[dict], int]:
        """Return the records from a byte of the file on, and the byte behind them."""
        placed, end = self.read_since_with_offsets(position)
        return [record for _, record in placed], end

    def read_since_with_offsets(self, position: int) -> tuple[list[tuple[int, dict]], int]:
        """Return the same with the byte at which each record begins."""
        placed: list[tuple[int, dict]] = []
        if not self.path.is_file():
            return placed, 0
        with self.path.open("rb") as file:
            file.seek(position)
            lines = [line for line in file if line.endswith(b"\n")]
        for number, line in enumerate(lines):
            record = _parse(line)
            if record is None and number == len(lines) - 1:
                break  # of a power cut
            problem = "not a record" if record is None else self.find_problem(record)
            if record is None or problem:
                before = self.path.read_bytes()[:position].count(b"\n")
                raise JournalError(
                    f"{self.path}:{before + 1}: {problem}. Restore the file from a copy, or"
                    " remove this line to have its fit done again."
                )
            placed.append((position, record))
            position += len(line)
        return placed, position

    def _lock(self) -> FileLock:
        return FileLock(self.path.with_suffix(".lock"))


class _Places:
    """Where in a journal the record of each key begins, as far as it has been read.

    Every process reads every record once: a journal of ten thousand is tens of megabytes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._end, self._last = 0, b""
        self.of: dict[str, int] = {}

    def catch_up(self, journal: Journal) -> int:
        """Read what is new; return where the last whole record ends."""
        with self._lock:
            if not self._is_still(journal.path):
                self._end, self._last = 0, b""
                self.of.clear()
            placed, self._end = journal.read_since_with_offsets(self._end)
            for place, record in placed:
                if "key" in record:
                    self.of.setdefault(record["key"], place)
            if placed:
                with journal.path.open("rb") as file:
                    file.seek(placed[-1][0])
                    self._last = file.read(self._end - placed[-1][0])
            return self._end

    def _is_still(self, path: Path) -> bool:
        """Return whether the file has what was last read, where that was.

        It may be another one by now, even with the same number on the disk.
        """
        if not path.is_file():
            return False
        with path.open("rb") as file:
            file.seek(self._end - len(self._last))
            return file.read(len(self._last)) == self._last


@functools.cache
def _places(path: Path) -> _Places:
    return _Places()


def _parse(line: bytes) -> dict | None:
    """Return the record that a line is, if it is one."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
