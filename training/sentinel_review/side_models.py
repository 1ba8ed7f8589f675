"""The words and the forest: fitted beside the transformer, without it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_matrix

from sentinel_shared.tables import CATEGORIES, SEVERITIES

from . import forest, words
from .data import Piece, batches, tensors
from .model import Reviewer, lines_of


def fit(model: Reviewer, pieces: list[Piece], kept: Path, seed: int, threads: int) -> None:
    """Fits both and keeps them in the file `kept`, or takes them from there."""
    if not kept.exists():
        matrix, counts = word_and_count_features(model, pieces)
        words.fit(model.words, matrix, pieces, [len(SEVERITIES), len(CATEGORIES)])
        print("words are fitted", flush=True)
        compared = np.array([piece.compared for piece in pieces])
        fitted = fit_forest(matrix[compared], counts[compared], [piece for piece in pieces if piece.compared], seed, threads)
        size = {"trees": len(fitted.roots), "nodes": len(fitted.column), "depth": fitted.depth}
        print(f"the forest is fitted: {size}", flush=True)
        torch.save({"size": size, "forest": fitted.state_dict(), "words": model.words.state_dict()}, kept)
    state = torch.load(kept, map_location=model.device)
    model.words.load_state_dict(state["words"])
    model.shape = replace(model.shape, **state["size"])
    model.forest = forest.Forest(**state["size"]).to(model.device)
    model.forest.load_state_dict(state["forest"])


def fit_forest(matrix: csr_matrix, counts: np.ndarray, pieces: list[Piece], seed: int, threads: int) -> forest.Forest:
    """On the word and count features of comparable pieces."""
    features = np.column_stack([counts, words.out_of_fold_scores(matrix, pieces)])
    return forest.fit(features, np.array([piece.positive for piece in pieces]), seed, threads)


@torch.no_grad()
def word_and_count_features(model: Reviewer, pieces: list[Piece]) -> tuple[csr_matrix, np.ndarray]:
    """Of each piece its hashed words, and what is counted in it, float32 [pieces, columns]."""
    matrix, counts, order = words.WordMatrix(), [], []
    at = {id(piece): row for row, piece in enumerate(pieces)}
    for batch in batches(pieces, 16384, None):
        ids, mask = tensors(batch, model.device)
        where = lines_of(ids, mask)
        matrix.add(*model.words.hashed(ids, where.kind_of_tokens))
        counts.append(model.counts.raw(ids, where)[0].cpu().numpy())
        order += [at[id(piece)] for piece in batch]
    back = np.argsort(order)
    return matrix.matrix()[back], np.concatenate(counts)[back]
