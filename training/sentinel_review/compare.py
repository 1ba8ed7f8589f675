"""Models beside each other: skill, which answers differ from the first one's, and the cost of a prediction.

Each model is a folder with `model.onnx`, and of one and the same data `report.json` and `predictions.jsonl` of
`sentinel eval review`. Costs are of one thread, the models in turn, so that a busy machine slows all.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from .records import read

LENGTHS, ROUNDS = (128, 512), 30


@dataclass(frozen=True)
class Options:
    models: list[str]
    out: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", help="NAME=FOLDER; the first is what the others are compared with")
    parser.add_argument("--out", type=Path, required=True, help="a JSON file")


def run(options: Options) -> None:
    named = [given.split("=", 1) for given in options.models]
    milliseconds_of_models = costs([Path(folder) / "model.onnx" for _, folder in named])
    first = predictions(Path(named[0][1]))
    rows = []
    for (name, folder), milliseconds in zip(named, milliseconds_of_models):
        report = json.loads((Path(folder) / "report.json").read_text(encoding="utf-8"))
        answers = predictions(Path(folder))
        rows.append(
            {
                "name": name,
                "bytes": (Path(folder) / "model.onnx").stat().st_size,
                "roc_auc": report["needs_comment"]["roc_auc"],
                "severity": report["severity"]["macro_f1"],
                "category": report["category"]["macro_f1"],
                "hit1": report["lines"]["hit1"],
                "flips": sum(one != other for one, other in zip(first, answers)),
                "of": len(first),
                "milliseconds": dict(zip(map(str, LENGTHS), milliseconds)),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def predictions(folder: Path) -> list[tuple]:
    """What a person would read of each hunk."""
    return [(row["severity"], row["category"], row["line"]) for row in read(folder / "predictions.jsonl")]


def costs(models: list[Path]) -> list[list[float]]:
    """Milliseconds of one sequence, the median: [models][lengths]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]) for path in models]
    spent: list[list[list[float]]] = [[[] for _ in LENGTHS] for _ in models]
    for _ in range(ROUNDS):
        for session, of_model in zip(sessions, spent):
            for length, times in zip(LENGTHS, of_model):
                ids = np.random.default_rng(length).integers(30, 30_000, (1, length)).astype(np.int64)
                began = time.perf_counter()
                session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
                times.append((time.perf_counter() - began) * 1e3)
    return [[float(np.median(times)) for times in of_model] for of_model in spent]
