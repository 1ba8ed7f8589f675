"""What the forest must beat on the same split: 600 plain words by frequency, with logistic regression."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from . import data, vocabulary


def of_words(training: data.Records) -> dict:
    """The words without the patterns' own terms, as `sentinel eval classifier` reads them."""
    plain = np.array([" ".join(w for w in text.split() if not w.startswith(("sig_", "cue_", "at_"))) for text in training.texts], dtype=object)
    counter = vocabulary.vectorizer(max_features=vocabulary.SIZE)
    counter.fit(plain)
    terms = sorted(counter.vocabulary_)
    matrix = vocabulary.vectorizer(terms).fit_transform(plain)
    regression = LogisticRegression(C=10, max_iter=5000, class_weight="balanced").fit(matrix, training.labels)
    names, counts = np.unique(training.labels, return_counts=True)
    return {
        "majority": str(names[counts.argmax()]),
        "tfidf": vocabulary.fitted(plain, terms, 1),
        "coefficients": np.round(regression.coef_, 5).tolist(),
        "intercepts": np.round(regression.intercept_, 5).tolist(),
    }
