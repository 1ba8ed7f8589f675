"""Out-of-fold scores: every record is judged by a model that never saw its repository."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold

from sentinel_shared.tables import LAYOUT_VERSION, columns

from . import data, model, vocabulary

FOLDS = 5
# Older, mostly Travis and Maven records count this much. Preferred to 0 in a five-fold comparison over all of
# train.jsonl, the later validation fold included, so its share of the validation figure is a little flattered.
MORE_WEIGHT = 0.3
# A correction is of the world the model runs in, and someone took the trouble.
FEEDBACK_WEIGHT = 2.0


@dataclass
class Workshop:
    """Where records are and what turns them into features."""

    records: data.Records
    more: data.Records
    patterns: Path
    sentinel: Path
    work: Path
    # What people corrected on a running worker.
    feedback: data.Records | None = None

    @classmethod
    def open(cls, folder: Path, patterns: Path, sentinel: Path, work: Path) -> "Workshop":
        read = lambda name: data.read(folder / name, patterns, sentinel, work)  # noqa: E731
        return cls(read("train.jsonl"), read("train_more.jsonl"), patterns, sentinel, work)

    def matrix(self, rows: list[dict], fitted: Path) -> np.ndarray:
        return data.matrix(rows, fitted, self.patterns, self.sentinel, self.work)


@dataclass
class Variant:
    """What is left out, to see what it was worth."""

    name: str = "full"
    # Terms that may enter the vocabulary.
    admits: Callable[[str], bool] = lambda term: True
    # Columns no tree may see.
    blank: np.ndarray = field(default_factory=lambda: model.UNTAUGHT)
    more_weight: float = MORE_WEIGHT


def is_pseudo(term: str) -> bool:
    return any(word.removeprefix("err_").startswith(("sig_", "cue_")) for word in term.split())


VARIANTS = [
    Variant(),
    Variant("no text", blank=np.r_[model.UNTAUGHT, columns("text")]),
    Variant("no patterns", admits=lambda term: not is_pseudo(term)),
    Variant("patterns alone, no words", admits=is_pseudo),
    Variant("no telling error lines apart", admits=lambda term: "err_" not in term),
    Variant("durations and identity taught", blank=np.array([], dtype=int)),
    Variant("no categories", blank=np.r_[model.UNTAUGHT, columns("categories", "flags")]),
    Variant("without the older records", more_weight=0.0),
]


def fit_features(training: data.Records, extra: data.Records, path: Path, variant: Variant) -> None:
    """Chooses the vocabulary and writes the fitted transformers."""
    texts, labels = np.r_[training.texts, extra.texts], np.r_[training.labels, extra.labels]
    terms = vocabulary.choose(texts, labels, weights(training, extra, variant), variant.admits)
    features = {
        "layout_version": LAYOUT_VERSION,
        "scaler": data.scaler(training.numerics),
        "tfidf": vocabulary.fitted(training.texts, terms, vocabulary.NGRAM_MAX),
    }
    path.write_text(json.dumps(features, indent=0) + "\n")


def weights(training: data.Records, extra: data.Records, variant: Variant) -> np.ndarray:
    return np.r_[np.ones(len(training.rows)), np.full(len(extra.rows), variant.more_weight)]


def fit_split(workshop: Workshop, chosen: np.ndarray, held_out: np.ndarray, features: Path, variant: Variant = Variant()):
    """Fits on the chosen records, and on the older ones and people's corrections from other repositories than the
    held-out ones."""
    held = workshop.records.groups[held_out]
    training = workshop.records.take(chosen)
    extra = workshop.more.take(~np.isin(workshop.more.groups, held) & (variant.more_weight > 0))
    fit_features(training, extra, features, variant)
    rows, labels, weight = training.rows + extra.rows, np.r_[training.labels, extra.labels], weights(training, extra, variant)
    if workshop.feedback is not None:
        said = workshop.feedback.take(~np.isin(workshop.feedback.groups, held))
        rows, labels = rows + said.rows, np.r_[labels, said.labels]
        weight = np.r_[weight, np.full(len(said.rows), FEEDBACK_WEIGHT)]
    matrix = model.blanked(workshop.matrix(rows, features), variant.blank)
    return model.fit(matrix, labels, weight), training, extra


def out_of_fold(workshop: Workshop, seed: int, variant: Variant = Variant()) -> np.ndarray:
    """Raw scores, one row a record, from five folds by repository."""
    records = workshop.records
    raw = np.empty((len(records.rows), len(np.unique(records.labels))))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    features = workshop.work / "fold.features.json"
    for number, (inside, outside) in enumerate(folds.split(records.texts, records.labels, records.groups), 1):
        chosen = np.zeros(len(records.rows), dtype=bool)
        chosen[inside] = True
        forest, _, _ = fit_split(workshop, chosen, ~chosen, features, variant)
        held = model.blanked(workshop.matrix(records.take(~chosen).rows, features), variant.blank)
        raw[outside] = forest.booster_.predict(held, raw_score=True)
        print(f"{variant.name}: seed {seed}, fold {number} of {FOLDS}", flush=True)
    return raw


def figures(records: data.Records, predicted: np.ndarray) -> dict[str, float]:
    """The figures every table shows, by name."""
    strict = predicted == records.labels
    lenient = strict | (predicted == np.array([row["alt_label"] or "" for row in records.rows]))
    origins = np.array([row["origin"] for row in records.rows])
    actions = np.isin(origins, data.ACTIONS_LIKE)
    quoted = np.isin(origins, data.QUOTED)
    return {
        "macro-F1": f1_score(records.labels, predicted, average="macro"),
        "strict": strict.mean(),
        "lenient": lenient.mean(),
        "Actions-like": strict[actions].mean(),
        "without quoted": strict[~quoted].mean(),
    }
