"""The command ``sklenet``."""

import argparse
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import sklenet
from sklenet.cli import data, model, page, study
from sklenet.cli.output import write_text
from sklenet.cli.parser import ArgumentParser

EXIT_OK, EXIT_FAILED, EXIT_INVALID_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130

_DESCRIPTION = """\
Train LeNet-5 classifiers, classify images with them, and run hyperparameter studies.

examples:
  sklenet data                          list the datasets
  sklenet fit --data digits --out model
                                        train a model on a dataset and save it
  sklenet predict model digit.png       classify an image with a saved model
  sklenet page model --out lenet.html   write a page on which the model reads drawings
  sklenet study benchmarks/studies/digits.toml --dry-run
                                        list the fits of a study and estimate their time
  sklenet study benchmarks/studies/digits.toml
                                        run a study, or resume it
  sklenet study --example > my.toml     write a study file to begin with
  sklenet report results/digits         write the report of a study again
"""

_EPILOG = """\
Results are printed to stdout, progress and error messages to stderr. Set the environment
variable SKLENET_TRACEBACK=1 to print the traceback of an error.

exit status:
  0    success
  1    completed with failures (fits of a study that failed, images that could not be
       read, the report of a study that is not finished), or an unexpected error
  2    invalid input
  130  interrupted by Ctrl-C
  143  terminated by SIGTERM
"""

_MAX_MESSAGE = 2000


class _TerminatedBySignal(SystemExit):
    """A signal that terminates the process, as an exception that runs cleanup code."""


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments of the command, without its name. If `None`, those of the process.

    Returns
    -------
    int
        The exit status.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = _make_parser().parse_args(argv)
    arguments.command = shlex.join(["sklenet", *argv])
    try:
        with _raise_on_termination_signals():
            return arguments.run(arguments)
    except KeyboardInterrupt:
        write_text("sklenet: interrupted", sys.stderr)
        return EXIT_INTERRUPTED
    except _TerminatedBySignal as error:
        number = int(str(error.code))
        write_text(f"sklenet: ended by {signal.Signals(number).name}", sys.stderr)
        return 128 + number
    except BrokenPipeError:  # stdout is a pipe that has been closed, as by `| head`
        sys.stderr.close()
        return EXIT_OK
    except (ValueError, OSError) as error:
        _print_error(f"error: {error}")
        return EXIT_INVALID_INPUT
    except Exception as error:
        _print_error(f"unexpected error: {type(error).__name__}: {error}"[:_MAX_MESSAGE])
        return EXIT_FAILED


def _make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="sklenet",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=sklenet.__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (data, model, page, study):
        module.add_commands(commands)
    return parser


def _print_error(message: str) -> None:
    if os.environ.get("SKLENET_TRACEBACK") == "1":
        traceback.print_exc()
    write_text(f"sklenet: {message}", sys.stderr)


@contextmanager
def _raise_on_termination_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an exception, so that worker processes are terminated.

    Handlers that are already set, such as those of ``nohup``, are left in place. Outside
    the main thread, where Python does not allow setting handlers, nothing is changed.
    """
    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    changed = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]

    def raise_exception(number, frame):
        raise _TerminatedBySignal(number)

    for number in changed:
        signal.signal(number, raise_exception)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
