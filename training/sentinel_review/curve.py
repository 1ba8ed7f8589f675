"""The learning curve: what more records would bring, and what reading brings beside counting.

On 25, 50 and 100 % of the records: one judge over a frozen encoder, with the pre-trained encoder, with one that has learned
nothing, and with none at all; and the forest over counts and words, which reads nothing. The rows are the trainer's own
figures on unseen repositories. Rows of an earlier run stay where this one makes none of that name.
"""

import argparse
import json
from dataclasses import replace

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from . import words
from .data import Piece, load
from .model import Judge, Reviewer, split
from .scores import by_record, report
from .train import FROZEN_DECAY, Memory, Run, Weights, begin_from, chosen, frozen_loss, glance, grow, labelled, new_model, optimizer_of, plan_of_rows

SHARES = (0.25, 0.5, 1.0)


def draw(options: argparse.Namespace) -> None:
    if "judges" in options.parts and not options.init:
        raise SystemExit("judges learn from an encoder: --init names a checkpoint of pretrain")
    device = torch.device(options.device)
    options.work.mkdir(parents=True, exist_ok=True)
    model = new_model(options, device)
    pieces, unseen = labelled(options, model, device), [piece for piece in load(options.test) if len(piece.ids) <= options.length]
    rows = []
    if "forest" in options.parts:
        rows += of_forests(model, pieces, unseen, options, device)
    if "judges" in options.parts:
        rows += of_judges(model, pieces, unseen, options, device)
    named = {row["encoder"] for row in rows}
    before = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else []
    kept = [row for row in before if row["encoder"] not in named]
    options.out.write_text(json.dumps(kept + rows, indent=1) + "\n", encoding="utf-8")


def of_forests(model: Reviewer, pieces: list[Piece], unseen: list[Piece], options: argparse.Namespace, device: torch.device) -> list[dict]:
    pieces = [piece for piece in pieces if piece.compared]
    table, counted = glance(model, pieces, device)
    strange_table, strange_counted = glance(model, unseen, device)
    rows = []
    for share in SHARES:
        some = {id(piece) for piece in chosen(pieces, share)}
        taken = [row for row, piece in enumerate(pieces) if id(piece) in some]
        learnt = [pieces[row] for row in taken]
        words.fit(model.words, table[taken], learnt, [0, 0])
        grown = grow(table[taken], counted[taken], learnt, options)
        by_word = strange_table @ model.words.weight[:, 0].float().numpy() + float(model.words.bias[0])
        with torch.no_grad():
            needs = grown(torch.from_numpy(np.column_stack([strange_counted, by_word]).astype(np.float32)))
        records = by_record([{"piece": piece, "needs": need} for piece, need in zip(unseen, needs.tolist())])
        auc = roc_auc_score([row["piece"].positive for row in records], [row["needs"] for row in records])
        learned_from = len({piece.record for piece in learnt})
        rows.append({"encoder": "the forest over counts and words", "share": share, "learned_from": learned_from, "roc_auc": float(auc)})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def of_judges(model: Reviewer, pieces: list[Piece], unseen: list[Piece], options: argparse.Namespace, device: torch.device) -> list[dict]:
    def remember(encoder: str) -> tuple[Memory, Memory]:
        named = [("train", pieces), ("test", unseen)]
        learnt, strange = (Memory.at(options.work / f"{encoder}-{name}.pt", model, some, device, options.bf16) for name, some in named)
        return learnt, strange

    memories = {"an encoder that has learned nothing": remember("blank")}
    begin_from(options.init, model, device)
    heard = memories["the pre-trained encoder"] = remember("pretrained")
    memories["the whole counted, not read; lines read as before"] = (deaf(heard[0]), deaf(heard[1]))

    rows = []
    for encoder, (seen, to_judge) in memories.items():
        for share in SHARES:
            some = {id(piece) for piece in chosen(pieces, share)}
            teach(model, seen, [row for row, piece in enumerate(pieces) if id(piece) in some], pieces, options, device)
            figures = report(judged(model, to_judge, unseen, device))
            learned_from = len({piece.record for piece in pieces if id(piece) in some})
            rows.append({"encoder": encoder, "share": share, "learned_from": learned_from} | figures)
            print(json.dumps(rows[-1]), flush=True)
    return rows


def deaf(memory: Memory) -> Memory:
    return replace(memory, read=torch.zeros_like(memory.read))


def teach(model: Reviewer, memory: Memory, rows: list[int], pieces: list[Piece], options: argparse.Namespace, device: torch.device) -> None:
    """A new judge, of these rows."""
    torch.manual_seed(options.seed)
    judge = Judge(model.shape.width, model.counts)
    judge.apply(Reviewer._initial)
    model.judges = torch.nn.ModuleList([judge.to(device)])
    plan = plan_of_rows(rows, options.epochs, options.seed)
    optimizer = optimizer_of([list(model.judges.parameters())], FROZEN_DECAY)
    weights = Weights.of([pieces[row] for row in rows])
    unkept = options.work / "curve.pt"
    run = Run(model, optimizer, [options.heads_rate], plan, options.seed, device, False, unkept)
    run.go(lambda batch: frozen_loss(model, memory, batch, pieces, device, weights), float("inf"), options.work / "curve.jsonl")


@torch.no_grad()
def judged(model: Reviewer, memory: Memory, pieces: list[Piece], device: torch.device) -> list[dict]:
    """As `scores.predict`, from memory."""
    model.eval()
    rows = []
    for start in range(0, len(pieces), 512):
        batch = pieces[start : start + 512]
        seen, counts = memory.impression(list(range(start, start + len(batch))), device)
        verdict, line = model.judges[0](seen)
        needs, severity, category = (part.cpu().numpy() for part in split(verdict))
        for row, (piece, lines) in enumerate(zip(batch, line.squeeze(-1).split(counts))):
            order = (-lines).argsort(stable=True).cpu().numpy()
            rows.append({"piece": piece, "needs": float(needs[row]), "severity": severity[row], "category": category[row], "order": order})
    model.train()
    return rows
