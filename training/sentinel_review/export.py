"""From a fitted model to what the node loads: ONNX files, and a manifest with what validation chose.

Eight bits for a CPU, sixteen for a GPU. Calibration and thresholds are chosen from what `sentinel eval review
--predictions` wrote of the validation split: from the model as it is served, not as it was fitted.
"""

import argparse
import copy
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.preprocess import quant_pre_process
from sklearn.linear_model import LogisticRegression

from sentinel_shared.tables import CATEGORIES, SEVERITIES

from .model import Reviewer
from .scores import restore

# Training has too few examples of these to have learned them: the model never predicts them.
TOO_RARE = ["security", "duplication"]
# A threshold needs as many hunks on its right side.
FEWEST = 30
# Names of the parts whose numbers may be rounded: transformer and judges.
READING = ("/tokens/", "/about/", "/blocks.", "/norm/", "/judges.")
OUTPUTS = ["needs_comment", "severity", "category", "line"]


def to_onnx(model: Reviewer, out: Path) -> None:
    """Full precision, with batch and length left open."""
    model.eval()
    ids = torch.randint(9, model.shape.vocabulary, (2, 16))
    torch.onnx.export(
        model,
        (ids, torch.ones_like(ids)),
        str(out),
        input_names=["input_ids", "attention_mask"],
        output_names=OUTPUTS,
        dynamic_axes={name: {0: "batch", 1: "length"} for name in ["input_ids", "attention_mask", "line"]}
        | {name: {0: "batch"} for name in OUTPUTS[:3]},
        opset_version=17,
        dynamo=False,
    )


def to_int8(source: Path, out: Path) -> None:
    """Weights of transformer and judges per channel and ahead of time, activations per tensor and at run time."""
    prepared = out.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantize_dynamic(
        str(prepared),
        str(out),
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul", "Gather"],
        nodes_to_exclude=counting(onnx.load(str(prepared))),
    )
    prepared.unlink()
    onnx.checker.check_model(str(out))


def to_fp16(model: Reviewer, out: Path) -> None:
    """Transformer and judges at half the width, for a GPU; what comes in and goes out stays as it is."""
    half = copy.deepcopy(model)
    half.halve()
    to_onnx(half, out)


def counting(model: onnx.ModelProto) -> list[str]:
    """Nodes that need all digits: those that count, compare and look up words, and the forest's."""
    return [node.name for node in model.graph.node if not node.name.startswith(READING)]


def export(options: argparse.Namespace) -> None:
    model = restore(options.model)
    for judge in model.judges:
        judge.verdict.bias.data[[1 + len(SEVERITIES) + CATEGORIES.index(name) for name in TOO_RARE]] -= 1e3
    options.out.mkdir(parents=True, exist_ok=True)
    write_models(model, options.out)
    write_manifest(options.out, options.version, model.shape.length, {"a": 1.0, "b": 0.0}, {})


def write_models(model: Reviewer, folder: Path) -> None:
    whole = folder / "fp32.onnx"
    to_onnx(model, whole)
    to_int8(whole, folder / "model.onnx")
    to_fp16(model, folder / "fp16.onnx")


def choose(options: argparse.Namespace) -> None:
    """Writes calibration and thresholds into the manifest."""
    rows = [json.loads(line) for line in options.predictions.read_text(encoding="utf-8").splitlines()]
    logits, mended = np.array([[row["logit"]] for row in rows]), np.array([row["positive"] for row in rows])
    fitted = LogisticRegression(C=1e6).fit(logits, mended)
    calibration = {"a": float(fitted.coef_[0, 0]), "b": float(fitted.intercept_[0])}
    chances = fitted.predict_proba(logits)[:, 1]
    # What all together need: one severity's few may be right by luck, and those of one repository.
    common = threshold(chances, mended, options.precision) or 1.0
    thresholds = {}
    for name in SEVERITIES:
        mine = [at for at, row in enumerate(rows) if row["severity"] == name]
        found = threshold(chances[mine], mended[mine], options.precision, common)
        if found is not None:
            thresholds[name] = found
    manifest = json.loads((options.out / "manifest.json").read_text(encoding="utf-8"))
    write_manifest(options.out, manifest["model_version"], manifest["max_tokens"], calibration, thresholds)
    print(json.dumps({"calibration": calibration, "thresholds": thresholds}, indent=2))


def threshold(chances: np.ndarray, mended: np.ndarray, precision: float, least: float = 0.0) -> float | None:
    """The lowest chance, `least` or more, from which on at least this share was mended, over at least `FEWEST` hunks.

    None where there is none: a severity that is not right often enough has not earned the right to speak.
    """
    order = np.argsort(-chances, kind="stable")
    count = np.arange(1, len(order) + 1)
    right = np.cumsum(mended[order]) / count
    good = np.flatnonzero((right >= precision) & (count >= FEWEST) & (chances[order] >= least))
    return round(float(chances[order[good[-1]]]), 4) if len(good) else None


def write_manifest(folder: Path, version: str, max_tokens: int, calibration: dict, thresholds: dict) -> None:
    """Names the files by their digests; the node refuses others."""
    names = ["model.onnx", "tokenizer.json", "controls.json"]
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    manifest = {
        "model_version": version,
        "max_tokens": max_tokens,
        "calibration": calibration,
        "thresholds": thresholds,
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
