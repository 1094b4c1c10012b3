"""Records on disk: one JSON line each, whole or absent, written when it is made."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock


def n_fits(record: dict) -> int:
    """Return how many fits a record is of: a search's or a tested one, or a trial's."""
    if record["kind"] == "trial":
        return len(record["scores"])
    return int(record["kind"] in ("fold", "fit"))


class JournalError(ValueError):
    """A journal that is damaged elsewhere than at its end."""


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
            if "key" in record and self.find(record["key"]) is not None:
                return
            end = file.seek(0, os.SEEK_END)
            if end > (whole := self._end_of_records()):
                file.truncate(whole)  # of a process that died while it wrote
                end = whole
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
            whole = self._end_of_records()
            file.truncate(whole)
        return length - whole

    def _end_of_records(self) -> int:
        """Return where the last whole record ends."""
        text = self.path.read_bytes()
        whole = text.rfind(b"\n") + 1
        last = text[:whole].rstrip(b"\n").rfind(b"\n") + 1
        return whole if _is_record(text[last:whole]) else last

    def find(self, key: str) -> dict | None:
        """Return the record whose first item is ``"key": key``."""
        start = json.dumps({"key": key})[:-1].encode()
        for line in self._lines():
            if line.startswith(start):
                return json.loads(line)
        return None

    def __iter__(self) -> Iterator[dict]:
        """Give the records; one that is being written, or was cut, is not among them."""
        return iter(self.since(0)[0])

    def since(self, position: int) -> tuple[list[dict], int]:
        """Return the records from a byte of the file on, and the byte behind them."""
        records = []
        lines = list(self._lines(position))
        for number, line in enumerate(lines, start=1):
            if number == len(lines) and not _is_record(line):
                break
            try:
                records.append(json.loads(line))
            except ValueError as error:
                number = 1 + self.path.read_bytes()[:position].count(b"\n")
                raise JournalError(
                    f"{self.path}:{number}: not a record. Restore the file from a copy, or"
                    " remove this line to have its fit done again."
                ) from error
            position += len(line)
        return records, position

    def _lines(self, position: int = 0) -> Iterator[bytes]:
        if self.path.is_file():
            with self.path.open("rb") as file:
                file.seek(position)
                yield from (line for line in file if line.endswith(b"\n"))

    def _lock(self) -> FileLock:
        return FileLock(self.path.with_suffix(".lock"))


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
