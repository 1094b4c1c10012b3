"""The files of a report, each of which is written as a whole or not at all."""

from collections.abc import Callable
from pathlib import Path

from sklenet._utils.writing import write_file
from sklenet.study.config.errors import StudyError


class ReportFiles:
    """Writer of the files of a report, which continues when one of them fails.

    A file replaces an older one only when it is complete. Temporary files of processes that
    were killed are removed.

    Parameters
    ----------
    folder : Path
        Folder of the report.

    Attributes
    ----------
    errors : list of str
        One line for each file that could not be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.errors: list[str] = []

    def write(self, name: str, make: Callable[[], str | bytes]) -> bool:
        """Write a file, and return whether this succeeded.

        Parameters
        ----------
        name : str
            Name of the file in the folder.
        make : callable
            Function without arguments that returns the content; text is encoded as UTF-8.
        """
        try:
            write_file(self.folder / name, make())
        except Exception as error:  # the other files are useful without this one
            self.add_error(name, error)
            return False
        return True

    def add_error(self, name: str, error: Exception) -> None:
        """Record why a file could not be made or written."""
        self.errors.append(f"{name}: {type(error).__name__}: {error}")

    def raise_errors(self) -> None:
        """Raise a StudyError that names the files that could not be written, if any."""
        if self.errors:
            raise StudyError("\n".join(f"not written: {line}" for line in self.errors))
