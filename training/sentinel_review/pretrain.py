"""`pretrain`: teaches the encoder to guess masked tokens, which needs no labels."""

import argparse
from dataclasses import dataclass

from .data import load, load_extra
from .learning import LearningOptions, add_learning_arguments, new_model
from .losses import masked_token_loss
from .run import Run, optimizer_of, plan_of_pieces


@dataclass(frozen=True, kw_only=True)
class Options(LearningOptions):
    pass


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_learning_arguments(parser, rate=1e-3)
    parser.add_argument("--length", type=int, default=256, help="longer pieces are cut")


def run(options: Options) -> bool:
    """Whether the plan is done; the same command goes on otherwise."""
    model = new_model(options)
    pieces = load(options.train)
    if options.extra:
        pieces += load_extra(options.extra, pieces)
    for piece in pieces:
        piece.ids = piece.ids[: options.length]
    plan = plan_of_pieces(pieces, options.epochs, options.batch_tokens, options.seed)
    options.work.mkdir(parents=True, exist_ok=True)
    optimizer = optimizer_of([list(model.parameters())])
    steps = Run(model, optimizer, [options.rate], plan, options.seed, options.work / "pretrain.pt", options.bf16)
    steps.resume()
    return steps.train(lambda batch: masked_token_loss(model, batch), options.work / "pretrain.jsonl", options.minutes)
