"""The forest, its ONNX form, and how its scores become probabilities."""

import lightgbm
import numpy as np
import onnx
from onnxmltools.convert import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from sentinel_shared import tables

# The predecessor's learner with its 120 rounds. Fewer leaves and more column sampling, for a corpus of hundreds;
# chosen by five-fold comparison: 7 and 31 leaves, fewer columns and extra trees did no better, 0.05 a little better than 0.08.
PARAMETERS = dict(
    objective="multiclass",
    boosting_type="gbdt",
    n_estimators=120,
    learning_rate=0.05,
    num_leaves=15,
    max_depth=8,
    min_child_samples=8,
    subsample=0.8,
    subsample_freq=1,
    colsample_bytree=0.3,
    reg_alpha=0.05,
    reg_lambda=1.0,
    class_weight="balanced",
    random_state=42,
    n_jobs=1,
    deterministic=True,
    force_row_wise=True,
    verbose=-1,
)
# What the corpus can't teach: repository and author (records are split by repository, so their hashes only
# name training repositories) and durations (known for half the records, and the half is decided by origin).
UNTAUGHT = np.array(tables.columns("numerics", "identity"))
# How often an answer that is given should be right, over all classes and for any one of them.
SELECTIVE_ACCURACY = 0.90
CLASS_PRECISION = 0.75
# Fewer answers than this say nothing about a class.
CLASS_ANSWERS_MIN = 8
THRESHOLDS = np.round(np.arange(0.20, 0.96, 0.01), 2)


def blanked(matrix: np.ndarray, columns: np.ndarray = UNTAUGHT) -> np.ndarray:
    """The matrix with these columns blank, so that no tree can split on them."""
    blank = matrix.copy()
    blank[:, columns] = 0.0
    return blank


def fit(matrix: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> lightgbm.LGBMClassifier:
    return lightgbm.LGBMClassifier(**PARAMETERS).fit(matrix, labels, sample_weight=weights)


def to_onnx(model: lightgbm.LGBMClassifier) -> bytes:
    """One TreeEnsembleClassifier with integer labels, in class order."""
    initial = [("features", FloatTensorType([None, tables.FEATURES]))]
    converted = convert_lightgbm(model.booster_, initial_types=initial, zipmap=False, target_opset=15)
    onnx.checker.check_model(converted)
    return converted.SerializeToString()


def calibrated(raw: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities of raw scores (Guo et al. 2017)."""
    scaled = raw / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def temperature(raw: np.ndarray, target: np.ndarray) -> float:
    """The temperature of least log loss, on a grid fine enough that the loss is flat around it."""
    grid = np.round(np.geomspace(0.4, 4.0, 200), 4)
    losses = [-np.log(calibrated(raw, t)[np.arange(len(target)), target] + 1e-12).mean() for t in grid]
    return float(grid[int(np.argmin(losses))])


def threshold(probabilities: np.ndarray, target: np.ndarray) -> float:
    """The lowest confidence from which answers are right often enough."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == target
    for candidate in THRESHOLDS:
        answered = confidence >= candidate
        if answered.any() and right[answered].mean() >= SELECTIVE_ACCURACY:
            return float(candidate)
    return float(THRESHOLDS[-1])


def class_thresholds(probabilities: np.ndarray, target: np.ndarray, floor: float) -> list[float]:
    """Per class, the lowest confidence, not under `floor`, from which its answers are right often enough."""
    confidence, answer = probabilities.max(axis=1), probabilities.argmax(axis=1)
    chosen = []
    for label in range(probabilities.shape[1]):
        at = floor
        for candidate in THRESHOLDS[THRESHOLDS >= floor]:
            answered = (answer == label) & (confidence >= candidate)
            if answered.sum() < CLASS_ANSWERS_MIN or (target[answered] == label).mean() >= CLASS_PRECISION:
                break
            at = float(candidate)
        chosen.append(at)
    return chosen


def calibration_error(probabilities: np.ndarray, target: np.ndarray, bins: int = 10) -> float:
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == target
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(sum(abs((confidence[at == b] - right[at == b]).sum()) for b in range(bins)) / len(target))
