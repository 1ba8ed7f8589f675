"""Labelled records, and the split that keeps repositories apart."""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from sentinel_shared.tables import NUMERICS

# Licences whose records may be copied into the repository, with their notice.
REDISTRIBUTABLE = {"MIT", "BSD-3-Clause", "Apache-2.0", "MPL-2.0", "Unlicense"}
# Origins whose logs are of GitHub Actions; and those that are retyped or expected output, which flatter every method.
ACTIONS_LIKE = ["gha-committed-log", "cidiff", "deploy-log", "whole-log"]
QUOTED = ["quoted-in-file", "scanner-fixture"]
# Fixed before this split was scored, and never changed to improve a figure.
SPLIT_SEED = 42
VALIDATION_FOLDS = 5
LINE_FOLDS = 5


@dataclass
class Records:
    """Records with their masked text, numerics (NaN where not measured), labels and groups, in one order."""

    rows: list[dict]
    telemetry: list[dict]
    texts: np.ndarray
    numerics: np.ndarray
    labels: np.ndarray
    groups: np.ndarray

    def take(self, chosen: np.ndarray) -> "Records":
        rows = [row for row, wanted in zip(self.rows, chosen) if wanted]
        telemetry = [row for row, wanted in zip(self.telemetry, chosen) if wanted]
        return Records(rows, telemetry, self.texts[chosen], self.numerics[chosen], self.labels[chosen], self.groups[chosen])

    def joined(self, other: "Records") -> "Records":
        both = [(self.texts, other.texts), (self.numerics, other.numerics), (self.labels, other.labels), (self.groups, other.groups)]
        return Records(self.rows + other.rows, self.telemetry + other.telemetry, *(np.concatenate(pair) for pair in both))


def read(path: Path, patterns: Path, sentinel: Path, work: Path, scorers: list[Path] | None = None) -> Records:
    """Reads labelled JSON lines, and has Rust turn each into masked text.

    `scorers` rank the lines of each log, one for each `fold`, which has not seen that fold's repositories; the
    program's own ranks them if there are none.
    """
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    folds = [fold(row) if scorers else 0 for row in rows]
    telemetry: list[dict] = [{}] * len(rows)
    for number, scorer in enumerate(scorers or [None]):
        part, out = work / f"{path.stem}.{number}.jsonl", work / f"{path.stem}.{number}.telemetry.jsonl"
        members = [at for at, fold in enumerate(folds) if fold == number]
        if not members:
            continue
        part.write_text("".join(json.dumps(rows[at]) + "\n" for at in members))
        command: list[Path | str] = [sentinel, "features", "--data", part, "--patterns", patterns, "--out", out]
        subprocess.run(command + (["--scorer", scorer] if scorer else []), check=True)
        for at, line in zip(members, out.read_text().splitlines()):
            telemetry[at] = json.loads(line)["telemetry"]
            rows[at]["telemetry"] = telemetry[at]
    return Records(
        rows,
        telemetry,
        np.array([row["text"] for row in telemetry], dtype=object),
        np.array([[row[name] for name in NUMERICS] for row in telemetry], dtype=float),
        np.array([row["label"] for row in rows]),
        np.array([group(row) for row in rows]),
    )


def matrix(rows: list[dict], fitted: Path, patterns: Path, sentinel: Path, work: Path) -> np.ndarray:
    """The features of `rows`, one row each, computed by Rust."""
    data, out = work / "rows.jsonl", work / "matrix.npy"
    kept = ("id", "label", "telemetry")
    data.write_text("".join(json.dumps({name: row[name] for name in kept}) + "\n" for row in rows))
    command: list[Path | str] = [sentinel, "features", "--data", data, "--patterns", patterns, "--fitted", fitted, "--out", out]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return np.load(out)


def group(row: dict) -> str:
    """What must not stand on both sides of a split: a repository, or one author's family of them."""
    repository = row.get("repo") or row["id"]
    return "link-*" if repository.split("/")[0].startswith("link-") else repository


def fold(row: dict) -> int:
    """The fold of a record's repository for the scorers of lines, whatever else is in the data."""
    return int(hashlib.sha1((row.get("repo") or row["id"]).encode()).hexdigest(), 16) % LINE_FOLDS


def validation_mask(records: Records) -> np.ndarray:
    """True for the records of the validation split: one fold of five, by repository."""
    folds = StratifiedGroupKFold(VALIDATION_FOLDS, shuffle=True, random_state=SPLIT_SEED)
    _, validation = next(folds.split(records.texts, records.labels, records.groups))
    mask = np.zeros(len(records.rows), dtype=bool)
    mask[validation] = True
    return mask


def may_redistribute(row: dict) -> bool:
    return (row.get("license") or "").removesuffix(" (repository)") in REDISTRIBUTABLE


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def scaler(numerics: np.ndarray) -> dict:
    """StandardScaler's mean_ and scale_ over what was measured; 0 and 1 for a column that never was."""
    measured = ~np.isnan(numerics)
    count = np.maximum(measured.sum(axis=0), 1)
    mean = np.where(measured, numerics, 0.0).sum(axis=0) / count
    variance = np.where(measured, (numerics - mean) ** 2, 0.0).sum(axis=0) / count
    scale = np.sqrt(variance)
    return {"mean": mean.tolist(), "scale": np.where(scale > 0, scale, 1.0).tolist()}
