"""Out-of-fold scores: every record is scored by a model that has not seen its repository."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import lightgbm
import numpy as np
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold

from sentinel_shared.tables import CLASSES, LAYOUT_VERSION, columns

from . import data, model, vocabulary
from .corpus import Corpus

FOLDS = 5
# Older, mostly Travis and Maven records count this much. Preferred to 0 in a five-fold comparison over all of
# train.jsonl, the later validation fold included, so its share of the validation figure is a little flattered.
OLDER_WEIGHT = 0.3
# A correction is of the world the model runs in, and someone took the trouble.
FEEDBACK_WEIGHT = 2.0


@dataclass
class Variant:
    """What is left out, to see what it was worth."""

    name: str = "full"
    # Terms that may enter the vocabulary.
    admits: Callable[[str], bool] = lambda term: True
    # Columns no tree may see.
    blank: np.ndarray = field(default_factory=lambda: model.UNUSED_COLUMNS)
    older_weight: float = OLDER_WEIGHT


def is_pseudo(term: str) -> bool:
    return any(word.removeprefix("err_").removeprefix("top_").startswith(("sig_", "cue_")) for word in term.split())


VARIANTS = [
    Variant(),
    Variant("no text", blank=np.r_[model.UNUSED_COLUMNS, columns("text")]),
    Variant("no patterns", admits=lambda term: not is_pseudo(term)),
    Variant("patterns alone, no words", admits=is_pseudo),
    Variant("no telling error lines apart", admits=lambda term: "err_" not in term),
    Variant("durations and identity taught", blank=np.array([], dtype=int)),
    Variant("no categories", blank=np.r_[model.UNUSED_COLUMNS, columns("categories", "flags")]),
    Variant("without the older records", older_weight=0.0),
]


def fit_features(training: data.Records, older: data.Records, path: Path, variant: Variant) -> None:
    """Chooses the vocabulary and writes the fitted transformers."""
    texts, labels = np.r_[training.texts, older.texts], np.r_[training.labels, older.labels]
    terms = vocabulary.choose(texts, labels, weights(training, older, variant), variant.admits)
    features = {
        "layout_version": LAYOUT_VERSION,
        "scaler": data.scaler(training.numerics),
        "tfidf": vocabulary.fitted(training.texts, terms, vocabulary.NGRAM_MAX),
    }
    path.write_text(json.dumps(features, indent=0) + "\n")


def weights(training: data.Records, older: data.Records, variant: Variant) -> np.ndarray:
    """A repository with many whole logs counts less for each of them."""
    count = Counter(group for group, row in zip(training.groups, training.rows) if row.get("full_log"))
    own = [1 / np.sqrt(count[group]) if row.get("full_log") else 1.0 for group, row in zip(training.groups, training.rows)]
    return np.r_[own, np.full(len(older.rows), variant.older_weight)]


def with_whole(corpus: Corpus) -> data.Records:
    """The records and, where there are any, the whole logs."""
    return corpus.records if corpus.whole is None else corpus.records.joined(corpus.whole)


def fit_split(
    corpus: Corpus, outside: np.ndarray, held: np.ndarray, features: Path, variant: Variant = Variant()
) -> tuple[lightgbm.LGBMClassifier, data.Records, data.Records]:
    """Fits on the records and whole logs of repositories that are not `outside`, and on the older records and people's
    corrections of repositories that are not `held`. The forest, and the two kinds of records it was fitted on."""
    training = with_whole(corpus).take(~np.isin(with_whole(corpus).groups, outside))
    older = corpus.older.take(~np.isin(corpus.older.groups, held) & (variant.older_weight > 0))
    fit_features(training, older, features, variant)
    rows, labels, weight = training.rows + older.rows, np.r_[training.labels, older.labels], weights(training, older, variant)
    if corpus.feedback is not None:
        feedback = corpus.feedback.take(~np.isin(corpus.feedback.groups, held))
        rows, labels = rows + feedback.rows, np.r_[labels, feedback.labels]
        weight = np.r_[weight, np.full(len(feedback.rows), FEEDBACK_WEIGHT)]
    matrix = model.blanked(corpus.matrix(rows, features), variant.blank)
    absent = sorted(set(CLASSES) - set(map(str, labels)))
    if absent:
        raise SystemExit(f"too few records: without the held-out repositories, none is left of {', '.join(absent)}")
    return model.fit(matrix, labels, weight), training, older


def out_of_fold(corpus: Corpus, seed: int, variant: Variant = Variant()) -> np.ndarray:
    """Raw scores, one row a record (and after them one a whole log), from five folds by repository."""
    records = with_whole(corpus)
    raw = np.empty((len(records.rows), len(CLASSES)))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    features = corpus.work / "fold.features.json"
    for number, (inside, outside) in enumerate(folds.split(records.texts, records.labels, records.groups), 1):
        chosen = np.zeros(len(records.rows), dtype=bool)
        chosen[inside] = True
        forest, _, _ = fit_split(corpus, records.groups[~chosen], records.groups[~chosen], features, variant)
        held = model.blanked(corpus.matrix(records.take(~chosen).rows, features), variant.blank)
        raw[outside] = forest.booster_.predict(held, raw_score=True)
        print(f"{variant.name}: seed {seed}, fold {number} of {FOLDS}", flush=True)
    return raw


def target_of(labels: np.ndarray) -> np.ndarray:
    """The number of each label's class."""
    return np.searchsorted(CLASSES, labels)


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
