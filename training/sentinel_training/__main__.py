"""Fits the failure classifier. Run it in the root of the repository; training/README.md says what it needs."""

from sentinel_shared import commands
from sentinel_shared.commands import Command

COMMANDS = {
    "lines": Command("lines", "fit the scorer that says which line of a log is the cause"),
    "train": Command("train", "fit the classifier and write the model's folder and the fixtures that go with it"),
    "retrain": Command("retrain", "fit a candidate on the records and on people's corrections"),
    "card": Command("card", "cross-validate the recipe with and without each of its parts, and write the model card"),
    "goldens": Command("goldens", "write the golden vectors that the Rust side is tested against"),
}


def main() -> None:
    commands.run("sentinel_training", str(__doc__), COMMANDS)


if __name__ == "__main__":
    main()
