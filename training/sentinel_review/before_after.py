"""What a team's own history brings: reports of the served model and of one tuned to a repository, on its newest hunks.

Each folder is one that `sentinel mine` wrote, with `before.json` and `after.json` of `sentinel eval review --json` on its
`valid.jsonl` and `test.jsonl`, of which `tune` saw nothing.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from .records import read


@dataclass(frozen=True)
class Options:
    folders: list[Path]
    out: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", type=Path, help="of `sentinel mine`, with before.json and after.json")
    parser.add_argument("--out", type=Path, required=True, help="a JSON file")


def run(options: Options) -> None:
    rows, whole = [], []
    for folder in options.folders:
        reports = [json.loads((folder / f"{when}.json").read_text(encoding="utf-8")) for when in ("before", "after")]
        repositories = [record["repo"] for record in read(folder / "train.jsonl")]
        rows.append(figures(repositories[0], len(repositories), [[report] for report in reports]))
        whole.append(reports)
    rows.append(figures("all", sum(row["learned_from"] for row in rows), list(map(list, zip(*whole)))))
    options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def figures(name: str, learned_from: int, reports: list[list[dict]]) -> dict:
    """Each figure before and after, of one or more repositories' reports taken together."""
    row = {"repository": name, "learned_from": learned_from, "hunks": sum(each["n"] for each in reports[0])}
    row["mended"] = sum(each["severity"]["n"] for each in reports[0])
    for what in ("severity", "category"):
        counted = [pairs([each[what]["confusion"] for each in of_one]) for of_one in reports]
        row[f"{what}_right"] = [float(accuracy_score(truth, predicted, sample_weight=count)) for truth, predicted, count in counted]
        row[f"{what}_macro_f1"] = [macro_f1(truth, predicted, count) for truth, predicted, count in counted]
    # Of each repository for itself: scores of different models have no order among each other.
    weights = [each["n"] for each in reports[0]]
    row["roc_auc"] = [float(np.average([each["needs_comment"]["roc_auc"] for each in of_one], weights=weights)) for of_one in reports]
    return row


def pairs(confusions: list[dict]) -> tuple[tuple, ...]:
    """Labels, predictions, and how often each pair occurred."""
    return tuple(zip(*((label, predicted, count) for each in confusions for label, row in each.items() for predicted, count in row.items())))


def macro_f1(truth: tuple, predicted: tuple, count: tuple) -> float:
    """Of the classes that there are, as `sentinel eval review` has it."""
    return float(f1_score(truth, predicted, sample_weight=count, average="macro", labels=sorted(set(truth))))
