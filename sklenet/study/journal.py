"""Records on disk: one JSON line each, written when it is made."""

import json
import os
from collections.abc import Iterator
from pathlib import Path


class Journal:
    """An append-only file of JSON records.

    Parameters
    ----------
    path : Path
        Its folder is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def clear(self) -> None:
        """Start an empty journal, in place of one that is there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"")

    def append(self, record: dict) -> None:
        """Write one record and wait until the disk has it."""
        line = json.dumps(record, allow_nan=False) + "\n"
        with self.path.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def __iter__(self) -> Iterator[dict]:
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)
