"""`choose`: calibration and thresholds, from what `sentinel eval review --predictions` wrote of the validation split.

So they are of the model as it is served, rounded to 8 bits, and of hunks that it was not fitted on.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from sentinel_shared.tables import SEVERITIES

from .manifest import read_manifest, write_manifest
from .records import read

# A threshold needs as many hunks above it.
HUNKS_MIN = 30


@dataclass(frozen=True)
class Options:
    predictions: Path
    precision: float
    out: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--predictions", type=Path, required=True, help="of `sentinel eval review --predictions`")
    parser.add_argument("--precision", type=float, default=0.6, help="what each threshold aims at")
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")


def run(options: Options) -> None:
    """Writes both into the manifest."""
    rows = list(read(options.predictions))
    logits, mended = np.array([[row["logit"]] for row in rows]), np.array([row["positive"] for row in rows])
    fitted = LogisticRegression(C=1e6).fit(logits, mended)
    calibration = {"a": float(fitted.coef_[0, 0]), "b": float(fitted.intercept_[0])}
    probabilities = fitted.predict_proba(logits)[:, 1]
    # No severity's threshold is below that of all together: the few hunks of one severity may be right by luck, and those
    # of one repository.
    common = threshold(probabilities, mended, options.precision) or 1.0
    thresholds = {}
    for name in SEVERITIES:
        of_severity = [at for at, row in enumerate(rows) if row["severity"] == name]
        found = threshold(probabilities[of_severity], mended[of_severity], options.precision, common)
        if found is not None:
            thresholds[name] = found
    manifest = read_manifest(options.out)
    write_manifest(options.out, manifest["model_version"], manifest["max_tokens"], calibration, thresholds)
    print(json.dumps({"calibration": calibration, "thresholds": thresholds}, indent=2))


def threshold(probabilities: np.ndarray, mended: np.ndarray, precision: float, least: float = 0.0) -> float | None:
    """The lowest probability, `least` or more, from which on at least this share was mended, of at least `HUNKS_MIN` hunks.

    None where there is none: comments of that severity are not shown.
    """
    order = np.argsort(-probabilities, kind="stable")
    count = np.arange(1, len(order) + 1)
    right = np.cumsum(mended[order]) / count
    good = np.flatnonzero((right >= precision) & (count >= HUNKS_MIN) & (probabilities[order] >= least))
    return round(float(probabilities[order[good[-1]]]), 4) if len(good) else None
