"""Fits what the model must beat: the size of a hunk, and its words without their order."""

import argparse
import base64
import json

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from .data import read

BAG_BITS = 16


def load(path) -> tuple[csr_matrix, np.ndarray, np.ndarray]:
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


def fit(options: argparse.Namespace) -> None:
    bag, size, mended = load(options.train)
    valid_bag, valid_size, valid_mended = load(options.valid)

    def fitted(strength: float) -> tuple[float, np.ndarray]:
        weights = LogisticRegression(C=strength, solver="liblinear").fit(bag, mended).coef_[0]
        return roc_auc_score(valid_mended, valid_bag @ weights), weights

    auc, weights = max((fitted(strength) for strength in (0.03, 0.1, 0.3, 1.0)), key=lambda each: each[0])
    slope = float(LogisticRegression().fit(size, mended).coef_[0, 0])
    # Only the order of scores is used, so that a byte a weight is enough.
    small = np.round(weights / np.abs(weights).max() * 127).astype(np.int8)
    print(f"validation: bag of words {auc:.4f}, as bytes {roc_auc_score(valid_mended, valid_bag @ small):.4f}, "
          f"size {roc_auc_score(valid_mended, slope * valid_size[:, 0]):.4f}")
    document = {"size": {"slope": slope}, "bag_of_words": {"weights": base64.b64encode(small.tobytes()).decode()}}
    options.out.write_text(json.dumps(document) + "\n", encoding="utf-8")
