"""What each way of training minimises."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sentinel_shared.tables import CATEGORIES, SEVERITIES

from .data import Piece, tensors
from .encoded import EncodedPieces
from .model import Reviewer, split_verdict
from .vocabulary import MASK, SPECIAL

# The share of the tokens that are masked, and of those the ones that become another token or stay (Devlin et al. 2019).
MASKED, REPLACED, KEPT = 0.2, 0.1, 0.1
# How much rare classes weigh: 0 is all the same, 1 is as if all were equally frequent.
BALANCE = 0.75
# How much the losses count beside that of the need for a comment.
SEVERITY_WEIGHT, CATEGORY_WEIGHT, LINE_WEIGHT = 0.3, 0.2, 0.3


@dataclass
class ClassWeights:
    """How much a class weighs: the more the rarer it is, one on average."""

    severity: Tensor
    category: Tensor

    @classmethod
    def of(cls, pieces: list[Piece]) -> "ClassWeights":
        def weigh(labels: list[int], classes: int) -> Tensor:
            count = np.bincount(labels, minlength=classes).astype(float)
            weight = (len(labels) / np.maximum(count, 20.0)) ** BALANCE
            return torch.tensor(weight * len(labels) / (weight * count).sum(), dtype=torch.float32)

        positive = [piece for piece in pieces if piece.positive]
        severities = [piece.severity for piece in positive if piece.severity is not None]
        categories = [piece.category for piece in positive if piece.category is not None]
        return cls(weigh(severities, len(SEVERITIES)), weigh(categories, len(CATEGORIES)))


def mask_tokens(ids: Tensor, vocabulary: int) -> tuple[Tensor, Tensor]:
    """The sequence with some tokens masked, and where. Marks, languages and padding never are."""
    at = (torch.rand(ids.shape, device=ids.device) < MASKED) & (ids >= len(SPECIAL))
    dice = torch.rand(ids.shape, device=ids.device)
    other = torch.randint(len(SPECIAL), vocabulary, ids.shape, device=ids.device)
    shown = torch.where(dice < REPLACED, other, torch.where(dice < REPLACED + KEPT, ids, torch.full_like(ids, MASK)))
    return torch.where(at, shown, ids), at


def masked_token_loss(model: Reviewer, batch: list[Piece]) -> dict[str, Tensor]:
    ids, mask = tensors(batch, model.device)
    shown, at = mask_tokens(ids, model.shape.vocabulary)
    return {"guess": F.cross_entropy(model.masked_token_logits(shown, mask, at).float(), ids[at])}


def review_loss(model: Reviewer, batch: list[Piece], weights: ClassWeights) -> dict[str, Tensor]:
    needs, severity, category, line = (out.float() for out in model(*tensors(batch, model.device)))
    losses = verdict_loss(needs, severity, category, batch, weights)
    scores = [line[row, torch.from_numpy(piece.added_at).to(model.device)] for row, piece in enumerate(batch)]
    losses["line"] = mean_line_loss(scores, batch, line)
    return losses


def frozen_loss(
    model: Reviewer, encoded: EncodedPieces, rows: list[int], pieces: list[Piece], weights: ClassWeights, needs_before: Tensor | None = None
) -> dict[str, Tensor]:
    """Of judges over a frozen encoder. Each is trained for itself, or their mean would let them lean on each other.

    `needs_before` [judges, pieces] is what each scored for the need for a comment, where that is to stay.
    """
    batch = [pieces[row] for row in rows]
    representation, counts = encoded.representation(rows, model.device)
    total: dict[str, Tensor] = {}
    for number, judge in enumerate(model.judges):
        verdict, line = judge(representation)
        losses = verdict_loss(*split_verdict(verdict), batch, weights)
        if needs_before is not None:
            losses["needs"] = F.mse_loss(split_verdict(verdict)[0], needs_before[number, rows])
        losses["line"] = mean_line_loss(line.squeeze(-1).split(counts), batch, line)
        for name, loss in losses.items():
            total[name] = total.get(name, 0.0) + loss
    return total


def verdict_loss(needs: Tensor, severity: Tensor, category: Tensor, batch: list[Piece], weights: ClassWeights) -> dict[str, Tensor]:
    positive = torch.tensor([piece.positive for piece in batch], device=needs.device)
    compared = torch.tensor([piece.compared for piece in batch], device=needs.device)
    # Labels from hindsight are wrong about as often as this: docs/review-labels.md.
    target = positive.float() * 0.9 + 0.05
    nothing = needs.sum() * 0.0
    losses = {"needs": nothing, "severity": nothing, "category": nothing}
    if compared.any():
        losses["needs"] = F.binary_cross_entropy_with_logits(needs[compared], target[compared])
    if positive.any():
        labels = [(piece.severity, piece.category) for piece in batch if piece.positive]
        severities, categories = (torch.tensor(column, device=needs.device) for column in zip(*labels))
        losses["severity"] = SEVERITY_WEIGHT * F.cross_entropy(severity[positive], severities, weights.severity)
        losses["category"] = CATEGORY_WEIGHT * F.cross_entropy(category[positive], categories, weights.category)
    return losses


def mean_line_loss(scores: list[Tensor], batch: list[Piece], line: Tensor) -> Tensor:
    """Over the pieces with mended lines; 0 where there are none. `scores` are of each piece's added lines."""
    losses = [line_loss(each, piece) for each, piece in zip(scores, batch) if piece.repaired.any()]
    return LINE_WEIGHT * torch.stack(losses).mean() if losses else line.sum() * 0.0


def line_loss(scores: Tensor, piece: Piece) -> Tensor:
    """How little of the probability, shared among the added lines, falls on mended ones. `scores` [added lines]"""
    chances = scores.log_softmax(-1)
    return -chances[torch.from_numpy(piece.repaired).to(scores.device)].logsumexp(-1)
