"""The drift baseline of a model, and the reference the Rust statistics are tested against."""

import json
from pathlib import Path

import numpy as np
from scipy.stats import chi2_contingency

from sentinel_shared.tables import NUMERICS

from . import data, vocabulary

# Bins for many records and for few: with ten bins, 150 records are so rough a histogram that a window of the same
# world is flagged one time in forty.
BINS, BINS_OF_FEW = 10, 5
MANY, FEWEST = 500, 100
SHARE_FLOOR = 1e-4
# What a GitHub webhook always says; the training records' own values would flag every one of them.
CONSTANT = {"ci_tool": "GitHub Actions", "cloud_provider": "GitHub", "severity": "HIGH"}


def baseline(records: data.Records, fitted: dict, verdicts: np.ndarray, confidence: np.ndarray) -> dict:
    """Histograms over all training records; verdicts and confidences are out of fold, as the model will meet new ones.

    Categories are counted on the records of GitHub Actions alone, since that is what arrives. What hardly
    any record has measured has no histogram.
    """
    tfidf = fitted["tfidf"]
    counter = vocabulary.vectorizer(tfidf["vocabulary"], ngram_range=(1, tfidf["ngram_max"]))
    terms = np.diff(counter.fit_transform(records.texts).indptr)
    words = vocabulary.vectorizer().build_analyzer()
    known = {word for term in tfidf["vocabulary"] for word in term.split()}
    unknown = [np.mean([float(word not in known) for word in found] or [0.0]) for found in map(words, records.texts)]
    numbers = dict(zip(NUMERICS, records.numerics.T))
    numbers |= {"text_terms": terms, "text_unknown_share": np.array(unknown), "confidence": confidence}
    features = [histogram(name, np.asarray(values, dtype=float)) for name, values in numbers.items()]
    actions = [row["origin"] in data.ACTIONS_LIKE for row in records.rows]
    for name in ("language", "failure_stage"):
        features.append(levels(name, [t[name] for t, wanted in zip(records.telemetry, actions) if wanted and t[name]]))
    features += [levels(name, [level] * sum(actions)) for name, level in CONSTANT.items()]
    features.append(levels("prediction", list(verdicts)))
    return {"features": [feature for feature in features if feature]}


def histogram(name: str, values: np.ndarray) -> dict | None:
    """Equal shares of the records a bin, as far as equal values allow; None where too little was measured."""
    values = values[~np.isnan(values)]
    if len(values) < FEWEST:
        return None
    bins = BINS if len(values) >= MANY else BINS_OF_FEW
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return {"feature": name, "edges": edges.tolist(), "counts": counts.tolist()}


def levels(name: str, values: list[str]) -> dict:
    names = sorted(set(values))
    return {"feature": name, "levels": names, "counts": [values.count(level) for level in names] + [0]}


def psi(reference: np.ndarray, counts: np.ndarray) -> float:
    shares = []
    for row in (reference, counts):
        share = np.maximum(row / row.sum(), SHARE_FLOOR)
        shares.append(share / share.sum())
    expected, actual = shares
    return float(((actual - expected) * np.log(actual / expected)).sum())


def write_golden(path: Path, cases: int = 40) -> None:
    """Random pairs of histograms with scipy's answers."""
    random = np.random.default_rng(7)
    lines = []
    for case in range(cases):
        size = int(random.integers(2, 12))
        reference = random.multinomial(int(random.integers(50, 900)), random.dirichlet(np.ones(size)))
        counts = random.multinomial(int(random.integers(20, 400)), random.dirichlet(np.ones(size)) if case % 2 else reference / reference.sum())
        seen = reference + counts > 0
        test = chi2_contingency(np.array([reference[seen], counts[seen]]), correction=False) if seen.sum() > 1 else None
        lines.append(json.dumps({
            "reference": reference.tolist(), "counts": counts.tolist(), "psi": psi(reference, counts),
            "chi_square": float(test.statistic) if test else 0.0, "p": float(test.pvalue) if test else 1.0,
        }))
    path.write_text("\n".join(lines) + "\n")
