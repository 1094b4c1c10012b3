"""Output of the commands: results on stdout, progress and messages on stderr."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from sklenet._utils.printable import make_printable
from sklenet._utils.writing import check_writable


def add_output_options(parser) -> None:
    """Add the options ``--json`` and ``--quiet`` to a parser."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "--json", action="store_true", help="print the results as one JSON object"
    )
    group.add_argument(
        "--quiet", action="store_true", help="print only the results and errors"
    )


def write_text(text: str, stream) -> None:
    """Write text and a line break to a stream, such as stdout or stderr.

    Control characters, which could be part of an escape sequence, and characters that the
    encoding of the stream lacks are written as escapes, as in Python's string literals.

    Parameters
    ----------
    text : str
        One or several lines.
    stream : text stream
        The stream to write to.
    """
    text = make_printable(text, keep="\n")
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if not _can_encode("±", encoding):
        text = text.replace("±", "+/-")
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    print(text, file=stream, flush=True)


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def print_results(arguments, text: str, values: dict) -> None:
    """Print the results of a command to stdout, as text or with ``--json`` as JSON.

    Parameters
    ----------
    arguments : argparse.Namespace
        The arguments of the command.
    text : str
        The results as text; nothing is printed if it is empty.
    values : dict
        The results as plain values.
    """
    if arguments.json:
        print(json.dumps(values, indent=2))
    elif text:
        write_text(text, sys.stdout)


def print_progress(arguments, line: str) -> None:
    """Print a line to stderr, unless ``--quiet`` is given."""
    if not arguments.quiet:
        write_text(line, sys.stderr)


def check_out(path: Path, inputs: Iterable[Path], option: str = "--out") -> None:
    """Check the file that a command is to write, before it does anything else.

    Parameters
    ----------
    path : Path
        Value of an option.
    inputs : iterable of Path
        Files, and folders of files, that the command reads, if they exist.
    option : str
        Name of the option, for messages.

    Raises
    ------
    ValueError
        If no regular file can be written there, or if it would replace an input.
    """
    if not path.parent.is_dir():
        raise ValueError(f"{option} {path}: there is no folder {path.parent}.")
    try:
        check_writable(path)
    except OSError as error:
        raise ValueError(
            f"{option} {path}: no file can be written there ({error.strerror})."
        ) from error
    for source in inputs:
        if path.exists() and source.exists() and _is_part_of(path, source):
            of = "a file of " if source.is_dir() else ""
            raise ValueError(f"{option} {path}: this would replace {of}{source}.")


def _is_part_of(path: Path, source: Path) -> bool:
    """Return whether a file is the source, or a file in the folder."""
    is_inside = source.is_dir() and path.resolve().is_relative_to(source.resolve())
    return is_inside or path.samefile(source)
