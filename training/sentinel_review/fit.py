"""`fit`: teaches the model which hunks were mended, how and where; then fits the words and the forest."""

import argparse
import random
from dataclasses import dataclass
from pathlib import Path

import torch

from . import side_models
from .data import Piece, shuffle_labels
from .encoded import EncodedPieces
from .learning import LearningOptions, add_judges_arguments, add_learning_arguments, load_encoder, load_labelled, new_model
from .losses import ClassWeights, frozen_loss, review_loss
from .model import Reviewer
from .run import FROZEN_DECAY, Run, optimizer_of, plan_of_pieces, plan_of_rows


@dataclass(frozen=True, kw_only=True)
class Options(LearningOptions):
    heads_rate: float
    init: Path | None
    frozen: bool
    encoded_max: int
    share: float
    shuffle: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_learning_arguments(parser, rate=2e-4)
    add_judges_arguments(parser)
    parser.add_argument("--frozen", action="store_true", help="keep the encoder as --init has it; fast")
    parser.add_argument("--encoded-max", type=int, default=150_000, help="the most pieces that a frozen encoder reads for its judges")
    parser.add_argument("--share", type=float, default=1.0, help="of the records, for a learning curve")
    parser.add_argument("--shuffle", action="store_true", help="give each record another one's label")


def run(options: Options) -> bool:
    """Whether the plan is done; the same command goes on otherwise."""
    model = new_model(options)
    pieces = load_labelled(options, model, options.share)
    if options.init:
        load_encoder(options.init, model)
    if options.shuffle:
        shuffle_labels(pieces, options.seed)
    options.work.mkdir(parents=True, exist_ok=True)
    is_done = fit_judges(model, pieces, options) if options.frozen else fit_whole(model, pieces, options)
    if is_done:
        side_models.fit(model, pieces, options.work / "side-models.pt", options.seed, options.threads)
        torch.save({"shape": model.shape.as_json(), "weights": model.state_dict()}, options.work / "reviewer.pt")
    return is_done


def fit_whole(model: Reviewer, pieces: list[Piece], options: Options) -> bool:
    encoder = [*model.tokens.parameters(), *model.about.parameters(), *model.blocks.parameters(), *model.norm.parameters()]
    known = {id(each) for each in encoder}
    rest = [each for each in model.parameters() if id(each) not in known]
    plan = plan_of_pieces(pieces, options.epochs, options.batch_tokens, options.seed)
    rates = [options.rate, options.heads_rate]
    steps = Run(model, optimizer_of([encoder, rest]), rates, plan, options.seed, options.work / "fit.pt", options.bf16)
    steps.resume()
    weights = ClassWeights.of(pieces)
    return steps.train(lambda batch: review_loss(model, batch, weights), options.work / "fit.jsonl", options.minutes)


def fit_judges(model: Reviewer, pieces: list[Piece], options: Options) -> bool:
    """Encodes every piece once, then teaches the judges alone."""
    if len(pieces) > options.encoded_max:
        pieces = random.Random(options.seed).sample(pieces, options.encoded_max)
    encoded = EncodedPieces.at(options.work / "encoded.pt", model, pieces, options.bf16)
    plan = plan_of_rows(list(range(len(pieces))), options.epochs, options.seed)
    optimizer = optimizer_of([list(model.judges.parameters())], FROZEN_DECAY)
    steps = Run(model, optimizer, [options.heads_rate], plan, options.seed, options.work / "fit.pt")
    steps.resume()
    weights = ClassWeights.of(pieces)
    return steps.train(lambda rows: frozen_loss(model, encoded, rows, pieces, weights), options.work / "fit.jsonl", options.minutes)
