"""The argument parser of the command, and values of options."""

import argparse
import difflib
import sys
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from sklenet._utils.printable import make_printable
from sklenet.study.config.values import find_problem, short_repr


class ArgumentParser(argparse.ArgumentParser):
    """An argument parser that rejects abbreviated options and suggests similar ones.

    Parameters
    ----------
    **options
        Parameters of :class:`argparse.ArgumentParser`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def parse_known_args(self, args=None, namespace=None):
        """Parse arguments; exit with an error message if one of them is unknown."""
        args = sys.argv[1:] if args is None else list(args)
        # By itself, argparse first complains that a required option is missing, although
        # it may only be misspelled.
        for option in self._iter_options(args):
            if option not in self._option_string_actions:
                self._reject(option)
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self._reject(unknown[0])
        return namespace, unknown

    def _iter_options(self, args: Sequence[str]) -> Iterator[str]:
        """Yield the long options among the arguments, up to the name of a subcommand."""
        for argument in args:
            if argument == "--" or (self._subparsers and not argument.startswith("-")):
                return
            option = argument.partition("=")[0]
            if option.startswith("--") and " " not in option:
                yield option

    def _reject(self, argument: str) -> NoReturn:
        """Exit with a message about an unknown argument that names similar options."""
        known = [name[2:] for name in self._option_string_actions if name[:2] == "--"]
        similar: list[str] = []
        if argument.startswith("--"):
            name = argument[2:100]
            similar = [option for option in known if option.startswith(name)]
            similar = similar or difflib.get_close_matches(name, known)
        names = " or ".join(f"--{option}" for option in similar)
        hint = f"Did you mean {names}? " if similar else ""
        self.error(
            f"unrecognized argument: {make_printable(argument)}. {hint}Run"
            f" `{self.prog} --help` for a list of the options."
        )


def parse_value(text: str):
    """Return the value of a parameter from a TOML value, ``none``, or any other text."""
    if text == "none":
        return None
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        try:
            value = float(text)  # TOML does not allow numbers such as ".01"
        except ValueError:
            value = text
    problem = find_problem(value, finite=False)
    if problem:
        raise argparse.ArgumentTypeError(f"{short_repr(value)} {problem[1]}")
    return value
