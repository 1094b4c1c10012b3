"""What the commands print: results on stdout, progress and messages on stderr."""

import json
import sys
from collections.abc import Callable

from sklenet._utils.printable import make_printable


def add_output_options(parser) -> None:
    """Add ``--json`` and ``--quiet``."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="print one JSON object")
    group.add_argument("--quiet", action="store_true", help="print nothing but errors")


def write_text(text: str, stream) -> None:
    """Write a line, or several, to stdout or stderr.

    Escape sequences and other control characters are written as Python spells them, and
    so are characters that the stream's encoding lacks.

    Parameters
    ----------
    text : str
    stream : text stream
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


def show(arguments, text: str, values: dict) -> None:
    """Print results, as text or as JSON."""
    if arguments.json:
        print(json.dumps(values, indent=2))
    elif not arguments.quiet and text:
        write_text(text, sys.stdout)


def teller(arguments) -> Callable[[str], None]:
    """Return a function that prints a line of progress, or nothing with ``--quiet``."""
    if arguments.quiet:
        return lambda line: None
    return lambda line: write_text(line, sys.stderr)
