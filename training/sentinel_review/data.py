"""Pieces of labelled hunks as `sentinel encode` writes them, and batches of them."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .records import read


@dataclass
class Piece:
    """One sequence and its labels, which are from hindsight. `severity` is None where nothing was mended."""

    record: int
    repo: str
    language: str
    ids: np.ndarray
    added_at: np.ndarray
    repaired: np.ndarray
    severity: int | None
    category: int | None
    conf: int
    # Whether it is an example of what needs a comment. Not so in files without harmless hunks: of a mended hunk alone
    # only severity, category and lines can be learned.
    compared: bool

    @property
    def positive(self) -> bool:
        return self.severity is not None


def load(path: Path, compared: bool = True, repos: set[str] | None = None) -> list[Piece]:
    """Pieces with an added line; of `repos` only, if they are given."""
    pieces = []
    for each in read(path):
        if each["added_at"] and (repos is None or each["repo"] in repos):
            positive = each["severity"] is not None
            pieces.append(
                Piece(
                    each["record"],
                    each["repo"],
                    each["language"],
                    np.array(each["ids"], dtype=np.int32),
                    np.array(each["added_at"], dtype=np.int64),
                    np.array(each["repaired"], dtype=bool),
                    each["severity"],
                    each["category"] if positive else None,
                    each["conf"],
                    compared,
                )
            )
    return pieces


def informative(pieces: list[Piece]) -> list[Piece]:
    """Without the pieces of a mended hunk that hold no mended line: they are examples of neither."""
    return [piece for piece in pieces if not piece.positive or piece.repaired.any()]


def batches(pieces: list[Piece], tokens: int, rng: random.Random | None) -> list[list[Piece]]:
    """Pieces of like length together, so that little is padding; in random order where there is a generator."""
    noise = (lambda: rng.random() * 32) if rng else (lambda: 0.0)
    made: list[list[Piece]] = []
    batch: list[Piece] = []
    longest = 0
    for piece in sorted(pieces, key=lambda piece: len(piece.ids) + noise()):
        longest = max(longest, len(piece.ids))
        if batch and longest * (len(batch) + 1) > tokens:
            made.append(batch)
            batch, longest = [], len(piece.ids)
        batch.append(piece)
    made.append(batch)
    if rng:
        rng.shuffle(made)
    return made


def tensors(batch: list[Piece], device: torch.device) -> tuple[Tensor, Tensor]:
    """`input_ids` and `attention_mask`, [pieces, longest] int64."""
    ids = np.zeros((len(batch), max(len(piece.ids) for piece in batch)), dtype=np.int64)
    for row, piece in enumerate(batch):
        ids[row, : len(piece.ids)] = piece.ids
    ids = torch.from_numpy(ids).to(device)
    return ids, (ids != 0).long()


def load_extra(path: Path, pieces: list[Piece]) -> list[Piece]:
    """Pieces of a file without harmless hunks; only of the repositories that `pieces` are from."""
    return load(path, compared=False, repos={piece.repo for piece in pieces})


def subset(pieces: list[Piece], share: float) -> list[Piece]:
    """A part of the records, always the same."""
    return [piece for piece in pieces if random.Random(piece.record).random() < share] if share < 1 else pieces


def shuffle_labels(pieces: list[Piece], seed: int) -> None:
    """Gives each record another one's label: what is learned then is nothing, or the input holds its label."""
    labels = [(piece.severity, piece.category, piece.conf) for piece in pieces]
    random.Random(seed).shuffle(labels)
    for piece, label in zip(pieces, labels):
        piece.severity, piece.category, piece.conf = label
        piece.repaired = np.zeros(len(piece.added_at), dtype=bool)
        piece.repaired[0] = piece.positive
