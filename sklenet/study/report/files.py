"""ReportFiles of a report: each is written whole or not at all, and each by itself."""

from collections.abc import Callable
from pathlib import Path

from sklenet._utils.writing import write_file
from sklenet.study.config.spec import StudyError


class ReportFiles:
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
            write_file(self.folder / name, make())
        except Exception as error:  # the other files are worth having without this one
            self.errors.append(f"{name}: {type(error).__name__}: {error}")
            return False
        return True

    def raise_errors(self) -> None:
        """Raise a StudyError that names the files that could not be written, if any."""
        if self.errors:
            raise StudyError("\n".join(f"not written: {line}" for line in self.errors))
