"""Where the records are, which program computes their features, and where intermediate files go."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import ROOT


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where the records are, and what turns them into features."""

    data: Path
    model: Path
    sentinel: Path
    work: Path | None


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder of train.jsonl, train_more.jsonl, and for whole logs whole_logs.jsonl and cause_lines.jsonl")
    add_program_arguments(parser)


def add_program_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, default=ROOT / "models/failure", help="the model's folder, with patterns.toml")
    parser.add_argument("--sentinel", type=Path, default=ROOT / "target/debug/sentinel", help="the Rust program")
    parser.add_argument("--work", type=Path, help="where to leave intermediate files; a temporary folder if not given")


@contextmanager
def workspace(folder: Path | None) -> Iterator[Path]:
    """The folder, or a temporary one."""
    with tempfile.TemporaryDirectory() as temporary:
        work = folder or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        yield work
