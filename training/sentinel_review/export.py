"""From a checkpoint to what the node loads: one ONNX file, its weights eight bits wide."""

import hashlib
import json
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.preprocess import quant_pre_process

from .model import Reviewer

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
    """Weights per channel and ahead of time, activations per tensor and at run time."""
    prepared = out.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantize_dynamic(
        str(prepared), str(out), weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul", "Gather"]
    )
    prepared.unlink()
    onnx.checker.check_model(str(out))


def write_manifest(folder: Path, version: str, max_tokens: int, calibration: dict, thresholds: dict) -> None:
    """Names the files by their digests; the node refuses others."""
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ["model.onnx", "tokenizer.json"]}
    manifest = {
        "model_version": version,
        "max_tokens": max_tokens,
        "calibration": calibration,
        "thresholds": thresholds,
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
