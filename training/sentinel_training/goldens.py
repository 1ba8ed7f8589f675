"""Golden vectors: what scikit-learn, LightGBM and ONNX Runtime compute from the same telemetry as the Rust side."""

import argparse
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
import onnxruntime
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction import FeatureHasher

from sentinel_shared.tables import BLOCKS, CATEGORY_COLUMNS, FLAGS, NUMERICS

from . import ROOT, data, vocabulary
from .calibration import Calibration
from .sources import add_program_arguments, workspace

# Telemetry no record has: every numeric, every kind of level, flags, an empty text, a name beyond ASCII.
SYNTHETIC = [
    {"build_duration_sec": 120.5, "test_duration_sec": 60.0, "deploy_duration_sec": 30.0, "cpu_usage_pct": 48.1,
     "memory_usage_mb": 6420.7, "retry_count": 2.0, "repository": "o/r", "author": "søren", "text": "disk full no space left",
     "ci_tool": "Jenkins", "language": "Go", "os": "Windows", "cloud_provider": "GCP", "failure_stage": "deploy",
     "severity": "LOW", "is_flaky_test": True, "rollback_triggered": True, "incident_created": True},
    {"repository": "", "author": "", "text": "", "ci_tool": "CircleCI", "language": "C++", "os": "Linux",
     "cloud_provider": "AWS", "failure_stage": "build", "severity": "CRITICAL"},
]


@dataclass(frozen=True)
class Options:
    model: Path
    sentinel: Path
    work: Path | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_program_arguments(parser)


def run(options: Options) -> None:
    with workspace(options.work) as work:
        write(options.model, options.sentinel, work)


def write(folder: Path, sentinel: Path, work: Path, booster: lightgbm.Booster | None = None) -> None:
    """Writes tests/fixtures/golden/failure.jsonl from the model in `folder` and the redistributable fixture."""
    fixture = ROOT / "tests/fixtures/ci_logs/validation.jsonl"
    out = work / "golden.telemetry.jsonl"
    command: list[Path | str] = [sentinel, "features", "--data", fixture, "--patterns", folder / "patterns.toml", "--out", out]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    telemetry = [json.loads(line)["telemetry"] for line in out.read_text().splitlines()][:24] + SYNTHETIC
    features = json.loads((folder / "features.json").read_text())
    calibration = Calibration(**json.loads((folder / "manifest.json").read_text())["calibration"])
    matrix = reference(telemetry, features)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    # log(p) is the raw score up to a constant a row, which the softmax removes.
    raw = np.log(session.run(["probabilities"], {"features": matrix})[0].astype(float))
    probabilities = calibration.probabilities(raw)
    if booster is not None:
        exact = calibration.probabilities(booster.predict(matrix, raw_score=True))
        print(f"LightGBM and ONNX Runtime differ by at most {np.abs(exact - probabilities).max():.2e} on the goldens")
        probabilities = exact
    goldens = ROOT / "tests/fixtures/golden"
    goldens.mkdir(parents=True, exist_ok=True)
    lines = []
    for row, values, answer in zip(telemetry, matrix, probabilities):
        present = {str(at): None if np.isnan(x) else float(x) for at, x in enumerate(values) if x != 0}
        lines.append(json.dumps({"telemetry": row, "features": present, "probabilities": [float(p) for p in answer]}))
    (goldens / "failure.jsonl").write_text("\n".join(lines) + "\n")


def reference(telemetry: list[dict], features: dict) -> np.ndarray:
    """All columns by scikit-learn's own transformers."""
    tfidf = features["tfidf"]
    vectorizer = vocabulary.vectorizer(tfidf["vocabulary"], ngram_range=(1, tfidf["ngram_max"]))
    vectorizer.idf_ = np.array(tfidf["idf"])
    text = vectorizer.transform([row["text"] for row in telemetry])
    text.resize(len(telemetry), vocabulary.SIZE)
    scaler = features["scaler"]
    numerics = [[np.nan if row.get(name) is None else row[name] for name in NUMERICS] for row in telemetry]
    numerics = (np.array(numerics, dtype=float) - scaler["mean"]) / scaler["scale"]
    identity = FeatureHasher(BLOCKS["identity"].width, input_type="dict", alternate_sign=True).transform(
        {"repository": row["repository"], "author": row["author"]} for row in telemetry
    )
    dummies = [[float(row[name] == level) for name, level in CATEGORY_COLUMNS] for row in telemetry]
    flags = [[float(row.get(name, False)) for name in FLAGS] for row in telemetry]
    return hstack([csr_matrix(numerics), identity, text, csr_matrix(dummies), csr_matrix(flags)]).toarray().astype(np.float32)


def write_fixture(held: data.Records, folder: Path) -> None:
    """Copies the validation records whose licence allows it into the repository."""
    folder.mkdir(parents=True, exist_ok=True)
    keep = ("id", "label", "alt_label", "excerpt", "step_name", "job_name", "repo", "origin", "license", "source", "job_duration_s", "attempt")
    rows = [{name: row.get(name) for name in keep} for row in held.rows if data.may_redistribute(row)]
    (folder / "validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(f"{len(rows)} of {len(held.rows)} validation records may be redistributed")
