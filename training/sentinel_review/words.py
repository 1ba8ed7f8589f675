"""A linear model over hashed words and pairs of words, beside the transformer and the forest.

A token is taken with the kind of line it stands in, alone and after the one before it, whatever its capitals. What is
often in a piece counts by the logarithm, and a piece counts as much as any other, long or short. Fitted by itself,
class by class (a convex problem: no seed, no steps). Of severity and category it adds to what the other judges say; what
it makes of the need for a comment is one of the things the forest sees.
"""

import numpy as np
import torch
from scipy.sparse import csr_matrix, vstack
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from torch import Tensor, nn

from sentinel_shared.tables import LANGUAGES

from .data import Piece
from .vocabulary import SPECIAL

# A prime, so that the rest of a division spreads well.
BUCKETS = 131_071
# The first token that is no mark of the diff: a language.
FIRST = SPECIAL.index(f"<lang:{LANGUAGES[0]}>")
# The inverse of the regularisation's strength, of the need for a comment and of severity and category; and how much the
# latter count beside the judges' scores. Chosen on the validation split.
NEEDS_C, LABEL_C = 0.1, 0.3
LABEL_WEIGHT = 2.0
# The repositories are split into as many parts; each part is scored by words that were fitted on the others.
FOLDS = 4
# Log-odds of a class that all examples have; of one that none has, the other way round.
ALWAYS = 10.0


class Words(nn.Module):
    def __init__(self, vocabulary: int, answers: int) -> None:
        super().__init__()
        # [vocabulary]: the token that stands for all that spell the same letters
        self.register_buffer("same", torch.arange(vocabulary))
        # Half precision: it is by far the largest table after the tokens' own.
        self.register_buffer("weight", torch.zeros(BUCKETS, answers, dtype=torch.float16))
        self.register_buffer("bias", torch.zeros(answers))

    def hashed(self, ids: Tensor, kind: Tensor) -> tuple[Tensor, Tensor]:
        """Of each token and of each pair its bucket and its part of the piece, [batch, 2 x length] both.

        `kind` [batch, length, 3]: whether the token is in an added, a removed, a context line; none is the path.
        """
        token = self.same[ids]
        before = torch.cat([torch.zeros_like(token[:, :1]), token[:, :-1]], 1)
        place = (kind @ torch.tensor([1.0, 2.0, 3.0], device=ids.device)).long()
        alone = (token * 40_503 + place * 7_919) % BUCKETS
        pair = (token * 40_503 + before * 2_654_435_761 + (place + 4) * 7_919) % BUCKETS
        is_word = ids >= FIRST
        counts = torch.cat([occurrences(alone, is_word), occurrences(pair, is_word & (before >= FIRST))], 1)
        # Each occurrence carries its share of the logarithm of all.
        part = counts.log1p() / counts.clamp(min=1.0)
        length = (part * counts.log1p()).sum(1, keepdim=True).clamp(min=1e-6).sqrt()
        return torch.cat([alone, pair], 1), part / length

    def forward(self, ids: Tensor, kind: Tensor) -> Tensor:
        """[batch, answers]"""
        bucket, part = self.hashed(ids, kind)
        return (self.weight[bucket].float() * part[..., None]).sum(1) + self.bias


def occurrences(bucket: Tensor, counts: Tensor) -> Tensor:
    """[batch, length]: how often the piece holds this bucket, 0 where it does not count."""
    equal = (bucket[:, :, None] == bucket[:, None, :]).float() * counts[:, None, :].float()
    return equal.sum(-1) * counts.float()


class WordMatrix:
    """[pieces, BUCKETS], built batch by batch."""

    def __init__(self) -> None:
        self.parts: list[csr_matrix] = []

    def add(self, bucket: Tensor, part: Tensor) -> None:
        """Of `Words.hashed`."""
        value, column = part.cpu().numpy(), bucket.cpu().numpy()
        row, at = value.nonzero()
        self.parts.append(csr_matrix((value[row, at], (row, column[row, at])), shape=(len(value), BUCKETS)))

    def matrix(self) -> csr_matrix:
        return vstack(self.parts, format="csr")


def fit(words: Words, matrix: csr_matrix, pieces: list[Piece], classes: list[int]) -> None:
    """The need for a comment, on the comparable pieces; on the mended ones, so many severities and categories."""
    positive = np.array([piece.positive for piece in pieces])
    compared = np.array([piece.compared for piece in pieces])
    targets: list[tuple] = [(positive[compared], compared, NEEDS_C, 1.0, None)]
    for name, count in zip(["severity", "category"], classes):
        labels = np.array([getattr(piece, name) for piece in pieces if piece.positive])
        targets += [(labels == each, positive, LABEL_C, LABEL_WEIGHT, "balanced") for each in range(count)]
    for answer, (wanted, rows, strength, share, balance) in enumerate(targets):
        if wanted.all() or not wanted.any():
            words.weight[:, answer] = 0.0
            words.bias[answer] = ALWAYS if wanted.all() else -ALWAYS
            continue
        fitted = LogisticRegression(C=strength, class_weight=balance, solver="liblinear").fit(matrix[rows], wanted)
        words.weight[:, answer] = torch.from_numpy(fitted.coef_[0] * share).half()
        words.bias[answer] = float(fitted.intercept_[0]) * share


def out_of_fold_scores(matrix: csr_matrix, pieces: list[Piece]) -> np.ndarray:
    """[pieces]: the need for a comment, by words that were fitted on other repositories. All pieces are comparable."""
    positive, repos = np.array([piece.positive for piece in pieces]), np.array([piece.repo for piece in pieces])
    scores = np.zeros(len(pieces), dtype=np.float32)
    for inside, outside in GroupKFold(min(FOLDS, len(set(repos)))).split(scores, positive, repos):
        fitted = LogisticRegression(C=NEEDS_C, solver="liblinear").fit(matrix[inside], positive[inside])
        scores[outside] = fitted.decision_function(matrix[outside])
    return scores
