"""The forest and its ONNX form."""

import lightgbm
import numpy as np
import onnx
from onnxmltools.convert import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from sentinel_shared import tables

# 120 rounds. Few leaves and strong column sampling, for a corpus of hundreds;
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
UNUSED_COLUMNS = np.array(tables.columns("numerics", "identity"))


def blanked(matrix: np.ndarray, columns: np.ndarray = UNUSED_COLUMNS) -> np.ndarray:
    """The matrix with these columns blank, so that no tree can split on them."""
    blank = matrix.copy()
    blank[:, columns] = 0.0
    return blank


def fit(matrix: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> lightgbm.LGBMClassifier:
    return lightgbm.LGBMClassifier(**PARAMETERS).fit(matrix, labels, sample_weight=weights)


def to_onnx(model: lightgbm.LGBMClassifier) -> bytes:
    """One TreeEnsembleClassifier with integer labels, in class order."""
    initial = [("features", FloatTensorType([None, tables.FEATURES]))]
    # A name of its own: the converter's would be random, and the same data is to give the same bytes.
    converted = convert_lightgbm(model.booster_, name="sentinel", initial_types=initial, zipmap=False, target_opset=15)
    onnx.checker.check_model(converted)
    return converted.SerializeToString()
