"""`export`: from a fitted model to what the node loads: ONNX files, and a manifest without calibration and thresholds.

Eight bits for a CPU, sixteen for a GPU.
"""

import argparse
import copy
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.preprocess import quant_pre_process

from sentinel_shared.tables import CATEGORIES, SEVERITIES

from .manifest import write_manifest
from .model import Reviewer
from .scores import restore

# Training has too few examples of these to have learned them: the model never predicts them.
TOO_RARE = ["security", "duplication"]
# Names of the parts whose numbers may be rounded: transformer and judges.
ROUNDED = ("/tokens/", "/about/", "/blocks.", "/norm/", "/judges.")
OUTPUTS = ["needs_comment", "severity", "category", "line"]


@dataclass(frozen=True)
class Options:
    model: Path
    version: str
    out: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="reviewer.pt")
    parser.add_argument("--version", required=True, help="review_v<major>.<minor>")
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")


def run(options: Options) -> None:
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
        nodes_to_exclude=full_precision_nodes(onnx.load(str(prepared))),
    )
    prepared.unlink()
    onnx.checker.check_model(str(out))


def to_fp16(model: Reviewer, out: Path) -> None:
    """Transformer and judges at half the width, for a GPU; what comes in and goes out stays as it is."""
    half = copy.deepcopy(model)
    half.to_half()
    to_onnx(half, out)


def full_precision_nodes(model: onnx.ModelProto) -> list[str]:
    """Nodes that must not be rounded: those that count, compare and look up words, and the forest's."""
    return [node.name for node in model.graph.node if not node.name.startswith(ROUNDED)]
