"""`python -m sentinel_training train|retrain|card|goldens`, in the root of the repository: see README.md."""

import argparse
import gzip
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score

from sentinel_shared import tables

from . import ROOT, data, drift, goldens, model, vocabulary
from .crossvalidation import MORE_WEIGHT, Workshop, fit_split, out_of_fold

# Below this the model is not written.
GATE_MACRO_F1 = 0.65
# Fixed beforehand: which folds the thresholds are chosen on.
CALIBRATION_SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sentinel_training", description=__doc__)
    parser.add_argument("action", choices=["train", "retrain", "card", "goldens"])
    parser.add_argument("--data", type=Path, help="folder of train.jsonl and train_more.jsonl; not needed for goldens")
    parser.add_argument("--model", type=Path, default=ROOT / "models/failure", help="folder to read patterns.toml from and write to")
    parser.add_argument("--sentinel", type=Path, default=ROOT / "target/debug/sentinel", help="the Rust binary")
    parser.add_argument("--work", type=Path, default=None, help="where to leave the splits; a temporary folder by default")
    parser.add_argument("--feedback", type=Path, help="retrain: JSON lines of corrected telemetry, as `sentinel retrain` fetches them")
    parser.add_argument("--out", type=Path, help="retrain: folder for the candidate")
    parser.add_argument("--version", help="retrain: the candidate's version")
    arguments = parser.parse_args()
    if arguments.data is None and arguments.action != "goldens":
        parser.error(f"{arguments.action} needs --data")
    if arguments.action == "retrain" and not (arguments.feedback and arguments.out and arguments.version):
        parser.error("retrain needs --feedback, --out and --version")
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        {"train": train, "retrain": retrain, "card": write_card, "goldens": goldens.write}[arguments.action](arguments, work)


def open_workshop(arguments, work: Path) -> Workshop:
    return Workshop.open(arguments.data, arguments.model / "patterns.toml", arguments.sentinel, work)


def write_card(arguments, work: Path) -> None:
    """Cross-validates the shipped recipe and what is left of it without each part; writes the model card."""
    from . import card  # matplotlib is needed for this alone

    card.write(open_workshop(arguments, work), arguments.model)


def calibrate(workshop: Workshop) -> tuple[dict, np.ndarray]:
    """Temperature and thresholds from out-of-fold scores of every record: one fold is too few to choose on."""
    raw = out_of_fold(workshop, CALIBRATION_SEED)
    target = np.searchsorted(np.unique(workshop.records.labels), workshop.records.labels)
    temperature = model.temperature(raw, target)
    probabilities = model.calibrated(raw, temperature)
    abstain_below = model.threshold(probabilities, target)
    calibration = {
        "temperature": temperature,
        "abstain_below": abstain_below,
        "class_abstain_below": model.class_thresholds(probabilities, target, abstain_below),
    }
    return calibration, probabilities


def word_baseline(training: data.Records, path: Path) -> None:
    """600 plain words by frequency with logistic regression: what the forest must beat, fitted on the same split."""
    plain = np.array([" ".join(w for w in text.split() if not w.startswith(("sig_", "cue_", "at_"))) for text in training.texts], dtype=object)
    counter = vocabulary.vectorizer(max_features=vocabulary.SIZE)
    counter.fit(plain)
    terms = sorted(counter.vocabulary_)
    fitted = vocabulary.fitted(plain, terms, 1)
    matrix = vocabulary.vectorizer(terms).fit_transform(plain)
    regression = LogisticRegression(C=10, max_iter=5000, class_weight="balanced").fit(matrix, training.labels)
    names, counts = np.unique(training.labels, return_counts=True)
    path.write_text(json.dumps({
        "majority": str(names[counts.argmax()]),
        "tfidf": fitted,
        "coefficients": np.round(regression.coef_, 5).tolist(),
        "intercepts": np.round(regression.intercept_, 5).tolist(),
    }) + "\n")


def drift_baseline(records: data.Records, features: Path, calibration: dict, probabilities: np.ndarray) -> dict:
    answer, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    classes = np.unique(records.labels)
    answered = confidence >= np.array(calibration["class_abstain_below"])[answer]
    verdicts = np.where(answered, classes[answer], "Unknown")
    return drift.baseline(records, json.loads(features.read_text()), verdicts, confidence)


def train(arguments, work: Path) -> None:
    """Fits and writes `models/failure/`, and the fixtures that go with it."""
    held, booster = build(open_workshop(arguments, work), work, arguments, arguments.model, "lgbm_v3.2")
    drift.write_golden(ROOT / "tests/fixtures/golden/drift.jsonl")
    goldens.fixture(held, arguments.model, ROOT / "tests/fixtures/ci_logs")
    goldens.write(arguments, work, booster=booster)


def retrain(arguments, work: Path) -> None:
    """Fits a candidate on the same records and people's corrections, and writes it to a folder of its own."""
    workshop = open_workshop(arguments, work)
    workshop.feedback = data.read(arguments.feedback, workshop.patterns, workshop.sentinel, work)
    arguments.out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(workshop.patterns, arguments.out / "patterns.toml")
    build(workshop, work, arguments, arguments.out, arguments.version)


def build(workshop: Workshop, work: Path, arguments, out: Path, version: str):
    """Fits, calibrates and exports a model, or fails at the gate and writes nothing; the held-out records and booster."""
    records = workshop.records
    calibration, out_of_fold_probabilities = calibrate(workshop)
    held_out = data.validation_mask(records)
    features = work / "features.json"
    training_records = ~held_out
    if workshop.feedback is not None:
        # A correction always counts: what is held out of its repository is then neither learned from nor scored.
        held_out &= ~np.isin(records.groups, workshop.feedback.groups)
    forest, training, extra = fit_split(workshop, training_records, held_out, features)
    held = records.take(held_out)
    raw = forest.booster_.predict(model.blanked(workshop.matrix(held.rows, features)), raw_score=True)
    target = np.searchsorted(forest.classes_, held.labels)
    probabilities = model.calibrated(raw, calibration["temperature"])
    answer = probabilities.argmax(axis=1)
    predicted = forest.classes_[answer]
    macro_f1 = f1_score(held.labels, predicted, average="macro")
    answered = probabilities.max(axis=1) >= np.array(calibration["class_abstain_below"])[answer]
    metrics = {
        "split": "validation: one fold of five by repository, seed 42",
        "n": len(held.rows),
        "macro_f1": round(float(macro_f1), 4),
        "strict_accuracy": round(float(accuracy_score(held.labels, predicted)), 4),
        "lenient_accuracy": round(float(np.mean([p in (r["label"], r["alt_label"]) for p, r in zip(predicted, held.rows)])), 4),
        "selective": {"coverage": round(float(answered.mean()), 4), "accuracy": round(float((predicted == held.labels)[answered].mean()), 4)},
        "ece": round(model.calibration_error(probabilities, target), 4),
    }
    print(json.dumps({**metrics, "calibration": calibration}, indent=2))
    if macro_f1 < GATE_MACRO_F1:
        raise SystemExit(f"macro-F1 {macro_f1:.3f} is under the gate of {GATE_MACRO_F1}: nothing was written")
    (work / "validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held.rows))

    (out / "model.onnx").write_bytes(model.to_onnx(forest))
    (out / "features.json").write_text(features.read_text())
    (out / "drift.json").write_text(json.dumps(drift_baseline(records, features, calibration, out_of_fold_probabilities)) + "\n")
    # The learner's own form, for the bench; mtime=0 keeps the bytes the same from run to run.
    text = forest.booster_.model_to_string().encode()
    (out / "model.lightgbm.txt.gz").write_bytes(gzip.compress(text, mtime=0))
    word_baseline(training, out / "baseline.json")
    manifest = {
        "model_version": version,
        "algorithm": "LightGBM gbdt, 120 rounds x 10 classes",
        "feature_count": tables.FEATURES,
        "feature_order": tables.FEATURE_ORDER,
        "classes": tables.CLASSES,
        "trees": forest.booster_.num_trees(),
        "calibration": calibration,
        "data": {
            "train.jsonl": data.sha256(arguments.data / "train.jsonl"),
            "train_more.jsonl": data.sha256(arguments.data / "train_more.jsonl"),
            "training_records": len(training.rows),
            "down_weighted_records": len(extra.rows),
            "down_weight": MORE_WEIGHT,
            "corrections": len(workshop.feedback.rows) if workshop.feedback else 0,
        },
        "metrics": metrics,
        "files": {name: data.sha256(out / name) for name in ("features.json", "patterns.toml", "drift.json", "model.onnx")},
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    print(f"wrote {out}")
    return held, forest.booster_


if __name__ == "__main__":
    main()
