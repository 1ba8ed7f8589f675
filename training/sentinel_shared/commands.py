"""The frame of a package's commands: `python -m PACKAGE COMMAND ...`.

Each command is a module with three things: `add_arguments` adds its arguments to a parser, `Options` is a frozen dataclass
with a field for each of them, and `run` takes that. Only the module that is asked for is imported, since each needs other
packages.
"""

import argparse
import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Command:
    # Of the package.
    module: str
    about: str


class Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Tells defaults, but not that there is none."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def run(package: str, about: str, commands: dict[str, Command], arguments: list[str] | None = None) -> None:
    """Runs the command that `arguments`, or else the command line, ask for."""
    listed = "\n".join(f"  {name:<14}{command.about}" for name, command in commands.items())
    parser = argparse.ArgumentParser(
        prog=f"python -m {package}", description=about, epilog=f"commands:\n{listed}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=commands, metavar="COMMAND")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="COMMAND --help lists them")
    given = parser.parse_args(arguments)
    command = commands[given.command]
    try:
        module = importlib.import_module(f"{package}.{command.module}")
    except ModuleNotFoundError as error:
        raise SystemExit(f"{parser.prog} {given.command}: {error.name} is not installed; training/README.md says what to install") from error
    options = parse(f"{parser.prog} {given.command}", command.about, module, given.arguments)
    module.run(options)


def parse(prog: str, about: str, module: Any, arguments: list[str] | None = None) -> Any:
    """The `Options` of a command's module."""
    parser = argparse.ArgumentParser(prog=prog, description=about, formatter_class=Formatter)
    module.add_arguments(parser)
    return module.Options(**vars(parser.parse_args(arguments)))
