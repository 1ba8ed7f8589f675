"""A served model, taught by a team's own history what its repairs are called: severity and category.

Its judges learn on; the rest stays. Of whether a hunk needs a comment they are held to what they said before, so that
calibration and thresholds go on to hold, and lines are judged as before: some hundred hunks of one repository moved neither
by more than chance does.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch

from . import export, served
from .data import Piece, load, telling
from .model import Reviewer, split
from .train import FROZEN_DECAY, Memory, Run, Weights, frozen_loss, optimizer_of, plan_of_rows

# Chosen on eleven held-out repositories of 100 to 1,100 hunks each.
EPOCHS, RATE, BATCH = 20, 1e-3, 64
# Mended hunks; of fewer there is nothing to learn but their names.
FEWEST = 30


def tune(options: argparse.Namespace) -> None:
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    model = served.restore(options.model / "model.onnx")
    known = json.loads((options.model / "manifest.json").read_text(encoding="utf-8"))
    # Without harmless hunks to compare with: how, not whether.
    pieces = [piece for piece in telling(load(options.train, compared=False)) if piece.positive and len(piece.ids) <= known["max_tokens"]]
    if len(pieces) < FEWEST:
        raise SystemExit(f"{options.train} has {len(pieces)} mended hunks; {FEWEST} are the fewest to learn from")
    teach(model, pieces, options)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "controls.json"):
        shutil.copyfile(options.model / name, options.out / name)
    export.write_models(model, options.out)
    export.write_manifest(options.out, options.version, known["max_tokens"], known["calibration"], known["thresholds"])
    print(f"learned from {len(pieces)} mended hunks; {options.out} is complete")


def teach(model: Reviewer, pieces: list[Piece], options: argparse.Namespace) -> None:
    for judge in model.judges:
        judge.line.requires_grad_(False)
    device, weights, rows = torch.device("cpu"), Weights.of(pieces), list(range(len(pieces)))
    memory = Memory.of(model, pieces, device, options.bf16)
    with torch.no_grad():
        seen, _ = memory.impression(rows, device)
        said = torch.stack([split(judge(seen)[0])[0] for judge in model.judges])
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_of_rows(rows, EPOCHS, options.seed, BATCH)
        learning = [each for judge in model.judges for part in (judge.counted, judge.read, judge.verdict) for each in part.parameters()]
        optimizer = optimizer_of([learning], FROZEN_DECAY)
        run = Run(model, optimizer, [RATE], plan, options.seed, device, False, Path(folder) / "tune.pt")
        run.go(lambda some: frozen_loss(model, memory, some, pieces, device, weights, said), float("inf"), Path(folder) / "tune.jsonl")
    model.eval()
