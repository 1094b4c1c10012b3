"""Errors in studies. They name the key, its value, and what is allowed."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

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


@contextmanager
def report_errors(*key: str) -> Iterator[None]:
    """Report an exception in the block as an error of `key`.

    The key of a BadKey is taken as relative to `key`. All exceptions are caught, since the
    values of a study file may be anything.
    """
    try:
        yield
    except BadKey as error:
        raise BadKey((*key, *error.key), error.message) from error
    except Exception as error:
        raise BadKey(key, str(error) or type(error).__name__) from error


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: a similar one, and all known."""
    known = list(known)
    close = difflib.get_close_matches(name[:200], known, n=1)
    similar = f" Did you mean {close[0]!r}?" if close else ""
    more = ", ..." if len(known) > _MAX_NAMES else ""
    return f"{similar} Known: {', '.join(known[:_MAX_NAMES])}{more}."
