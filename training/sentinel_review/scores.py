"""Figures of a model on encoded pieces: the trainer's own view. `sentinel eval review` is the one that counts."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from .data import Piece, batches, load, tensors
from .model import Reviewer, Shape


@dataclass(frozen=True)
class Options:
    model: Path
    data: Path
    threads: int
    bf16: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="reviewer.pt")
    parser.add_argument("--data", type=Path, required=True, help="pieces of `sentinel encode`")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action="store_true", help="half the width of numbers where that loses nothing")


def run(options: Options) -> None:
    torch.set_num_threads(options.threads)
    print(json.dumps(report(predict(restore(options.model), load(options.data), options.bf16)), indent=2))


def restore(path: Path) -> Reviewer:
    state = torch.load(path, map_location="cpu")
    model = Reviewer(Shape(**state["shape"]))
    model.load_state_dict(state["weights"])
    return model


@torch.no_grad()
def predict(model: Reviewer, pieces: list[Piece], bf16: bool = False) -> list[dict]:
    """One row a piece, in no order: its logits and the place of the likeliest added line."""
    model.eval()
    rows = []
    for batch in batches(pieces, 8192, None):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            needs, severity, category, line = (out.float().numpy() for out in model(*tensors(batch, torch.device("cpu"))))
        for row, piece in enumerate(batch):
            order = np.argsort(-line[row][piece.added_at], kind="stable")
            rows.append({"piece": piece, "needs": float(needs[row]), "severity": severity[row], "category": category[row], "order": order})
    model.train()
    return rows


def by_record(rows: list[dict]) -> list[dict]:
    """The row of each record's piece with the highest score of the need for a comment."""
    records: dict[int, dict] = {}
    for row in rows:
        best = records.get(row["piece"].record)
        if best is None or row["needs"] > best["needs"]:
            records[row["piece"].record] = row
    return list(records.values())


def report(rows: list[dict]) -> dict:
    records = by_record(rows)
    truth = np.array([row["piece"].positive for row in records])
    score = np.array([row["needs"] for row in records])
    positive = [row for row in rows if row["piece"].repaired.any()]

    def f1(key: str) -> float:
        return float(f1_score([getattr(row["piece"], key) for row in positive], [int(row[key].argmax()) for row in positive], average="macro"))

    hits = [bool(row["piece"].repaired[row["order"][0]]) for row in positive]
    chance = [row["piece"].repaired.mean() for row in positive]
    many = [at for at, row in enumerate(positive) if len(row["order"]) > 4]
    return {
        "records": len(records),
        "base": float(truth.mean()),
        "roc_auc": float(roc_auc_score(truth, score)),
        "pr_auc": float(average_precision_score(truth, score)),
        "severity_f1": f1("severity"),
        "category_f1": f1("category"),
        "hit1": float(np.mean(hits)),
        "random_hit1": float(np.mean(chance)),
        "hit1_many": float(np.mean([hits[at] for at in many])),
        "random_hit1_many": float(np.mean([chance[at] for at in many])),
    }
