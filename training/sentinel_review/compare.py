"""Models beside each other: what each knows, how its words differ from the first one's, and what a look costs.

Each model is a folder with `model.onnx`, and of one and the same data `report.json` and `predictions.jsonl` of
`sentinel eval review`. Costs are of one thread, the models in turn, so that a busy machine slows all.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import onnxruntime

LENGTHS, ROUNDS = (128, 512), 30


def write(options: argparse.Namespace) -> None:
    named = [given.split("=", 1) for given in options.models]
    spent = costs([Path(folder) / "model.onnx" for _, folder in named])
    first = predictions(Path(named[0][1]))
    rows = []
    for (name, folder), milliseconds in zip(named, spent):
        report = json.loads((Path(folder) / "report.json").read_text(encoding="utf-8"))
        said = predictions(Path(folder))
        rows.append(
            {
                "name": name,
                "bytes": (Path(folder) / "model.onnx").stat().st_size,
                "roc_auc": report["needs_comment"]["roc_auc"],
                "severity": report["severity"]["macro_f1"],
                "category": report["category"]["macro_f1"],
                "hit1": report["lines"]["hit1"],
                "flips": sum(one != other for one, other in zip(first, said)),
                "of": len(first),
                "milliseconds": dict(zip(map(str, LENGTHS), milliseconds)),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def predictions(folder: Path) -> list[tuple]:
    """Of each hunk what a person would be told."""
    rows = map(json.loads, (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines())
    return [(row["severity"], row["category"], row["line"]) for row in rows]


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
