"""What `pretrain`, `fit` and `curve` have in common: their options, the new model, and what it learns from."""

import argparse
import random
from dataclasses import dataclass
from pathlib import Path

import torch

from .data import Piece, batches, informative, load, load_extra, subset, tensors
from .model import Reviewer, lines_of

# Pieces that the scales of the counts are computed on.
STANDARDISE_PIECES = 4000


@dataclass(frozen=True, kw_only=True)
class LearningOptions:
    train: Path
    extra: Path | None
    tokenizer: Path
    work: Path
    width: int
    layers: int
    epochs: int
    length: int
    batch_tokens: int
    rate: float
    minutes: float
    threads: int
    device: str
    bf16: bool
    seed: int


def add_learning_arguments(parser: argparse.ArgumentParser, rate: float) -> None:
    parser.add_argument("--train", type=Path, required=True, help="pieces of `sentinel encode`")
    parser.add_argument("--extra", type=Path, help="pieces without harmless ones to compare with")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json")
    parser.add_argument("--work", type=Path, required=True, help="checkpoints and results")
    parser.add_argument("--width", type=int, default=256, help="a multiple of 64")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--rate", type=float, default=rate, help="the encoder's learning rate")
    parser.add_argument("--minutes", type=float, default=25, help="a slice: then save and stop")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add_machine_arguments(parser)


def add_judges_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `fit` and `curve`, which train judges."""
    parser.add_argument("--heads-rate", type=float, default=1e-3, help="the judges' learning rate")
    parser.add_argument("--length", type=int, default=512, help="longer pieces are left out")
    parser.add_argument("--init", type=Path, help="a checkpoint of pretrain to begin from")


def add_machine_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action="store_true", help="half the width of numbers where that loses nothing")
    parser.add_argument("--seed", type=int, default=42)


def new_model(options: LearningOptions) -> Reviewer:
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    return Reviewer.untrained(options.tokenizer, width=options.width, layers=options.layers).to(options.device)


def load_labelled(options: LearningOptions, model: Reviewer, share: float = 1.0) -> list[Piece]:
    """The pieces to learn from, of a share of the records; scales the model's counts by them."""
    pieces = subset(informative(load(options.train)), share)
    standardise(model, pieces)
    if options.extra:
        pieces += informative(load_extra(options.extra, pieces))
    # A cut piece may have lost the line it is about.
    return [piece for piece in pieces if len(piece.ids) <= options.length]


@torch.no_grad()
def standardise(model: Reviewer, pieces: list[Piece]) -> None:
    """Sets means and scales of the counts, over a sample."""
    whole, line = [], []
    for batch in batches(random.Random(0).sample(pieces, min(STANDARDISE_PIECES, len(pieces))), 8192, None):
        ids, mask = tensors(batch, model.device)
        where = lines_of(ids, mask)
        of_piece, of_lines = model.counts.raw(ids, where)
        whole.append(of_piece)
        line.append(of_lines[where.kind[..., 0] > 0])
    for values, mean, scale in [
        (torch.cat(whole), model.counts.mean, model.counts.scale),
        (torch.cat(line), model.counts.line_mean, model.counts.line_scale),
    ]:
        mean.copy_(values.mean(0))
        scale.copy_(1.0 / (values.std(0) + 1e-2))


def load_encoder(checkpoint: Path, model: Reviewer) -> None:
    """The encoder of a pre-trained model; the rest stays as it is."""
    weights = torch.load(checkpoint, map_location=model.device)["weights"]
    encoder = {name: value for name, value in weights.items() if name.split(".")[0] in ("tokens", "about", "blocks", "norm")}
    model.load_state_dict(encoder, strict=False)
