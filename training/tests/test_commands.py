"""The command lines of both packages: `python -m sentinel_training`, `python -m sentinel_review`."""

import contextlib
import dataclasses
import importlib
import importlib.util
import io
import unittest
from argparse import ArgumentParser
from types import ModuleType

from sentinel_shared import commands
from sentinel_shared.commands import Command

PACKAGES = ["sentinel_review", "sentinel_training"]
HAS_TORCH = importlib.util.find_spec("torch") is not None


def command_modules() -> list[tuple[str, ModuleType]]:
    """Those that can be imported here: most of the review model's need torch."""
    found = []
    for package in PACKAGES:
        for name, command in importlib.import_module(f"{package}.__main__").COMMANDS.items():
            try:
                found.append((f"{package} {name}", importlib.import_module(f"{package}.{command.module}")))
            except ModuleNotFoundError as error:
                if error.name != "torch":
                    raise
    return found


class Commands(unittest.TestCase):
    def test_every_commands_arguments_are_the_fields_of_its_options(self) -> None:
        for name, module in command_modules():
            with self.subTest(name):
                parser = ArgumentParser(add_help=False)
                module.add_arguments(parser)
                self.assertEqual({action.dest for action in parser._actions}, {field.name for field in dataclasses.fields(module.Options)})
                self.assertTrue(module.Options.__dataclass_params__.frozen)
                self.assertTrue(callable(module.run))

    def test_what_needs_no_torch_does_without_it(self) -> None:
        names = {name.split()[1] for name, _ in command_modules()}
        without = {"before-after", "card", "choose", "compare", "controls", "goldens", "retrain", "train", "vocabulary"}
        self.assertEqual(names & without, without)
        self.assertEqual(HAS_TORCH, "fit" in names)

    def test_help_lists_the_commands_and_an_unknown_one_is_refused(self) -> None:
        known = {"card": Command("card", "write the card")}
        for arguments, status, expected in [(["--help"], 0, "write the card"), (["cart"], 2, "invalid choice"), ([], 2, "COMMAND")]:
            output = io.StringIO()
            with self.assertRaises(SystemExit) as ended, contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                commands.run("sentinel_review", "About.", known, arguments)
            self.assertEqual(ended.exception.code, status)
            self.assertIn(expected, output.getvalue())

    def test_a_package_that_is_not_installed_is_named(self) -> None:
        known = {"sing": Command("no_such_module", "needs a package that nobody has")}
        with self.assertRaisesRegex(SystemExit, "sentinel_review sing: .*no_such_module is not installed; training/README.md says"):
            commands.run("sentinel_review", "About.", known, ["sing"])


if __name__ == "__main__":
    unittest.main()
