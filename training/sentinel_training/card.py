"""The model card: what the recipe scores on repositories it never saw, with and without each of its parts.

Writes `models/failure/README.md` (the part between the card's marks), its three pictures and `card.json`, which the
README's figures are checked against.
"""

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from sentinel_shared.card import confusion_picture, curve_picture, reliability_picture, table, write_between_marks
from sentinel_shared.tables import CLASSES

from . import data
from .calibration import Calibration, calibration_error, reliability_bins
from .corpus import Corpus, opened
from .crossvalidation import FOLDS, VARIANTS, figures, out_of_fold, target_of, with_whole
from .sources import Sources, add_source_arguments

SEEDS = (0, 1)


@dataclass(frozen=True, kw_only=True)
class Options(Sources):
    pass


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source_arguments(parser)


def run(options: Options) -> None:
    with opened(options) as corpus:
        write(corpus, options.model)


def write(corpus: Corpus, folder: Path) -> None:
    records, classes = with_whole(corpus), np.array(CLASSES)
    target = target_of(records.labels)
    calibration = Calibration(**json.loads((folder / "manifest.json").read_text())["calibration"])
    scores = {variant.name: [out_of_fold(corpus, seed, variant) for seed in SEEDS] for variant in VARIANTS}
    ablation = {name: spread([figures(records, classes[raw.argmax(axis=1)]) for raw in raws]) for name, raws in scores.items()}
    probabilities = [calibration.probabilities(raw) for raw in scores["full"]]
    selective = spread([accuracy_at_coverage(each, target, 0.7) for each in probabilities])
    card = {
        "folds": FOLDS,
        "seeds": len(SEEDS),
        "ablation": ablation,
        "selective_70": selective["accuracy"],
        "ece": spread([{"ece": calibration_error(each, target)} for each in probabilities])["ece"],
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    predicted = classes[scores["full"][0].argmax(axis=1)]
    counts = confusion_matrix(records.labels, predicted, labels=classes)
    confusion_picture(counts, CLASSES, folder / "confusion.svg", (6.4, 5.4), ylabel="label", title="Out of fold, seed 0")
    reliability_picture(reliability_bins(probabilities[0], target), folder / "reliability.svg", "confidence", "right")
    coverage_picture(probabilities[0], target, calibration.abstain_below, folder / "coverage.svg")
    write_between_marks(folder / "README.md", markdown(corpus, card, predicted))


def spread(rows: list[dict]) -> dict[str, list[float]]:
    """Mean and standard deviation of each figure."""
    return {name: [round(float(np.mean([row[name] for row in rows])), 4), round(float(np.std([row[name] for row in rows])), 4)] for name in rows[0]}


def accuracy_at_coverage(probabilities: np.ndarray, target: np.ndarray, coverage: float) -> dict[str, float]:
    """Of the most confident share of the answers."""
    order = np.argsort(-probabilities.max(axis=1), kind="stable")[: round(coverage * len(target))]
    return {"accuracy": float((probabilities.argmax(axis=1) == target)[order].mean())}


def markdown(corpus: Corpus, card: dict, predicted: np.ndarray) -> str:
    records, older = with_whole(corpus), corpus.older
    names = list(card["ablation"]["full"])
    lines = [
        f"{len(records.rows)} records from {len(set(records.groups))} repositories or families of them, and {len(older.rows)} older ones.",
        f"All figures: {FOLDS} folds by repository, {len(SEEDS)} seeds, mean ± standard deviation over the seeds.",
        "",
        *table(names, [[name, *(mean_and_spread(row[figure]) for figure in names)] for name, row in card["ablation"].items()]),
        "",
        f"The surest 70 % of the answers are right in {mean_and_spread(card['selective_70'])}; expected calibration error {mean_and_spread(card['ece'])}.",
        "",
        "| class | precision | recall | F1 | records |",
        "|---|---|---|---|---|",
    ]
    parts = precision_recall_fscore_support(records.labels, predicted, labels=CLASSES, zero_division=0)
    lines += [f"| {name} | {p:.2f} | {r:.2f} | {f:.2f} | {n} |" for name, p, r, f, n in zip(CLASSES, *parts)]
    lines += [
        "",
        "![Confusion matrix](confusion.svg)",
        "![Reliability](reliability.svg) ![Accuracy by coverage](coverage.svg)",
        "",
        "| origin | records |",
        "|---|---|",
    ]
    lines += [f"| {name} | {count} |" for name, count in Counter(row["origin"] for row in records.rows).most_common()]
    free = sum(data.may_redistribute(row) for row in records.rows)
    lines += ["", f"{free} of the records have a licence under which they may be copied; the others were read and are not here.", ""]
    return "\n".join(lines)


def mean_and_spread(pair: list[float]) -> str:
    return f"{pair[0]:.3f} ± {pair[1]:.3f}"


def coverage_picture(probabilities: np.ndarray, target: np.ndarray, threshold: float, path: Path) -> None:
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = (probabilities.argmax(axis=1) == target)[order]
    count = np.arange(1, len(target) + 1)
    answered = (probabilities.max(axis=1) >= threshold).mean()
    curve_picture(
        count / len(target),
        right.cumsum() / count,
        path,
        vertical=answered,
        xlabel="share answered",
        ylabel="right of those",
        ylim=(0.5, 1.01),
        title=f"Answers from {threshold:.2f} on",
    )
