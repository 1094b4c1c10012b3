"""The command ``sklenet``."""

import argparse
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import sklenet
from sklenet.cli import model, study
from sklenet.cli.output import write_text

OK, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130

_DESCRIPTION = """\
LeNet-5 as a scikit-learn estimator, and its studies.

  sklenet data                                     which data sets are here
  sklenet fit --data digits --out model            train
  sklenet predict model digit.png                  read a photo of a digit
  sklenet study benchmarks/studies/digits.toml --dry-run   what a study would do
  sklenet study benchmarks/studies/digits.toml             do it, or go on with it
  sklenet report results/digits                    its tables, pictures and page
"""

_EPILOG = """\
exit codes: 0 done; 1 done, but fits of a study failed, images could not be read or a
report is incomplete, or an unexpected error; 2 wrong input, with a message; 130
interrupted by Ctrl-C; 143 ended by SIGTERM. Results go to stdout, progress and messages to
stderr. SKLENET_TRACEBACK=1 adds Python's traceback to an error.
"""


class _EndedBySignal(SystemExit):
    """A signal that asks the process to end, as an exception that cleans up on its way."""


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="sklenet",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=sklenet.__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (model, study):
        module.add_commands(commands)
    arguments = parser.parse_args(argv)
    try:
        with _cleaning_up_on_signals():
            return arguments.run(arguments)
    except KeyboardInterrupt:
        write_text("sklenet: interrupted", sys.stderr)
        return INTERRUPTED
    except _EndedBySignal as end:
        number = int(str(end.code))
        write_text(f"sklenet: ended by {signal.Signals(number).name}", sys.stderr)
        return 128 + number
    except BrokenPipeError:  # by `| head`
        sys.stderr.close()
        return OK
    except (ValueError, OSError) as error:
        _tell_error(f"error: {error}")
        return WRONG
    except Exception as error:
        _tell_error(f"unexpected error: {type(error).__name__}: {error}"[:_MAX_MESSAGE])
        return FAILED


_MAX_MESSAGE = 2000


def _tell_error(message: str) -> None:
    if os.environ.get("SKLENET_TRACEBACK") == "1":
        traceback.print_exc()
    write_text(f"sklenet: {message}", sys.stderr)


@contextmanager
def _cleaning_up_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an exception, so that worker processes are ended.

    Handlers that somebody else has set, such as those of ``nohup``, stay; so do all of
    them outside the main thread, where Python allows no others.
    """
    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    ours = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]

    def end(number, frame):
        raise _EndedBySignal(number)

    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
