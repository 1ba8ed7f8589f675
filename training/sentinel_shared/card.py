"""What both model cards are made of: the card's place in a README, its tables and its pictures."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

BEGIN, END = "<!-- card -->", "<!-- end of card -->"
# A fixed salt: the same figures give the same bytes.
plt.rcParams.update({"font.size": 9, "svg.hashsalt": "sentinel", "figure.constrained_layout.use": True})


def write_between_marks(readme: Path, card: str) -> None:
    """Replaces what the README has between the card's marks."""
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n{card}{END}{after}", encoding="utf-8")


def table(columns: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a Markdown table whose first column has no name."""
    return ["| | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|", *("| " + " | ".join(row) + " |" for row in rows)]


def confusion_picture(counts: np.ndarray, names: list[str], path: Path, size: tuple[float, float], font_size: float | None = None, **axes_texts: str) -> None:
    """`counts` [labels, predictions]; a cell's colour is its share of its row."""
    figure, axes = plt.subplots(figsize=size)
    axes.imshow(counts / counts.sum(axis=1, keepdims=True).clip(min=1), cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if count > counts[row].sum() / 2 else "black"
            axes.text(column, row, count, ha="center", va="center", color=color, fontsize=font_size)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", **axes_texts)
    save(figure, path)


def reliability_picture(bins: list[tuple[float, float, int]], path: Path, xlabel: str, ylabel: str) -> None:
    """Each bin is the mean confidence in it, the share that was right, and how many there were."""
    figure, axes = plt.subplots(figsize=(3.6, 3.2))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes.plot([confidence for confidence, _, _ in bins], [right for _, right, _ in bins], marker="o")
    for confidence, right, count in bins:
        axes.annotate(int(count), (confidence, right), xytext=(4, -9), textcoords="offset points", fontsize=7)
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(0, 1), ylim=(0, 1), title="Reliability")
    save(figure, path)


def curve_picture(x: np.ndarray, y: np.ndarray, path: Path, vertical: float | None = None, horizontal: float | None = None, **axes_texts) -> None:
    """A curve, with a grey line at `vertical` or `horizontal` to compare it with."""
    figure, axes = plt.subplots(figsize=(3.6, 3.2))
    axes.plot(x, y)
    if vertical is not None:
        axes.axvline(vertical, color="grey", linewidth=0.8)
    if horizontal is not None:
        axes.axhline(horizontal, color="grey", linewidth=0.8)
    axes.set(xlim=(0, 1), **axes_texts)
    save(figure, path)


def save(figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
