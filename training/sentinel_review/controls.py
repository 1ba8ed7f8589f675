"""Fits what the model must beat: the size of a hunk, and its words without their order."""

import argparse
import base64
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, vstack
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from sentinel_shared.tables import BAG_BITS

from .records import read


def load(path: Path) -> tuple[csr_matrix, np.ndarray, np.ndarray]:
    """[records, places] of the bag, the logarithm of the added lines, and whether the hunk was mended."""
    places, values, ends, added, mended = [], [], [0], [], []
    for piece in read(path):
        if "bag" in piece and piece["added"]:
            places += piece["bag"][0]
            values += piece["bag"][1]
            ends.append(len(places))
            added.append(np.log1p(piece["added"]))
            mended.append(piece["severity"] is not None)
    shape = (len(mended), 1 << BAG_BITS)
    return csr_matrix((values, places, ends), shape=shape), np.array(added)[:, None], np.array(mended)


@dataclass(frozen=True)
class Options:
    train: Path
    more: Path | None
    valid: Path
    out: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--train", type=Path, required=True, help="pieces of `sentinel encode --bag`")
    parser.add_argument("--more", type=Path, help="likewise; a second bag of words is fitted on both together")
    parser.add_argument("--valid", type=Path, required=True, help="likewise; chooses the regularisation")
    parser.add_argument("--out", type=Path, required=True, help="controls.json")


def run(options: Options) -> None:
    train, valid = load(options.train), load(options.valid)
    slope = float(LogisticRegression().fit(train[1], train[2]).coef_[0, 0])
    print(f"validation: size {roc_auc_score(valid[2], slope * valid[1][:, 0]):.4f}")
    document = {"size": {"slope": slope}, "bag_of_words": bag_of_words([train], valid)}
    if options.more:
        document["bag_of_more_words"] = bag_of_words([train, load(options.more)], valid)
    options.out.write_text(json.dumps(document) + "\n", encoding="utf-8")


def bag_of_words(parts: list[tuple], valid: tuple) -> dict:
    """With the regularisation that does best on validation."""
    bag, mended = vstack([part[0] for part in parts], format="csr"), np.concatenate([part[2] for part in parts])

    def fitted(strength: float) -> tuple[float, np.ndarray]:
        weights = LogisticRegression(C=strength, solver="liblinear").fit(bag, mended).coef_[0]
        return roc_auc_score(valid[2], valid[0] @ weights), weights

    auc, weights = max((fitted(strength) for strength in (0.03, 0.1, 0.3, 1.0)), key=lambda each: each[0])
    # Only the order of scores is used, so that a byte a weight is enough.
    small = np.round(weights / np.abs(weights).max() * 127).astype(np.int8)
    print(f"validation: bag of {len(mended)} hunks' words {auc:.4f}, as bytes {roc_auc_score(valid[2], valid[0] @ small):.4f}")
    return {"weights": base64.b64encode(small.tobytes()).decode()}
