"""Which 600 terms: chosen by how well each tells one class from the others, on training texts only."""

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer
from sklearn.feature_selection import chi2

STOP_WORDS = sorted(ENGLISH_STOP_WORDS | {"job", "step", "runner", "pipeline", "process", "error"})
TOKEN = r"(?u)\b\w\w+\b"
SIZE = 600
NGRAM_MAX = 2
MIN_DOCUMENTS = 3


def vectorizer(vocabulary: list[str] | None = None, **options) -> TfidfVectorizer:
    """The transformer whose arithmetic the Rust pipeline reproduces."""
    return TfidfVectorizer(
        sublinear_tf=True,
        stop_words=STOP_WORDS,
        token_pattern=TOKEN,
        lowercase=True,
        norm="l2",
        smooth_idf=True,
        vocabulary=vocabulary,
        **options,
    )


def choose(texts: np.ndarray, labels: np.ndarray) -> list[str]:
    """Every pseudo-term that occurs often enough, then the words and word pairs by their best chi-square rank."""
    counter = vectorizer(ngram_range=(1, NGRAM_MAX), min_df=MIN_DOCUMENTS)
    present = counter.fit_transform(texts) > 0
    names = counter.get_feature_names_out()
    best_rank = np.full(len(names), len(names))
    for label in np.unique(labels):
        scores, _ = chi2(present, labels == label)
        rank = np.empty(len(names), dtype=int)
        rank[np.argsort(-np.nan_to_num(scores), kind="stable")] = np.arange(len(names))
        best_rank = np.minimum(best_rank, rank)
    is_pseudo = np.array([name.startswith(("sig_", "cue_")) and " " not in name for name in names])
    touches_pseudo = np.array(["sig_" in name or "cue_" in name for name in names])
    ranked = [names[at] for at in np.argsort(best_rank, kind="stable") if not touches_pseudo[at]]
    pseudo = list(names[is_pseudo])
    return sorted(pseudo + ranked[: SIZE - len(pseudo)])


def fitted(texts: np.ndarray, vocabulary: list[str], ngram_max: int) -> dict:
    """The stored form of a vectorizer over `vocabulary`, fitted on `texts`."""
    fit = vectorizer(vocabulary, ngram_range=(1, ngram_max)).fit(texts)
    return {
        "vocabulary": vocabulary,
        "idf": fit.idf_.tolist(),
        "stop_words": STOP_WORDS,
        "ngram_max": ngram_max,
    }
