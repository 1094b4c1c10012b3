"""Errors in studies. They name the key, its value, and what is allowed."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from sklenet._utils.names import suggest_similar

_MAX_NAMES = 40  # in a message

Key = tuple[str, ...]


class StudyError(ValueError):
    """Raised if a study cannot be read or run."""


class BadKey(StudyError):
    """Raised if a key of a study has a value that is not allowed.

    Parameters
    ----------
    key : tuple of str
        Path of the key: ``("setting", "0", "name")`` is the name of the first setting.
    message : str
        What is wrong with the value, and what is allowed.
    """

    def __init__(self, key: Key, message: str) -> None:
        super().__init__(f"{'.'.join(key)}: {message}" if key else message)
        self.key = key
        self.message = message


class BadKeys(StudyError):
    """Raised if several keys of a study have values that are not allowed.

    Parameters
    ----------
    errors : sequence of BadKey
    """

    def __init__(self, errors: Sequence[BadKey]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)


def list_errors(error: Exception, key: Key = ()) -> list[BadKey]:
    """Return an exception as errors of keys, whose paths are relative to `key`."""
    if isinstance(error, BadKeys):
        return [BadKey((*key, *one.key), one.message) for one in error.errors]
    if isinstance(error, BadKey):
        return [BadKey((*key, *error.key), error.message)]
    return [BadKey(key, str(error) or type(error).__name__)]


@contextmanager
def report_errors(*key: str) -> Iterator[None]:
    """Report an exception in the block as an error of `key`.

    The keys of a BadKey are taken as relative to `key`. All exceptions are caught, since
    the values of a study file may be anything.
    """
    try:
        yield
    except Exception as error:
        raise _combine(list_errors(error, key)) from error


class ErrorCollector:
    """Errors of several checks, which are raised together.

    Attributes
    ----------
    errors : list of BadKey
    """

    def __init__(self) -> None:
        self.errors: list[BadKey] = []

    @contextmanager
    def collect(self, *key: str) -> Iterator[None]:
        """Keep an exception in the block, as an error of `key`, instead of raising it."""
        try:
            yield
        except Exception as error:
            self.errors += list_errors(error, key)

    def raise_errors(self) -> None:
        """Raise a BadKey or, for several errors, BadKeys. Without errors, do nothing."""
        if self.errors:
            raise _combine(self.errors)


def _combine(errors: list[BadKey]) -> BadKey | BadKeys:
    return errors[0] if len(errors) == 1 else BadKeys(errors)


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: a similar one, and all known."""
    known = list(known)
    similar = suggest_similar(name, known)
    more = ", ..." if len(known) > _MAX_NAMES else ""
    return f"{similar} Known: {', '.join(known[:_MAX_NAMES])}{more}."
