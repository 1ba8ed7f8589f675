"""The records that a model is fitted on, and the program that computes their features."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sentinel_shared.tables import CLASSES

from . import data, lines
from .sources import Sources, workspace


@contextmanager
def opened(sources: Sources) -> Iterator["Corpus"]:
    """The corpus of these sources, with a working folder."""
    with workspace(sources.work) as work:
        yield Corpus.read(sources.data, sources.model / "patterns.toml", sources.sentinel, work)


def fold_scorers(folder: Path, sentinel: Path, work: Path) -> list[Path] | None:
    """Scorers of lines for the training records; None if the folder has no whole logs to fit them on."""
    if not (folder / "whole_logs.jsonl").exists():
        return None
    fitted = lines.read(folder, sentinel, work)
    paths = [work / f"fold{number}.forest" for number in range(data.LINE_FOLDS)]
    for number, path in enumerate(paths):
        path.write_bytes(lines.to_bytes(fitted.fit(number)))
    return paths


@dataclass
class Corpus:
    records: data.Records
    # Further records, which count less.
    older: data.Records
    patterns: Path
    sentinel: Path
    work: Path
    # Whole logs, which are what is served.
    whole: data.Records | None = None
    # One scorer of lines for each fold; see `lines`.
    scorers: list[Path] | None = None
    # What people corrected on a running worker.
    feedback: data.Records | None = None

    @classmethod
    def read(cls, folder: Path, patterns: Path, sentinel: Path, work: Path) -> "Corpus":
        scorers = fold_scorers(folder, sentinel, work)
        records, older = (data.read(folder / name, patterns, sentinel, work, scorers) for name in ("train.jsonl", "train_more.jsonl"))
        whole = data.read(folder / "whole_logs.jsonl", patterns, sentinel, work, scorers) if scorers else None
        absent = sorted(set(CLASSES) - set(map(str, records.labels)))
        if absent:
            raise SystemExit(f"{folder / 'train.jsonl'} has no record of {', '.join(absent)}")
        return cls(records, older, patterns, sentinel, work, whole, scorers)

    def read_more(self, path: Path) -> data.Records:
        """Records of another file, by the same patterns."""
        return data.read(path, self.patterns, self.sentinel, self.work, self.scorers)

    def only(self, chosen: np.ndarray) -> "Corpus":
        """Without the records that are not chosen; older records and feedback stay."""
        return replace(self, records=self.records.take(chosen))

    def write_rows(self, records: data.Records, name: str) -> None:
        """As a file of that name in the working folder."""
        (self.work / name).write_text("".join(json.dumps(row) + "\n" for row in records.rows))

    def matrix(self, rows: list[dict], fitted: Path) -> np.ndarray:
        return data.matrix(rows, fitted, self.patterns, self.sentinel, self.work)
