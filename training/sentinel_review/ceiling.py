"""How well severity and category can be told at all: by a linear model of words that is given the mended lines.

No served model knows those lines. What this one still gets wrong would not get better by finding the place: the words do not
tell it, the cause lies elsewhere, or the label, which is what somebody called the repair, does not follow from the code.
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from sentinel_shared.tables import CATEGORIES, SEVERITIES

from .data import Piece, load, load_extra
from .model import Reviewer
from .side_models import word_and_count_features
from .vocabulary import ADDED, CONTEXT, REMOVED
from .words import LABEL_C


@dataclass(frozen=True)
class Options:
    train: Path
    extra: Path | None
    test: Path
    tokenizer: Path
    out: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--train", type=Path, required=True, help="pieces of `sentinel encode`")
    parser.add_argument("--extra", type=Path, help="pieces without harmless ones to compare with")
    parser.add_argument("--test", type=Path, required=True, help="pieces of unseen repositories")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json")
    parser.add_argument("--out", type=Path, required=True, help="a JSON file")


def run(options: Options) -> None:
    # Only its tables of words are used.
    model = Reviewer.untrained(options.tokenizer, width=64, layers=1)
    training, unseen = mended(load(options.train)), mended(load(options.test))
    if options.extra:
        training += mended(load_extra(options.extra, training))

    def bag(pieces: list[Piece]) -> csr_matrix:
        return word_and_count_features(model, pieces)[0]

    words = [bag(training), bag(unseen)]
    with_lines = [hstack([bags, bag([only_mended(piece) for piece in pieces])], "csr") for bags, pieces in zip(words, (training, unseen))]
    rows = [
        {"judge": judge, "hunks": len(unseen)} | {label: macro_f1(bags, training, unseen, label, classes) for label, classes in LABELS}
        for judge, bags in [("words of the hunk", words), ("the same, told in hindsight which lines were mended", with_lines)]
    ]
    options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(rows, indent=1))


LABELS = [("severity", len(SEVERITIES)), ("category", len(CATEGORIES))]


def mended(pieces: list[Piece]) -> list[Piece]:
    return [piece for piece in pieces if piece.repaired.any()]


def only_mended(piece: Piece) -> Piece:
    """Its mended lines and nothing else."""
    marks = np.flatnonzero(np.isin(piece.ids, [ADDED, REMOVED, CONTEXT]))
    ends = dict(zip(marks, [*marks[1:], len(piece.ids) - 1]))
    return replace(piece, ids=np.concatenate([piece.ids[at : ends[at]] for at in piece.added_at[piece.repaired]]))


def macro_f1(bags: list[csr_matrix], training: list[Piece], unseen: list[Piece], label: str, classes: int) -> float:
    """Of the likeliest class; each is fitted against the others, as the model's words are."""
    labels, truth = (np.array([getattr(piece, label) for piece in pieces]) for pieces in (training, unseen))
    scores = np.full((len(truth), classes), -np.inf)
    for each in np.unique(labels):
        classifier = LogisticRegression(C=LABEL_C, class_weight="balanced", solver="liblinear").fit(bags[0], labels == each)
        scores[:, each] = classifier.decision_function(bags[1])
    return float(f1_score(truth, scores.argmax(1), average="macro", labels=np.unique(truth)))
