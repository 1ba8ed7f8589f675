"""How far severity and category can be told at all: a judge of words that knows, from hindsight, which lines were mended.

No model is told that. What such a judge still gets wrong is not for want of finding the place: words do not say it, the cause
lies elsewhere, or the label, which is what somebody called the repair, does not follow from the code.
"""

import argparse
import json
from dataclasses import replace

import numpy as np
import torch
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from sentinel_shared.tables import CATEGORIES, SEVERITIES

from .data import Piece, load
from .model import Reviewer
from .train import glance
from .vocabulary import ADDED, CONTEXT, REMOVED
from .words import KIND_FREEDOM


def measure(options: argparse.Namespace) -> None:
    # Of which only the tables are used that tell words apart.
    model = Reviewer.reading(options.tokenizer, width=64, layers=1)
    learnt, unseen = mended(load(options.train)), mended(load(options.test))
    if options.extra:
        learnt += mended(load(options.extra, False, {piece.repo for piece in learnt}))

    def bag(pieces: list[Piece]) -> csr_matrix:
        return glance(model, pieces, torch.device("cpu"))[0]

    words = [bag(learnt), bag(unseen)]
    told = [hstack([bags, bag([only_mended(piece) for piece in pieces])], "csr") for bags, pieces in zip(words, (learnt, unseen))]
    rows = [
        {"judge": judge, "hunks": len(unseen)} | {what: macro_f1(bags, learnt, unseen, what, classes) for what, classes in KINDS}
        for judge, bags in [("words of the hunk", words), ("the same, told in hindsight which lines were mended", told)]
    ]
    options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(rows, indent=1))


KINDS = [("severity", len(SEVERITIES)), ("category", len(CATEGORIES))]


def mended(pieces: list[Piece]) -> list[Piece]:
    return [piece for piece in pieces if piece.repaired.any()]


def only_mended(piece: Piece) -> Piece:
    """Its mended lines and nothing else."""
    marks = np.flatnonzero(np.isin(piece.ids, [ADDED, REMOVED, CONTEXT]))
    ends = dict(zip(marks, [*marks[1:], len(piece.ids) - 1]))
    return replace(piece, ids=np.concatenate([piece.ids[at : ends[at]] for at in piece.added_at[piece.repaired]]))


def macro_f1(bags: list[csr_matrix], learnt: list[Piece], unseen: list[Piece], what: str, classes: int) -> float:
    """Of the likeliest class, each fitted for itself, as the model's words are."""
    labels, truth = (np.array([getattr(piece, what) for piece in pieces]) for pieces in (learnt, unseen))
    said = np.full((len(truth), classes), -np.inf)
    for each in np.unique(labels):
        judge = LogisticRegression(C=KIND_FREEDOM, class_weight="balanced", solver="liblinear").fit(bags[0], labels == each)
        said[:, each] = judge.decision_function(bags[1])
    return float(f1_score(truth, said.argmax(1), average="macro", labels=np.unique(truth)))
