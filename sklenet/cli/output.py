"""What the commands print: figures on stdout, progress on stderr."""

import json
import sys
from collections.abc import Callable


def add_output_options(parser) -> None:
    """Add ``--json`` and ``--quiet``."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="print one JSON object")
    group.add_argument("--quiet", action="store_true", help="print nothing but errors")


def show(arguments, text: str, values: dict) -> None:
    """Print figures, as text or as JSON."""
    if arguments.json:
        print(json.dumps(values, indent=2))
    elif not arguments.quiet and text:
        print(text)


def teller(arguments) -> Callable[[str], None]:
    """Return what prints a line of progress, or nothing with ``--quiet``."""
    if arguments.quiet:
        return lambda line: None
    return lambda line: print(line, file=sys.stderr, flush=True)
