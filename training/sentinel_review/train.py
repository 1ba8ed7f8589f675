"""Fits the reviewer on encoded hunks and chooses its calibration and thresholds on the validation split.

What is learned: that a hunk was mended later (all pieces), how severely and in which category, and which of its added
lines (repaired pieces only). A piece of a repaired hunk that holds no repaired line says nothing either way and is left
out.
"""

import argparse
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from .export import to_int8, to_onnx, write_manifest
from .model import Reviewer, Shape

SEVERITIES = ["nit", "suggestion", "bug", "critical"]


def load(path: Path, length: int) -> list[dict]:
    pieces = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            piece = json.loads(line)
            positive = piece["severity"] is not None
            if positive and not any(piece["repaired"]) or not piece["added_at"]:
                continue
            piece["ids"] = np.array(piece["ids"][:length], dtype=np.int32)
            pieces.append(piece)
    return pieces


def batches(pieces: list[dict], tokens: int, rng: random.Random | None) -> list[list[dict]]:
    """Pieces of like length together, so that little is padding; in random order where there is a generator."""
    key = (lambda piece: len(piece["ids"]) + rng.random() * 32) if rng else (lambda piece: len(piece["ids"]))
    made, batch, longest = [], [], 0
    for piece in sorted(pieces, key=key):
        longest = max(longest, len(piece["ids"]))
        if batch and longest * (len(batch) + 1) > tokens:
            made.append(batch)
            batch, longest = [], len(piece["ids"])
        batch.append(piece)
    made.append(batch)
    if rng:
        rng.shuffle(made)
    return made


def tensors(batch: list[dict], device: torch.device) -> tuple[Tensor, Tensor]:
    longest = max(len(piece["ids"]) for piece in batch)
    ids = np.zeros((len(batch), longest), dtype=np.int64)
    for row, piece in enumerate(batch):
        ids[row, : len(piece["ids"])] = piece["ids"]
    ids = torch.from_numpy(ids).to(device)
    return ids, (ids != 0).long()


def loss_of(model: Reviewer, batch: list[dict], device: torch.device) -> Tensor:
    ids, mask = tensors(batch, device)
    needs, severity, category, line = model(ids, mask)
    positive = torch.tensor([piece["severity"] is not None for piece in batch], device=device)
    # A surer label weighs more, but never chooses the side: conf is partly a function of size.
    loss = F.binary_cross_entropy_with_logits(needs, positive.float() * 0.9 + 0.05)
    if positive.any():
        targets = [(piece["severity"], piece["category"]) for piece in batch if piece["severity"] is not None]
        severities, categories = (torch.tensor(column, device=device) for column in zip(*targets))
        loss = loss + 0.3 * F.cross_entropy(severity[positive], severities)
        loss = loss + 0.3 * F.cross_entropy(category[positive], categories)
        lines = [line_loss(line[row], piece, device) for row, piece in enumerate(batch) if piece["severity"] is not None]
        loss = loss + 0.3 * torch.stack(lines).mean()
    return loss


def line_loss(scores: Tensor, piece: dict, device: torch.device) -> Tensor:
    """The share of probability that falls on repaired lines, among the added ones."""
    marks = [(at, repaired) for at, repaired in zip(piece["added_at"], piece["repaired"]) if at < len(piece["ids"])]
    if not any(repaired for _, repaired in marks):
        return scores.sum() * 0
    at, repaired = (torch.tensor(column, device=device) for column in zip(*marks))
    chances = scores[at].log_softmax(-1)
    return -chances[repaired].logsumexp(-1)


@torch.no_grad()
def predict(model: Reviewer, pieces: list[dict], device: torch.device, tokens: int) -> list[dict]:
    model.eval()
    rows = []
    for batch in batches(pieces, tokens, None):
        needs, severity, category, line = (out.float().cpu().numpy() for out in model(*tensors(batch, device)))
        for row, piece in enumerate(batch):
            marks = [at for at in piece["added_at"] if at < len(piece["ids"])]
            hit = None
            if piece["severity"] is not None and marks:
                hit = piece["repaired"][int(np.argmax(line[row][marks]))]
            rows.append({"piece": piece, "needs": float(needs[row]), "severity": int(severity[row].argmax()), "category": int(category[row].argmax()), "hit": hit})
    model.train()
    return rows


def report(rows: list[dict]) -> dict:
    truth = np.array([row["piece"]["severity"] is not None for row in rows])
    score = np.array([row["needs"] for row in rows])
    positive = [row for row in rows if row["piece"]["severity"] is not None]
    f1 = lambda key: f1_score([row["piece"][key] for row in positive], [row[key] for row in positive], average="macro")
    return {
        "pieces": len(rows),
        "base": float(truth.mean()),
        "roc_auc": float(roc_auc_score(truth, score)),
        "pr_auc": float(average_precision_score(truth, score)),
        "severity_f1": float(f1("severity")),
        "category_f1": float(f1("category")),
        "hit1": float(np.mean([row["hit"] for row in positive if row["hit"] is not None])),
        "random_hit1": float(np.mean([np.mean(row["piece"]["repaired"]) for row in positive])),
    }


def calibration_of(rows: list[dict]) -> dict:
    truth = [row["piece"]["severity"] is not None for row in rows]
    fitted = LogisticRegression(C=1e6).fit([[row["needs"]] for row in rows], truth)
    return {"a": float(fitted.coef_[0, 0]), "b": float(fitted.intercept_[0])}


def thresholds_of(rows: list[dict], calibration: dict, aim: float) -> dict:
    """Per predicted severity the lowest probability from which on at least `aim` were right, on at least 20 pieces.

    A severity for which there is none gets no threshold: it has not earned the right to speak.
    """
    thresholds = {}
    for index, name in enumerate(SEVERITIES):
        mine = [row for row in rows if row["severity"] == index]
        scored = sorted(((1 / (1 + math.exp(-(calibration["a"] * row["needs"] + calibration["b"]))), row["piece"]["severity"] is not None) for row in mine), reverse=True)
        right = 0
        for count, (probability, is_right) in enumerate(scored, 1):
            right += is_right
            if count >= 20 and right / count >= aim:
                thresholds[name] = round(probability, 4)
    return thresholds


def train(options: argparse.Namespace) -> None:
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rng = random.Random(options.seed)
    shape = Shape(width=options.width, heads=options.heads, layers=options.layers)
    model = Reviewer(shape).to(device)
    pieces, valid = load(options.train, options.length), load(options.valid, 512)
    plan = [batch for _ in range(options.epochs) for batch in batches(pieces, options.batch_tokens, rng)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=0.01, betas=(0.9, 0.98))
    warm = max(1, len(plan) // 20)
    schedule = lambda step: min((step + 1) / warm, 0.5 + 0.5 * math.cos(math.pi * step / len(plan)))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    print(f"{len(pieces)} pieces, {len(plan)} steps, {sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    started, recent = time.time(), []
    options.work.mkdir(parents=True, exist_ok=True)
    for step, batch in enumerate(plan):
        loss = loss_of(model, batch, device)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        recent.append(float(loss.detach()))
        if (step + 1) % options.report_every == 0:
            print(f"step {step + 1}/{len(plan)} loss {np.mean(recent):.4f} {time.time() - started:.0f} s", flush=True)
            recent.clear()
        if time.time() - started > options.minutes * 60:
            print("time is over: the schedule was cut short", flush=True)
            break
    rows = predict(model, valid, device, 8192)
    calibration = calibration_of(rows)
    thresholds = thresholds_of(rows, calibration, options.precision)
    figures = report(rows) | {"calibration": calibration, "thresholds": thresholds}
    print(json.dumps(figures), flush=True)
    torch.save({"shape": shape.as_json(), "weights": model.state_dict()}, options.work / "reviewer.pt")
    (options.work / "valid.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if options.out:
        to_onnx(model.cpu(), options.work / "fp32.onnx")
        to_int8(options.work / "fp32.onnx", options.out / "model.onnx")
        write_manifest(options.out, options.version, 512, calibration, thresholds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True, help="pieces of `sentinel encode`")
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="checkpoint and figures")
    parser.add_argument("--out", type=Path, help="the model's folder, which already has tokenizer.json")
    parser.add_argument("--version", default="review_v0.1")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--length", type=int, default=512, help="longer pieces are cut, in training only")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--minutes", type=float, default=25, help="stop training after this long")
    parser.add_argument("--precision", type=float, default=0.6, help="what thresholds aim at on the validation split")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report-every", type=int, default=100)
    parser.add_argument("--seed", type=int, default=42)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
