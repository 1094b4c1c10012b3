"""Records on disk, one line of JSON each, which are written completely or not at all."""

import functools
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock


def count_fits_in(record: dict) -> int:
    """Return the number of fits in a record: a trial has one per fold, a run none."""
    if record.get("kind") == "trial":
        return len(record["scores"])
    return int(record.get("kind") in ("fold", "fit"))


class JournalError(ValueError):
    """Raised if a line of a journal, other than the last, is not a valid record."""


class Journal:
    """An append-only file of JSON records, to which several processes may write.

    Parameters
    ----------
    path : path-like
        The file. Its folder is created when the first record is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def append(self, record: dict) -> None:
        """Write a record, and wait until it is on the disk.

        A record whose ``key`` is already in the journal is not written again: a process
        that outlived its killed parent may have finished the same fit.

        Parameters
        ----------
        record : dict

        Raises
        ------
        OSError
            If the record cannot be written, for example because the disk is full. Nothing
            of it is left in the file in this case.
        """
        line = (json.dumps(record, allow_nan=False) + "\n").encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock(), self.path.open("ab", buffering=0) as file:
            index = _get_index(self.path)
            end = index.update(self)
            if record.get("key") in index.offsets:
                return
            if file.seek(0, os.SEEK_END) > end:
                file.truncate(end)  # left by a process that was killed while it wrote
            try:
                if file.write(line) < len(line):
                    raise OSError(f"{self.path}: a record was only written in part.")
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(end)
                raise

    def repair(self) -> int:
        """Drop the incomplete last record that a power failure may leave.

        Returns
        -------
        int
            Number of bytes that were dropped. It is 0 if the journal is complete, or does
            not exist.
        """
        if not self.path.is_file():
            return 0
        with self._lock(), self.path.open("r+b") as file:
            length = file.seek(0, os.SEEK_END)
            _, end = self.read_since(0)
            file.truncate(end)
        return length - end

    def find(self, key: str) -> dict | None:
        """Return the record with this ``key``; None if there is none."""
        index = _get_index(self.path)
        index.update(self)
        if key not in index.offsets:
            return None
        with self.path.open("rb") as file:
            file.seek(index.offsets[key])
            return _parse(file.readline())

    def find_problem(self, record: dict) -> str | None:
        """Return what is wrong with a record that is read; None for any JSON object.

        Subclasses for journals with known kinds of records check more.
        """
        return None

    def read_new(self, offset: int, before: bytes) -> tuple[list[dict], int, bytes]:
        """Return the records that have been added, or all if the file is another one.

        Everything comes from one look at the file, which may be replaced at any time.

        Parameters
        ----------
        offset : int
            Offset in bytes up to which the file has been read.
        before : bytes
            The bytes before it, at most 4096.

        Returns
        -------
        records : list of dict
        offset : int
            Offset of the end of the last record.
        before : bytes
            The bytes before it.

        Raises
        ------
        JournalError
            If a line is not a valid record.
        """
        start = offset - len(before)
        content = self._read(start)
        if content[: len(before)] != before:
            start = offset = 0
            content = self._read(start)
        found, offset = self._parse_lines(content[offset - start :], offset)
        end = offset - start
        return [record for _, record in found], offset, content[max(0, end - 4096) : end]

    def _read(self, offset: int) -> bytes:
        if not self.path.is_file():
            return b""
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read()

    def __iter__(self) -> Iterator[dict]:
        """Return an iterator over the complete records."""
        return iter(self.read_since(0)[0])

    def read_since(self, offset: int) -> tuple[list[dict], int]:
        """Return the complete records from an offset on, and the offset of their end."""
        found, end = self.read_since_with_offsets(offset)
        return [record for _, record in found], end

    def read_since_with_offsets(self, offset: int) -> tuple[list[tuple[int, dict]], int]:
        """Return the complete records from an offset on, each with its own, and their end.

        Parameters
        ----------
        offset : int
            Offset in bytes of the beginning of a record.

        Returns
        -------
        records : list of (int, dict)
            Each record after the offset of its first byte.
        end : int
            Offset of the end of the last record.

        Raises
        ------
        JournalError
            If a line is not a valid record. The last line may be cut off, for example by a
            power failure, and is then ignored.
        """
        return self._parse_lines(self._read(offset), offset)

    def _parse_lines(
        self, content: bytes, offset: int
    ) -> tuple[list[tuple[int, dict]], int]:
        """Return what `read_since_with_offsets` does, for the content from an offset on."""
        found: list[tuple[int, dict]] = []
        lines = content[: content.rfind(b"\n") + 1].split(b"\n")[:-1]
        for number, line in enumerate(lines):
            record = _parse(line)
            if record is None and number == len(lines) - 1:
                break
            problem = "not a record" if record is None else self.find_problem(record)
            if record is None or problem:
                n_lines = self.path.read_bytes()[:offset].count(b"\n")
                raise JournalError(
                    f"{self.path}:{n_lines + 1}: {problem}. Restore the file from a backup,"
                    " or remove this line to repeat its fit."
                )
            found.append((offset, record))
            offset += len(line) + 1
        return found, offset

    def _lock(self) -> FileLock:
        return FileLock(self.path.with_suffix(".lock"))


class _Index:
    """The offset in a journal of the record with each key.

    Every process reads every record only once, since a journal of ten thousand records has
    tens of megabytes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._end, self._last_line = 0, b""
        self.offsets: dict[str, int] = {}

    def update(self, journal: Journal) -> int:
        """Read the new records, and return the offset of the end of the last one."""
        with self._lock:
            if not self._is_valid(journal.path):
                self._end, self._last_line = 0, b""
                self.offsets.clear()
            found, self._end = journal.read_since_with_offsets(self._end)
            for offset, record in found:
                if "key" in record:
                    self.offsets.setdefault(record["key"], offset)
            if found:
                offset, _ = found[-1]
                with journal.path.open("rb") as file:
                    file.seek(offset)
                    self._last_line = file.read(self._end - offset)
            return self._end

    def _is_valid(self, path: Path) -> bool:
        """Return whether the last line that was read is still at the same place.

        The file may have been replaced, even by one with the same number on the disk.
        """
        if not path.is_file():
            return False
        with path.open("rb") as file:
            file.seek(self._end - len(self._last_line))
            return file.read(len(self._last_line)) == self._last_line


@functools.cache
def _get_index(path: Path) -> _Index:
    return _Index()


def _parse(line: bytes) -> dict | None:
    """Return the record in a line; None if the line is not a JSON object."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
