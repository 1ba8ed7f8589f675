"""Which 600 terms: those a linear model over all of them leans on, on training texts only."""

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from sentinel_shared import tables

STOP_WORDS = sorted(ENGLISH_STOP_WORDS | {"job", "step", "runner", "pipeline", "process", "error"})
TOKEN = r"(?u)\b\w\w+\b"
SIZE = tables.BLOCKS["text"].width
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


def choose(texts: np.ndarray, labels: np.ndarray, weights: np.ndarray, admits=lambda term: True) -> list[str]:
    """The terms a logistic regression over all of them leans on: coefficient times spread, over all classes.

    Chosen by a model and not one by one (chi-square), terms that say the same do not all get in. Pairs with a
    pseudo-term are left out: which signature stands beside which is the file's order.
    """
    counter = vectorizer(ngram_range=(1, NGRAM_MAX), min_df=MIN_DOCUMENTS)
    matrix = counter.fit_transform(texts)
    names = counter.get_feature_names_out()
    regression = LogisticRegression(C=3, max_iter=300, class_weight="balanced").fit(matrix, labels, sample_weight=weights)
    mean = np.asarray(matrix.mean(axis=0)).ravel()
    spread = np.sqrt(np.maximum(np.asarray(matrix.multiply(matrix).mean(axis=0)).ravel() - mean**2, 0))
    coefficients = regression.coef_ - regression.coef_.mean(axis=0)
    importance = np.sqrt(((coefficients * spread) ** 2).sum(axis=0))
    is_pair_of_signatures = lambda name: " " in name and ("sig_" in name or "cue_" in name)  # noqa: E731
    ranked = names[np.argsort(-importance, kind="stable")]
    return sorted([name for name in ranked if admits(name) and not is_pair_of_signatures(name)][:SIZE])


def fitted(texts: np.ndarray, vocabulary: list[str], ngram_max: int) -> dict:
    """The stored form of a vectorizer over `vocabulary`, fitted on `texts`."""
    fit = vectorizer(vocabulary, ngram_range=(1, ngram_max)).fit(texts)
    return {
        "vocabulary": vocabulary,
        "idf": fit.idf_.tolist(),
        "stop_words": STOP_WORDS,
        "ngram_max": ngram_max,
    }
