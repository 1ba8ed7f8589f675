"""Labelled records, and the split that keeps repositories apart."""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

# Licences whose records may be copied into the repository, with their notice.
REDISTRIBUTABLE = {"MIT", "BSD-3-Clause", "Apache-2.0", "MPL-2.0", "Unlicense"}
# Chosen before any result was seen, and never changed to improve one.
SPLIT_SEED = 42
VALIDATION_FOLDS = 5


@dataclass
class Records:
    """Records with their masked text, labels and groups; arrays share one order."""

    rows: list[dict]
    texts: np.ndarray
    labels: np.ndarray
    groups: np.ndarray

    def take(self, chosen: np.ndarray) -> "Records":
        rows = [row for row, wanted in zip(self.rows, chosen) if wanted]
        return Records(rows, self.texts[chosen], self.labels[chosen], self.groups[chosen])


def read(path: Path, patterns: Path, sentinel: Path, work: Path) -> Records:
    """Reads labelled JSON lines, and has Rust turn each into masked text."""
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    out = work / f"{path.stem}.telemetry.jsonl"
    subprocess.run([sentinel, "features", "--data", path, "--patterns", patterns, "--out", out], check=True)
    texts = [json.loads(line)["telemetry"]["text"] for line in out.read_text().splitlines()]
    return Records(
        rows,
        np.array(texts, dtype=object),
        np.array([row["label"] for row in rows]),
        np.array([group(row) for row in rows]),
    )


def matrix(rows: list[dict], fitted: Path, patterns: Path, sentinel: Path, work: Path) -> np.ndarray:
    """The 884-column matrix of `rows`, computed by Rust."""
    data, out = work / "rows.jsonl", work / "matrix.npy"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sentinel, "features", "--data", data, "--patterns", patterns, "--fitted", fitted, "--out", out]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return np.load(out)


def group(row: dict) -> str:
    """What must not stand on both sides of a split: a repository, or one author's family of them."""
    repository = row.get("repo") or row["id"]
    return "link-*" if repository.split("/")[0].startswith("link-") else repository


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
