"""Labelled hunks as `sentinel encode` writes them, and batches of them."""

import io
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import zstandard
from torch import Tensor


def read(path: Path) -> Iterator[dict]:
    with path.open("rb") as file:
        stream = zstandard.ZstdDecompressor().stream_reader(file) if path.suffix == ".zst" else file
        with io.TextIOWrapper(stream, encoding="utf-8") as lines:
            yield from map(json.loads, lines)


@dataclass
class Piece:
    """One sequence, and what hindsight says of it. `severity` is None where nothing was mended."""

    record: int
    repo: str
    language: str
    ids: np.ndarray
    added_at: np.ndarray
    repaired: np.ndarray
    severity: int | None
    category: int | None
    conf: int
    # Whether it tells what needs a comment; of a record without comparable harmless ones, only how and where.
    compared: bool

    @property
    def positive(self) -> bool:
        return self.severity is not None


def load(path: Path, compared: bool = True, repos: set[str] | None = None) -> list[Piece]:
    """Pieces with an added line, of the given repositories only where any are given."""
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


def telling(pieces: list[Piece]) -> list[Piece]:
    """Without the pieces of a repaired hunk that hold no repaired line: they say nothing either way."""
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
