"""One fitted model: how it is fitted, what it scores on the validation split, and the files it is made of."""

import gzip
import json
from dataclasses import dataclass, replace
from pathlib import Path

import lightgbm
import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from sentinel_shared import tables

from . import baseline, data, drift, model
from .calibration import Calibration, calibration_error
from .corpus import Corpus
from .crossvalidation import OLDER_WEIGHT, fit_split, out_of_fold, target_of, with_whole

# Below this the model is not written.
GATE_MACRO_F1 = 0.65
# Fixed beforehand: which folds the thresholds are chosen on.
CALIBRATION_SEED = 0


@dataclass
class Candidate:
    forest: lightgbm.LGBMClassifier
    # The file of the fitted transformers.
    features: Path
    # What the forest was fitted on, and what its figures are from.
    training: data.Records
    older: data.Records
    held_out: data.Records
    calibration: Calibration
    # How many records the calibration was fitted on, and which.
    calibrated_on: dict
    # Of every record of the corpus, by a model that has not seen it.
    unseen_scores: np.ndarray
    metrics: dict


def fit(corpus: Corpus, calibration_records: data.Records | None = None) -> Candidate:
    """Fits on all but the validation split, calibrates without it, and scores on it.

    The calibration is fitted on `calibration_records` where there are any, which must be of other repositories than the
    corpus and should be ones that nobody looked at while changing the patterns. Otherwise on the training records, each
    scored by a model of the other folds.
    """
    records = corpus.records
    validation = data.validation_mask(records)
    held_out = validation.copy()
    if corpus.feedback is not None:
        # A correction always counts: what is held out of its repository is then neither learned from nor scored.
        held_out &= ~np.isin(records.groups, corpus.feedback.groups)
    features = corpus.work / "features.json"
    held_groups = records.groups[held_out]
    forest, training, older = fit_split(corpus, records.groups[validation], held_groups, features)

    # Without the validation split: each record and each whole log by a model of the other folds.
    others = replace(corpus.only(~validation), whole=whole_without(corpus, records.groups[validation]))
    scored = with_whole(others)
    scores = out_of_fold(others, CALIBRATION_SEED)
    unseen_scores = np.empty((len(records.rows), len(tables.CLASSES)))
    unseen_scores[~validation] = scores[: (~validation).sum()]
    unseen_scores[validation] = raw_scores(forest, corpus, records.take(validation), features)
    if calibration_records is not None:
        refuse_known(corpus, calibration_records)
        scored, scores = calibration_records, raw_scores(forest, corpus, calibration_records, features)
        calibrated_on = {"records": len(scored.rows), "scores": "the model's, of records set aside"}
    elif others.whole is not None:
        # What is served; and only logs that nobody had read when the signatures were written.
        unread = np.array([row.get("full_log") is not None and not row.get("read_before") for row in scored.rows])
        scored, scores = scored.take(unread), scores[unread]
        calibrated_on = {"records": len(scored.rows), "scores": "out of fold, of whole logs that the signatures' author had not read"}
    else:
        calibrated_on = {"records": len(scored.rows), "scores": "out of fold, of the training records"}
    calibration = Calibration.fit(scores, target_of(scored.labels), alternatives(scored))
    held = records.take(held_out)
    metrics = validation_metrics(held, calibration.probabilities(unseen_scores[held_out]), calibration)
    if others.whole is not None and calibration_records is None:
        metrics["whole_logs"] = served_metrics(scored, calibration.probabilities(scores), calibration)
    return Candidate(forest, features, training, older, held, calibration, calibrated_on, unseen_scores, metrics)


def whole_without(corpus: Corpus, groups: np.ndarray) -> data.Records | None:
    return corpus.whole and corpus.whole.take(~np.isin(corpus.whole.groups, groups))


def alternatives(records: data.Records) -> np.ndarray:
    """The number of each record's second label, or that of the first where it has none."""
    return target_of(np.array([row.get("alt_label") or label for row, label in zip(records.rows, records.labels)]))


def served_metrics(records: data.Records, probabilities: np.ndarray, calibration: Calibration) -> dict:
    """On whole logs, each scored out of fold; the lines were ranked by a scorer that had not seen their repository either."""
    predicted, target = probabilities.argmax(axis=1), target_of(records.labels)
    strict = predicted == target
    lenient = strict | (predicted == alternatives(records))
    answered = calibration.is_answered(probabilities)
    figures = {
        "strict_accuracy": strict.mean(),
        "lenient_accuracy": lenient.mean(),
        "macro_f1": f1_score(target, predicted, average="macro"),
        "answered": answered.mean(),
        "answered_accuracy": strict[answered].mean(),
        "answered_lenient": lenient[answered].mean(),
    }
    return {"n": len(records.rows), **{name: round(float(value), 4) for name, value in figures.items()}}


def raw_scores(forest: lightgbm.LGBMClassifier, corpus: Corpus, records: data.Records, features: Path) -> np.ndarray:
    return forest.booster_.predict(model.blanked(corpus.matrix(records.rows, features)), raw_score=True)


def refuse_known(corpus: Corpus, calibration_records: data.Records) -> None:
    known = [each.groups for each in (corpus.records, corpus.older, corpus.feedback) if each is not None]
    both = sorted(set(calibration_records.groups) & set(np.concatenate(known)))
    if both:
        raise SystemExit(f"the calibration records are not unseen: {len(both)} of their repositories are trained on, such as {both[0]}")


def validation_metrics(held: data.Records, probabilities: np.ndarray, calibration: Calibration) -> dict:
    predicted = np.array(tables.CLASSES)[probabilities.argmax(axis=1)]
    right, answered = predicted == held.labels, calibration.is_answered(probabilities)
    return {
        "split": "validation: one fold of five by repository, seed 42",
        "n": len(held.rows),
        "macro_f1": round(float(f1_score(held.labels, predicted, average="macro")), 4),
        "strict_accuracy": round(float(accuracy_score(held.labels, predicted)), 4),
        "lenient_accuracy": round(float(np.mean([p in (r["label"], r["alt_label"]) for p, r in zip(predicted, held.rows)])), 4),
        "selective": {"coverage": round(float(answered.mean()), 4), "accuracy": round(float(right[answered].mean()), 4)},
        "ece": round(calibration_error(probabilities, target_of(held.labels)), 4),
    }


def check_gate(candidate: Candidate) -> None:
    print(json.dumps({**candidate.metrics, "calibration": candidate.calibration.as_json()}, indent=2))
    macro_f1 = candidate.metrics["macro_f1"]
    if macro_f1 < GATE_MACRO_F1:
        raise SystemExit(f"macro-F1 {macro_f1:.3f} is under the gate of {GATE_MACRO_F1}: nothing was written")


def write(candidate: Candidate, corpus: Corpus, folder: Path, version: str, sources: Path) -> None:
    """The model's folder, in which patterns.toml already is; `sources` is the folder of the records."""
    (folder / "model.onnx").write_bytes(model.to_onnx(candidate.forest))
    (folder / "features.json").write_text(candidate.features.read_text())
    (folder / "drift.json").write_text(json.dumps(drift_baseline(candidate, corpus)) + "\n")
    # The learner's own form, for the bench; mtime=0 keeps the bytes the same from run to run.
    text = candidate.forest.booster_.model_to_string().encode()
    (folder / "model.lightgbm.txt.gz").write_bytes(gzip.compress(text, mtime=0))
    (folder / "baseline.json").write_text(json.dumps(baseline.of_words(candidate.training)) + "\n")
    (folder / "manifest.json").write_text(json.dumps(manifest(candidate, corpus, folder, version, sources), indent=2) + "\n")
    print(f"wrote {folder}")


def drift_baseline(candidate: Candidate, corpus: Corpus) -> dict:
    probabilities = candidate.calibration.probabilities(candidate.unseen_scores)
    answered = candidate.calibration.is_answered(probabilities)
    verdicts = np.where(answered, np.array(tables.CLASSES)[probabilities.argmax(axis=1)], "Unknown")
    return drift.baseline(corpus.records, json.loads(candidate.features.read_text()), verdicts, probabilities.max(axis=1))


def manifest(candidate: Candidate, corpus: Corpus, folder: Path, version: str, sources: Path) -> dict:
    return {
        "model_version": version,
        "algorithm": f"LightGBM gbdt, {model.PARAMETERS['n_estimators']} rounds x {len(tables.CLASSES)} classes",
        "feature_count": tables.FEATURES,
        "feature_order": tables.FEATURE_ORDER,
        "classes": tables.CLASSES,
        "trees": candidate.forest.booster_.num_trees(),
        "calibration": candidate.calibration.as_json(),
        "data": {
            "train.jsonl": data.sha256(sources / "train.jsonl"),
            "train_more.jsonl": data.sha256(sources / "train_more.jsonl"),
            **({"whole_logs.jsonl": data.sha256(sources / "whole_logs.jsonl")} if corpus.whole else {}),
            "training_records": len(candidate.training.rows),
            "down_weighted_records": len(candidate.older.rows),
            "down_weight": OLDER_WEIGHT,
            "corrections": len(corpus.feedback.rows) if corpus.feedback else 0,
            "calibrated_on": candidate.calibrated_on,
        },
        "metrics": candidate.metrics,
        "files": {name: data.sha256(folder / name) for name in ("features.json", "patterns.toml", "drift.json", "model.onnx")},
    }
