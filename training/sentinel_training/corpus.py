"""The records that a model is fitted on, and the program that computes their features."""

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sentinel_shared.tables import CLASSES

from . import ROOT, data


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where the records are, and what turns them into features."""

    data: Path
    model: Path
    sentinel: Path
    work: Path | None

    @contextmanager
    def open(self) -> Iterator["Corpus"]:
        with workspace(self.work) as work:
            yield Corpus.read(self.data, self.model / "patterns.toml", self.sentinel, work)


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder of train.jsonl and train_more.jsonl")
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


@dataclass
class Corpus:
    records: data.Records
    # Further records, which count less.
    older: data.Records
    patterns: Path
    sentinel: Path
    work: Path
    # What people corrected on a running worker.
    feedback: data.Records | None = None

    @classmethod
    def read(cls, folder: Path, patterns: Path, sentinel: Path, work: Path) -> "Corpus":
        records, older = (data.read(folder / name, patterns, sentinel, work) for name in ("train.jsonl", "train_more.jsonl"))
        absent = sorted(set(CLASSES) - set(map(str, records.labels)))
        if absent:
            raise SystemExit(f"{folder / 'train.jsonl'} has no record of {', '.join(absent)}")
        return cls(records, older, patterns, sentinel, work)

    def read_more(self, path: Path) -> data.Records:
        """Records of another file, by the same patterns."""
        return data.read(path, self.patterns, self.sentinel, self.work)

    def only(self, chosen: np.ndarray) -> "Corpus":
        """Without the records that are not chosen; older records and feedback stay."""
        return replace(self, records=self.records.take(chosen))

    def write_rows(self, records: data.Records, name: str) -> None:
        """As a file of that name in the working folder."""
        (self.work / name).write_text("".join(json.dumps(row) + "\n" for row in records.rows))

    def matrix(self, rows: list[dict], fitted: Path) -> np.ndarray:
        return data.matrix(rows, fitted, self.patterns, self.sentinel, self.work)
