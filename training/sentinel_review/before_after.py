"""What a team's own history brings: reports of the served model and of one tuned to a repository, on its newest hunks.

Each folder is one that `sentinel mine` wrote, with `before.json` and `after.json` of `sentinel eval review --json` on its
`valid.jsonl` and `test.jsonl`, of which `tune` saw nothing.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from .data import read


def write(options: argparse.Namespace) -> None:
    rows, whole = [], []
    for folder in options.folders:
        reports = [json.loads((folder / f"{when}.json").read_text(encoding="utf-8")) for when in ("before", "after")]
        repositories = [record["repo"] for record in read(folder / "train.jsonl")]
        rows.append(figures(repositories[0], len(repositories), [[report] for report in reports]))
        whole.append(reports)
    rows.append(figures("all", sum(row["learned_from"] for row in rows), list(zip(*whole))))
    options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def figures(name: str, learned_from: int, reports: list[list[dict]]) -> dict:
    """Each figure before and after, of one or more repositories' reports taken together."""
    row = {"repository": name, "learned_from": learned_from, "hunks": sum(each["n"] for each in reports[0])}
    row["mended"] = sum(each["severity"]["n"] for each in reports[0])
    for what in ("severity", "category"):
        counts = [confusion([each[what]["confusion"] for each in of_one]) for of_one in reports]
        row[f"{what}_right"] = [float(np.trace(each) / each.sum()) for each in counts]
        row[f"{what}_macro_f1"] = [macro_f1(each) for each in counts]
    # Of each repository for itself: scores of different models have no order among each other.
    row["roc_auc"] = [mean([(each["needs_comment"]["roc_auc"], each["n"]) for each in of_one]) for of_one in reports]
    return row


def confusion(parts: list[dict]) -> np.ndarray:
    """[labels, predictions] of the classes that were or were said."""
    names = sorted({name for part in parts for label, said in part.items() for name in (label, *said)})
    return np.array([[sum(part.get(label, {}).get(said, 0) for part in parts) for said in names] for label in names])


def macro_f1(counts: np.ndarray) -> float:
    """The mean of the classes that there are."""
    there = counts.sum(1) > 0
    return float((2 * np.diag(counts) / (counts.sum(0) + counts.sum(1)).clip(min=1))[there].mean())


def mean(weighed: list[tuple[float, int]]) -> float:
    values, weights = zip(*weighed)
    return float(np.average(values, weights=weights))
