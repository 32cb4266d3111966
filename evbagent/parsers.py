"""Parsers of the command line's commands, which have some options in common."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evbagent.statefile import default_directory


def group(commands: Any, name: str, help_text: str) -> Any:
    """A command that has commands of its own."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=_sentence(help_text))
    return parser.add_subparsers(metavar="COMMAND", required=True)


def command(
    commands: Any,
    name: str,
    function: Callable[[argparse.Namespace], int],
    help_text: str,
    json: bool = True,
    state: bool = True,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=_sentence(help_text))
    parser.set_defaults(command=function)
    if json:
        parser.add_argument("-j", "--json", action="store_true", help="print JSON")
    if state:
        help_text = "where the state file and the control socket are (default: %(default)s)"
        parser.add_argument("--state-dir", type=Path, default=default_directory(), metavar="DIR", help=help_text)
    return parser


def _sentence(help_text: str) -> str:
    return help_text[0].upper() + help_text[1:] + "."
