"""`curve`: what more records would bring, and what the encoder brings beside counting.

On 25, 50 and 100 % of the records: one judge over a frozen encoder, with the pre-trained encoder, with an untrained one, and
with none at all; and the forest over counts and words, which needs no encoder. The rows are the trainer's own figures on
unseen repositories. Rows of an earlier run stay where this one makes none of that name.
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from . import words
from .data import Piece, load, subset
from .encoded import EncodedPieces
from .learning import LearningOptions, add_judges_arguments, add_learning_arguments, load_encoder, load_labelled, new_model
from .losses import ClassWeights, frozen_loss
from .model import Judge, Reviewer, split_verdict
from .run import FROZEN_DECAY, Run, optimizer_of, plan_of_rows
from .scores import by_record, report
from .side_models import fit_forest, word_and_count_features

SHARES = (0.25, 0.5, 1.0)


@dataclass(frozen=True, kw_only=True)
class Options(LearningOptions):
    heads_rate: float
    init: Path | None
    test: Path
    out: Path
    parts: list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_learning_arguments(parser, rate=2e-4)
    add_judges_arguments(parser)
    parser.add_argument("--test", type=Path, required=True, help="pieces of unseen repositories")
    parser.add_argument("--out", type=Path, required=True, help="a JSON file")
    parser.add_argument("--parts", nargs="+", choices=["forest", "judges"], default=["forest", "judges"])


def run(options: Options) -> None:
    if "judges" in options.parts and not options.init:
        raise SystemExit("judges learn from an encoder: --init names a checkpoint of pretrain")
    options.work.mkdir(parents=True, exist_ok=True)
    model = new_model(options)
    pieces = load_labelled(options, model)
    unseen = [piece for piece in load(options.test) if len(piece.ids) <= options.length]
    rows = []
    if "forest" in options.parts:
        rows += forest_curve(model, pieces, unseen, options)
    if "judges" in options.parts:
        rows += judge_curve(model, pieces, unseen, options)
    named = {row["encoder"] for row in rows}
    before = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else []
    kept = [row for row in before if row["encoder"] not in named]
    options.out.write_text(json.dumps(kept + rows, indent=1) + "\n", encoding="utf-8")


def rows_of_share(pieces: list[Piece], share: float) -> list[int]:
    chosen = {id(piece) for piece in subset(pieces, share)}
    return [row for row, piece in enumerate(pieces) if id(piece) in chosen]


def forest_curve(model: Reviewer, pieces: list[Piece], unseen: list[Piece], options: Options) -> list[dict]:
    pieces = [piece for piece in pieces if piece.compared]
    matrix, counts = word_and_count_features(model, pieces)
    unseen_matrix, unseen_counts = word_and_count_features(model, unseen)
    rows = []
    for share in SHARES:
        taken = rows_of_share(pieces, share)
        training = [pieces[row] for row in taken]
        words.fit(model.words, matrix[taken], training, [0, 0])
        forest = fit_forest(matrix[taken], counts[taken], training, options.seed, options.threads)
        by_word = unseen_matrix @ model.words.weight[:, 0].float().numpy() + float(model.words.bias[0])
        with torch.no_grad():
            needs = forest(torch.from_numpy(np.column_stack([unseen_counts, by_word]).astype(np.float32)))
        records = by_record([{"piece": piece, "needs": need} for piece, need in zip(unseen, needs.tolist())])
        auc = roc_auc_score([row["piece"].positive for row in records], [row["needs"] for row in records])
        learned_from = len({piece.record for piece in training})
        rows.append({"encoder": "the forest over counts and words", "share": share, "learned_from": learned_from, "roc_auc": float(auc)})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def judge_curve(model: Reviewer, pieces: list[Piece], unseen: list[Piece], options: Options) -> list[dict]:
    def encoded_with(encoder: str) -> tuple[EncodedPieces, EncodedPieces]:
        def at(name: str, some: list[Piece]) -> EncodedPieces:
            return EncodedPieces.at(options.work / f"{encoder}-{name}.pt", model, some, options.bf16)

        return at("train", pieces), at("test", unseen)

    encoders = {"an encoder that has learned nothing": encoded_with("blank")}
    load_encoder(Path(str(options.init)), model)
    pretrained = encoders["the pre-trained encoder"] = encoded_with("pretrained")
    encoders["the whole counted, not read; lines read as before"] = (without_encoding(pretrained[0]), without_encoding(pretrained[1]))

    rows = []
    for encoder, (training, test) in encoders.items():
        for share in SHARES:
            taken = rows_of_share(pieces, share)
            fit_judge(model, training, taken, pieces, options)
            figures = report(predict(model, test, unseen))
            learned_from = len({pieces[row].record for row in taken})
            rows.append({"encoder": encoder, "share": share, "learned_from": learned_from} | figures)
            print(json.dumps(rows[-1]), flush=True)
    return rows


def without_encoding(encoded: EncodedPieces) -> EncodedPieces:
    """Of the whole piece; its lines stay encoded."""
    return replace(encoded, read=torch.zeros_like(encoded.read))


def fit_judge(model: Reviewer, encoded: EncodedPieces, rows: list[int], pieces: list[Piece], options: Options) -> None:
    """A new judge, on these rows."""
    torch.manual_seed(options.seed)
    judge = Judge(model.shape.width, model.counts)
    judge.apply(Reviewer.init_weights)
    model.judges = torch.nn.ModuleList([judge.to(model.device)])
    plan = plan_of_rows(rows, options.epochs, options.seed)
    optimizer = optimizer_of([list(model.judges.parameters())], FROZEN_DECAY)
    weights = ClassWeights.of([pieces[row] for row in rows])
    # Not resumed from.
    checkpoint = options.work / "curve.pt"
    steps = Run(model, optimizer, [options.heads_rate], plan, options.seed, checkpoint)
    steps.train(lambda batch: frozen_loss(model, encoded, batch, pieces, weights), options.work / "curve.jsonl")


@torch.no_grad()
def predict(model: Reviewer, encoded: EncodedPieces, pieces: list[Piece]) -> list[dict]:
    """As `scores.predict`, from pieces that are encoded already."""
    model.eval()
    rows = []
    for start in range(0, len(pieces), 512):
        batch = pieces[start : start + 512]
        representation, counts = encoded.representation(list(range(start, start + len(batch))), model.device)
        verdict, line = model.judges[0](representation)
        needs, severity, category = (part.cpu().numpy() for part in split_verdict(verdict))
        for row, (piece, lines) in enumerate(zip(batch, line.squeeze(-1).split(counts))):
            order = (-lines).argsort(stable=True).cpu().numpy()
            rows.append({"piece": piece, "needs": float(needs[row]), "severity": severity[row], "category": category[row], "order": order})
    model.train()
    return rows
