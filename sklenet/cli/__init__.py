"""The command ``sklenet``."""

import argparse
import sys

import sklenet
from sklenet.cli import model, study

OK, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130

_DESCRIPTION = """\
LeNet-5 as a scikit-learn estimator, and its studies.

  sklenet data                                     which data sets are here
  sklenet fit --data digits --out model            train
  sklenet predict model digit.png                  read a photo of a digit
  sklenet study benchmarks/digits.toml --dry-run   what a study would do
  sklenet study benchmarks/digits.toml             do it, or go on with it
  sklenet report results/digits                    its tables, pictures and page
"""

_EPILOG = """\
exit codes: 0 done; 1 done, but fits of a study failed or images could not be read; 2 wrong
input, with a message; 130 interrupted by Ctrl-C. Results go to stdout, progress and
messages to stderr.
"""


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
        return arguments.run(arguments)
    except KeyboardInterrupt:
        print("sklenet: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # by `| head`
        sys.stderr.close()
        return OK
    except (ValueError, OSError) as error:
        print(f"sklenet: error: {error}", file=sys.stderr)
        return WRONG
