"""A fitted model from the ONNX file that the node loads, so that a served model can be trained further.

Rounded weights come back as the numbers they stand for: the file made of them again is the same, byte for byte.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from .model import Reviewer, Shape

MULTIPLIES = ("MatMul", "MatMulInteger")


def restore(path: Path) -> Reviewer:
    """Of `model.onnx` or of what it was rounded from."""
    graph = onnx.load(str(path)).graph
    stored = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    # The exporter gives what a linear layer multiplies by no name, or its own, and writes it the other way round.
    transposed = {
        f"{module_of(node.name)}.weight": node.input[1] for node in graph.node if node.op_type in MULTIPLIES and node.input[1] in stored
    }

    def values(name: str) -> np.ndarray:
        if name in stored:
            return stored[name]
        return dequantized(stored, transposed[name]).T if name in transposed else dequantized(stored, f"{name}_quantized")

    roots, depth = roots_and_depth(stored["forest.left"], stored["forest.right"])
    parts = {name.split("/")[1] for name in (node.name for node in graph.node) if name.startswith("/")}
    vocabulary, width = values("tokens.weight").shape
    model = Reviewer(
        Shape(
            vocabulary,
            width,
            layers=sum(part.startswith("blocks.") for part in parts),
            counts=stored["counts.table"].shape[1],
            beginnings=stored["counts.begins"].shape[1],
            judges=sum(part.startswith("judges.") for part in parts),
            trees=len(roots),
            nodes=len(stored["forest.left"]),
            depth=depth,
        )
    )
    names = [name for name in model.state_dict() if name != "forest.roots"]
    model.load_state_dict({name: torch.tensor(values(name)) for name in names} | {"forest.roots": torch.tensor(roots)})
    return model.eval()


def module_of(node: str) -> str:
    """`/judges.0/line/line.1/MatMul_quant` stands in `judges.0.line.1`."""
    steps: list[str] = []
    for step in node.strip("/").split("/")[:-1]:
        if steps and step.startswith(f"{steps[-1]}."):
            steps.pop()
        steps.append(step)
    return ".".join(steps)


def dequantized(stored: dict[str, np.ndarray], name: str) -> np.ndarray:
    rounded = stored[name]
    if not name.endswith("_quantized"):
        return rounded
    scale, zero = (stored[name.removesuffix("quantized") + part] for part in ("scale", "zero_point"))
    return (rounded.astype(np.float32) - zero.astype(np.float32)) * scale


def roots_and_depth(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, int]:
    """Of trees whose leaves lead to themselves: the nodes that none leads to, and the longest way down."""
    nodes = np.arange(len(left))
    led_to = np.concatenate([each[each != nodes] for each in (left, right)])
    roots = np.setdiff1d(nodes, led_to)
    # A tree of one leaf is a root too.
    level, depth = roots, -1
    while len(level):
        inner = level[left[level] != level]
        level, depth = np.concatenate([left[inner], right[inner]]), depth + 1
    return roots.astype(np.int32), max(depth, 0)
