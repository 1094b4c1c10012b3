"""Files of a report: each is written whole or not at all, and each by itself."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from sklenet.study.spec import StudyError

# Of files that are being written: ".table.md.1f0c2b3a.part".
_PATTERN = ".*.????????.part"


class Files:
    """Write the files of a folder, and note those that could not be written.

    A file replaces an older one when it is complete, so that there is never a part of one
    under its name. What a killed process left of its files is removed.

    Parameters
    ----------
    folder : Path

    Attributes
    ----------
    errors : list of str
        A line for each file that could not be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.errors: list[str] = []

    def write(self, name: str, make: Callable[[], str | bytes]) -> bool:
        """Write a file, and return whether that was possible.

        Parameters
        ----------
        name : str
        make : callable
            Called without arguments; returns the content, text in UTF-8.
        """
        try:
            content = make()
            data = content.encode("utf-8") if isinstance(content, str) else content
            replace_file(self.folder / name, data)
        except Exception as error:  # the other files are worth having without this one
            self.errors.append(f"{name}: {type(error).__name__}: {error}")
            return False
        return True

    def check(self) -> None:
        """Raise a StudyError that names the files that could not be written, if any."""
        if self.errors:
            raise StudyError("\n".join(f"not written: {line}" for line in self.errors))


def replace_file(path: Path, data: bytes) -> None:
    """Write a file under a temporary name beside it, and rename it when it is complete.

    Parameters
    ----------
    path : Path
        A regular file, or the name of none.
    data : bytes

    Raises
    ------
    OSError
        If `path` is there but no regular file, or cannot be written.
    """
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is not a regular file, and is not replaced.")
    # One writer at a time, so that temporary files of others are those of killed ones.
    with FileLock(path.parent / "report.lock"):
        for left in path.parent.glob(_PATTERN):
            left.unlink(missing_ok=True)
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
