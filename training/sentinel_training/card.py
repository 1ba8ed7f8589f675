"""The model card: what the recipe scores on repositories it never saw, with and without each of its parts.

Writes `models/failure/README.md` (the part between the card's marks), its three pictures and `card.json`, which the
README's figures are checked against.
"""

import json
from collections import Counter
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support  # noqa: E402

from . import data, model  # noqa: E402
from .crossvalidation import FOLDS, VARIANTS, Workshop, figures, out_of_fold  # noqa: E402

SEEDS = (0, 1, 2)
BEGIN, END = "<!-- card -->", "<!-- end of card -->"
plt.rcParams.update({"font.size": 9, "svg.hashsalt": "sentinel", "figure.constrained_layout.use": True})


def write(workshop: Workshop, folder: Path) -> None:
    records = workshop.records
    classes = np.unique(records.labels)
    target = np.searchsorted(classes, records.labels)
    calibration = json.loads((folder / "manifest.json").read_text())["calibration"]
    scores = {variant.name: [out_of_fold(workshop, seed, variant) for seed in SEEDS] for variant in VARIANTS}
    ablation = {
        name: spread([figures(records, classes[raw.argmax(axis=1)]) for raw in raws]) for name, raws in scores.items()
    }
    full = scores["full"]
    probabilities = [model.calibrated(raw, calibration["temperature"]) for raw in full]
    selective = spread([surest(p, target, 0.7) for p in probabilities])
    card = {
        "folds": FOLDS,
        "seeds": len(SEEDS),
        "ablation": ablation,
        "selective_70": selective["accuracy"],
        "ece": spread([{"ece": model.calibration_error(p, target)} for p in probabilities])["ece"],
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    confusion_picture(records.labels, classes[full[0].argmax(axis=1)], classes, folder / "confusion.svg")
    reliability_picture(probabilities[0], target, folder / "reliability.svg")
    coverage_picture(probabilities[0], target, calibration["abstain_below"], folder / "coverage.svg")
    readme = folder / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n{markdown(workshop, card, full[0], classes)}{END}{after}")


def spread(rows: list[dict]) -> dict[str, list[float]]:
    """Mean and standard deviation of each figure."""
    return {name: [round(float(np.mean([row[name] for row in rows])), 4), round(float(np.std([row[name] for row in rows])), 4)] for name in rows[0]}


def surest(probabilities: np.ndarray, target: np.ndarray, coverage: float) -> dict[str, float]:
    order = np.argsort(-probabilities.max(axis=1), kind="stable")[: round(coverage * len(target))]
    return {"accuracy": float((probabilities.argmax(axis=1) == target)[order].mean())}


def markdown(workshop: Workshop, card: dict, raw: np.ndarray, classes: np.ndarray) -> str:
    records, more = workshop.records, workshop.more
    shown = lambda pair: f"{pair[0]:.3f} ± {pair[1]:.3f}"  # noqa: E731
    names = list(card["ablation"]["full"])
    lines = [
        f"{len(records.rows)} records from {len(set(records.groups))} repositories or families of them, and {len(more.rows)} older ones.",
        f"All figures: {FOLDS} folds by repository, {len(SEEDS)} seeds, mean ± standard deviation over the seeds.",
        "",
        f"| | {' | '.join(names)} |",
        "|---|" + "---|" * len(names),
    ]
    lines += [f"| {name} | {' | '.join(shown(row[figure]) for figure in names)} |" for name, row in card["ablation"].items()]
    lines += [
        "",
        f"The surest 70 % of the answers are right in {shown(card['selective_70'])}; expected calibration error {shown(card['ece'])}.",
        "",
        "| class | precision | recall | F1 | records |",
        "|---|---|---|---|---|",
    ]
    parts = precision_recall_fscore_support(records.labels, classes[raw.argmax(axis=1)], labels=classes, zero_division=0)
    lines += [f"| {name} | {p:.2f} | {r:.2f} | {f:.2f} | {n} |" for name, p, r, f, n in zip(classes, *parts)]
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


def confusion_picture(labels, predicted, classes, path: Path) -> None:
    counts = confusion_matrix(labels, predicted, labels=classes)
    figure, axes = plt.subplots(figsize=(6.4, 5.4))
    axes.imshow(counts / counts.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            axes.text(column, row, count, ha="center", va="center", color="white" if count > counts[row].sum() / 2 else "black")
    axes.set_xticks(range(len(classes)), classes, rotation=40, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="label", title="Out of fold, seed 0")
    save(figure, path)


def reliability_picture(probabilities, target, path: Path, bins: int = 10) -> None:
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == target
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    filled = [b for b in range(bins) if (at == b).any()]
    figure, axes = plt.subplots(figsize=(3.6, 3.2))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes.plot([confidence[at == b].mean() for b in filled], [right[at == b].mean() for b in filled], marker="o")
    for b in filled:
        axes.annotate((at == b).sum(), (confidence[at == b].mean(), right[at == b].mean()), xytext=(4, -9), textcoords="offset points", fontsize=7)
    axes.set(xlabel="confidence", ylabel="right", xlim=(0, 1), ylim=(0, 1), title="Reliability")
    save(figure, path)


def coverage_picture(probabilities, target, threshold: float, path: Path) -> None:
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = (probabilities.argmax(axis=1) == target)[order]
    coverage = np.arange(1, len(target) + 1) / len(target)
    answered = (probabilities.max(axis=1) >= threshold).mean()
    figure, axes = plt.subplots(figsize=(3.6, 3.2))
    axes.plot(coverage, right.cumsum() / np.arange(1, len(target) + 1))
    axes.axvline(answered, color="grey", linewidth=0.8)
    axes.set(xlabel="share answered", ylabel="right of those", xlim=(0, 1), ylim=(0.5, 1.01), title=f"Answers from {threshold:.2f} on")
    save(figure, path)


def save(figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
