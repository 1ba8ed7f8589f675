"""A forest over the counts and the words: whether a hunk needs a comment.

Gradient boosting (Friedman 2001) by LightGBM, walked inside the model as tensors: every tree takes one step at a time, and
a leaf leads to itself. So one file holds all, and every runtime has the operators.

The words' scores that it is fitted on are out of fold, of words that were fitted on other repositories. Otherwise the
trees would trust them too much.
"""

import lightgbm
import numpy as np
import torch
from torch import Tensor, nn

ROUNDS = 500
# Small steps, shallow trees and leaves of many pieces: labels in hindsight are noisy.
PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.04,
    "num_leaves": 31,
    "max_depth": 8,
    "min_child_samples": 100,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


class Forest(nn.Module):
    """Its score is 0 while it has no trees."""

    def __init__(self, trees: int, nodes: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        for name, count, kind in [
            ("roots", trees, torch.int32),
            # The column that is compared, and with what: up to that goes left.
            ("column", nodes, torch.int32),
            ("threshold", nodes, torch.float32),
            ("left", nodes, torch.int32),
            ("right", nodes, torch.int32),
            ("value", nodes, torch.float32),
        ]:
            self.register_buffer(name, torch.zeros(count, dtype=kind))

    def forward(self, features: Tensor) -> Tensor:
        """[batch, columns] to log-odds, [batch]"""
        if not self.depth:
            return features.new_zeros(features.shape[0])
        at = self.roots.long().expand(features.shape[0], -1)
        for _ in range(self.depth):
            is_left = features.gather(1, self.column[at].long()) <= self.threshold[at]
            at = torch.where(is_left, self.left[at], self.right[at]).long()
        return self.value[at].sum(1)


def fit(features: np.ndarray, mended: np.ndarray, seed: int, threads: int) -> Forest:
    """Of float32 [pieces, columns] and bool [pieces]."""
    settings = PARAMETERS | {"seed": seed, "num_threads": threads}
    return from_booster(lightgbm.train(settings, lightgbm.Dataset(features, mended), ROUNDS))


def from_booster(booster: lightgbm.Booster) -> Forest:
    """The same trees; their answers are LightGBM's raw scores but for rounding."""
    nodes: list[tuple[int, float, int, int, float]] = []

    def add(node: dict) -> tuple[int, int]:
        """Its number and the steps below it."""
        number = len(nodes)
        if "split_index" not in node:
            nodes.append((0, np.inf, number, number, node["leaf_value"]))
            return number, 0
        nodes.append((0, 0.0, 0, 0, 0.0))
        (left, deep), (right, deeper) = add(node["left_child"]), add(node["right_child"])
        nodes[number] = (node["split_feature"], float32_at_most(node["threshold"]), left, right, 0.0)
        return number, 1 + max(deep, deeper)

    roots, depths = zip(*(add(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]))
    forest = Forest(len(roots), len(nodes), max(depths))
    forest.roots.copy_(torch.tensor(roots))
    for name, values in zip(("column", "threshold", "left", "right", "value"), zip(*nodes)):
        getattr(forest, name).copy_(torch.tensor(values))
    return forest


def float32_at_most(threshold: float) -> float:
    """The largest number of 32 bits that is not above it: the same numbers of 32 bits go left."""
    rounded = np.float32(threshold)
    return float(rounded if rounded <= threshold else np.nextafter(rounded, np.float32(-np.inf)))
