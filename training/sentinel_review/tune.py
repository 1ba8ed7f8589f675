"""`tune`: teaches a served model the severities and categories of a team's own history.

Its judges are trained further; the rest stays. Their scores of the need for a comment are held to what they were, so that
calibration and thresholds still hold, and lines are scored as before: some hundred hunks of one repository changed neither by
more than chance does.
"""

import argparse
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from . import served
from .data import Piece, informative, load
from .encoded import EncodedPieces
from .export import write_models
from .learning import add_machine_arguments
from .losses import ClassWeights, frozen_loss
from .manifest import read_manifest, write_manifest
from .model import Reviewer, split_verdict
from .run import FROZEN_DECAY, Run, optimizer_of, plan_of_rows

# Chosen on eleven held-out repositories of 100 to 1,100 hunks each.
EPOCHS, RATE, BATCH = 20, 1e-3, 64
# Mended hunks; from fewer there is nothing to learn.
MENDED_MIN = 30


@dataclass(frozen=True)
class Options:
    model: Path
    train: Path
    version: str
    out: Path
    threads: int
    bf16: bool
    seed: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="a model's folder, such as models/review")
    parser.add_argument("--train", type=Path, required=True, help="pieces of `sentinel encode`")
    parser.add_argument("--version", required=True, help="review_v<major>.<minor>")
    parser.add_argument("--out", type=Path, required=True, help="the new model's folder")
    add_machine_arguments(parser)


def run(options: Options) -> None:
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    model = served.restore(options.model / "model.onnx")
    manifest = read_manifest(options.model)
    # Without harmless hunks to compare with: how, not whether.
    pieces = [piece for piece in informative(load(options.train, compared=False)) if piece.positive and len(piece.ids) <= manifest["max_tokens"]]
    if len(pieces) < MENDED_MIN:
        raise SystemExit(f"{options.train} has {len(pieces)} mended hunks; {MENDED_MIN} are the fewest to learn from")
    fit_judges(model, pieces, options.seed, options.bf16)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "controls.json"):
        shutil.copyfile(options.model / name, options.out / name)
    write_models(model, options.out)
    write_manifest(options.out, options.version, manifest["max_tokens"], manifest["calibration"], manifest["thresholds"])
    print(f"learned from {len(pieces)} mended hunks; {options.out} is complete")


def fit_judges(model: Reviewer, pieces: list[Piece], seed: int, bf16: bool) -> None:
    for judge in model.judges:
        judge.line.requires_grad_(False)
    weights, rows = ClassWeights.of(pieces), list(range(len(pieces)))
    encoded = EncodedPieces.of(model, pieces, bf16)
    with torch.no_grad():
        representation, _ = encoded.representation(rows, model.device)
        needs_before = torch.stack([split_verdict(judge(representation)[0])[0] for judge in model.judges])
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_of_rows(rows, EPOCHS, seed, BATCH)
        learning = [each for judge in model.judges for part in (judge.counted, judge.read, judge.verdict) for each in part.parameters()]
        steps = Run(model, optimizer_of([learning], FROZEN_DECAY), [RATE], plan, seed, Path(folder) / "tune.pt")
        steps.train(lambda batch: frozen_loss(model, encoded, batch, pieces, weights, needs_before), Path(folder) / "tune.jsonl")
    model.eval()
