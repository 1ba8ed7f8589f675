"""The model card: what `sentinel eval review` says of the model, with pictures and examples.

Writes the part of the model's README.md between the card's marks, its pictures, and `card.json`: the report as it was.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from sklearn.metrics import precision_recall_curve  # noqa: E402

from .data import read  # noqa: E402

BEGIN, END = "<!-- card -->", "<!-- end of card -->"
# Hunks as long as a reader follows.
EXAMPLE_LINES = 14
plt.rcParams.update({"font.size": 9, "svg.hashsalt": "sentinel", "figure.constrained_layout.use": True})


def write(options: argparse.Namespace) -> None:
    report = json.loads(options.report.read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in options.predictions.read_text(encoding="utf-8").splitlines()]
    records = list(read(options.data))
    folder = options.out
    (folder / "card.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    precision_picture(rows, report, folder / "precision.svg")
    reliability_picture(report["calibration"]["bins"], folder / "reliability.svg")
    for what in ("severity", "category"):
        confusion_picture(report[what]["confusion"], what, folder / f"{what}.svg")
    tables = [table((folder / name).read_text(encoding="utf-8")) for name, table in MORE.items() if (folder / name).exists()]
    readme = folder / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n{markdown(report, rows, records)}{''.join(tables)}{END}{after}", encoding="utf-8")


def markdown(report: dict, rows: list[dict], records: list[dict]) -> str:
    needs, lines, choice = report["needs_comment"], report["lines"], report["lines"]["choice"]
    text = [
        f"{report['model_version']} on {report['n']} hunks of {len({records[row['record']]['repo'] for row in rows})} repositories it has not seen; {report['base_rate']:.1%} were mended later.",
        "",
        "| needs a comment | ROC-AUC | PR-AUC |",
        "|---|---|---|",
        f"| model | {shown(needs['roc_auc'], needs['roc_auc_interval'])} | {shown(needs['pr_auc'], needs['pr_auc_interval'])} |",
    ]
    text += [f"| control: {name.replace('_', ' ')} | {of['roc_auc']:.3f} | {of['pr_auc']:.3f} |" for name, of in report["controls"].items()]
    text += [
        "",
        "| | |",
        "|---|---|",
        f"| precision at 1 comment in 1,000 added lines | {needs['precision_at_1']:.3f} |",
        f"| precision at 3 | {needs['precision_at_3']:.3f} |",
        f"| at the shipped thresholds | {needs['shown']} comments, {needs['shown_precision']:.3f} right, F1 {needs['f1']:.3f} |",
        f"| severity, macro-F1 on mended hunks | {report['severity']['macro_f1']:.3f} (always the commonest: {report['severity']['majority_macro_f1']:.3f}) |",
        f"| category, macro-F1 on mended hunks | {report['category']['macro_f1']:.3f} ({report['category']['majority_macro_f1']:.3f}) |",
        f"| line, hit at 1 and at 3 | {lines['hit1']:.3f}, {lines['hit3']:.3f} (a random added line: {lines['random_hit1']:.3f}) |",
        f"| the same in hunks of more than four added lines | {choice['hit1']:.3f}, {choice['hit3']:.3f} ({choice['random_hit1']:.3f}) |",
        f"| expected calibration error, Brier score | {report['calibration']['ece']:.3f}, {report['calibration']['brier']:.3f} |",
        "",
        "![Precision and recall](precision.svg) ![Reliability](reliability.svg)",
        "![Severity](severity.svg) ![Category](category.svg)",
        "",
        "| | hunks | mended | ROC-AUC | line hit at 1 |",
        "|---|---|---|---|---|",
    ]
    for name, part in [*report["per_language"].items(), *report["per_repository"].items()]:
        text.append(f"| {name} | {part['n']} | {part['base_rate']:.3f} | {part['roc_auc']:.3f} | {part['hit1']:.3f} |")
    for title, mended in [("Hits: likeliest of all, and mended later", True), ("Misses: likeliest of all, and left as they are", False)]:
        text += ["", f"### {title}", ""]
        text += examples(rows, records, mended)
    return "\n".join(text) + "\n"


def curve_table(text: str) -> str:
    rows = json.loads(text)
    shares = sorted({row["share"] for row in rows})
    about = "ROC-AUC on the same unseen repositories (the trainer's figures): of the forest over counts and words alone; and of one judge over a frozen encoder, without forest and words, with macro-F1 of severity and the share of lines hit at 1 in brackets."
    table = []
    for encoder in dict.fromkeys(row["encoder"] for row in rows):
        mine = sorted((row for row in rows if row["encoder"] == encoder), key=lambda row: row["share"])
        others = [f" ({row['severity_f1']:.2f}, {row['hit1']:.2f})" if "hit1" in row else "" for row in mine]
        cells = [f"{row['roc_auc']:.3f}{other}" for row, other in zip(mine, others)]
        table.append([encoder, f"{mine[-1]['learned_from']:,}", *cells])
    return section("What more records and reading bring", about, ["records", *(f"{share:.0%} of them" for share in shares)], table)


def comparison_table(text: str) -> str:
    rows = json.loads(text)
    lengths = list(rows[0]["milliseconds"])
    about = f"Each through the tokenizer and runtime that serve; of {rows[0]['of']} hunks, how many are told another severity, category or line than by the first. Milliseconds of one core for a sequence, in turn."
    columns = ["MB", "ROC-AUC", "severity", "category", "line hit at 1", "told otherwise", *(f"{length} tokens, ms" for length in lengths)]
    table = []
    for row in rows:
        figures = [f"{row[name]:.3f}" for name in ("roc_auc", "severity", "category", "hit1")]
        spent = [f"{row['milliseconds'][length]:.1f}" for length in lengths]
        table.append([row["name"], f"{row['bytes'] / 1e6:.1f}", *figures, str(row["flips"]), *spent])
    return section("Skill and cost", about, columns, table)


def ceiling_table(text: str) -> str:
    rows = json.loads(text)
    about = f"Macro-F1 on {rows[0]['hunks']} mended pieces of the same unseen repositories. No model can be told what the last row is told: what that judge still gets wrong, finding the place would not mend."
    table = [[row["judge"], f"{row['severity']:.3f}", f"{row['category']:.3f}"] for row in rows]
    return section("What the labels allow", about, ["severity", "category"], table)


def tuning_table(text: str) -> str:
    def change(values: list[float]) -> str:
        return " → ".join(f"{value:.3f}" for value in values)

    def kind(row: dict, what: str) -> str:
        return f"{change(row[f'{what}_right'])} ({change(row[f'{what}_macro_f1'])})"

    about = "`sentinel mine`, `tune` on the oldest eight tenths, judged on the newest two: before → after. The share of mended hunks whose severity and category are right, macro-F1 in brackets. How to tune was chosen on eleven other repositories; that lines are left alone, on these too."
    table = []
    for row in json.loads(text):
        judged = f"{row['mended']} of {row['hunks']}"
        table.append([row["repository"], f"{row['learned_from']:,}", judged, kind(row, "severity"), kind(row, "category"), change(row["roc_auc"])])
    columns = ["learned from", "mended of judged", "severity right", "category right", "ROC-AUC"]
    return section("What a team's own history brings", about, columns, table)


def section(title: str, about: str, columns: list[str], rows: list[list[str]]) -> str:
    """A heading, what is shown, and a table; its first column has no name."""
    head = ["", f"### {title}", "", about, "", "| | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    return "\n".join(head + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


# Further tables, from files that other steps left beside the card.
MORE = {"ceiling.json": ceiling_table, "curve.json": curve_table, "comparison.json": comparison_table, "tuning.json": tuning_table}


def examples(rows: list[dict], records: list[dict], mended: bool, count: int = 3) -> list[str]:
    """Of each repository one at most, so that no habit of one is all there is to see."""
    text, seen = [], set()
    for row in sorted(rows, key=lambda row: -row["probability"]):
        record = records[row["record"]]
        body = record["hunk"].split("\n")
        if row["positive"] != mended or record["repo"] in seen or len(body) > EXAMPLE_LINES or "```" in record["hunk"]:
            continue
        seen.add(record["repo"])
        repaired = f"; mended in \"{record['repair_subject']}\"" if mended else ""
        text += [
            f"{record['repo']} `{record['path']}` ({record['license']}), {row['probability']:.0%}, {row['severity']} {row['category']}, line {row['line'] + 1}{repaired}",
            "",
            "```diff",
            *body,
            "```",
            "",
        ]
        if len(seen) == count:
            break
    return text


def shown(value: float, interval: list[float]) -> str:
    return f"{value:.3f} ({interval[0]:.3f}–{interval[1]:.3f})"


def precision_picture(rows: list[dict], report: dict, path: Path) -> None:
    precision, recall, _ = precision_recall_curve([row["positive"] for row in rows], [row["probability"] for row in rows])
    figure, axes = plt.subplots(figsize=(3.6, 3.2))
    axes.plot(recall, precision)
    axes.axhline(report["base_rate"], color="grey", linewidth=0.8)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.01), title="Needs a comment")
    save(figure, path)


def reliability_picture(bins: list[list[float]], path: Path) -> None:
    filled = [each for each in bins if each[2]]
    figure, axes = plt.subplots(figsize=(3.6, 3.2))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes.plot([each[0] for each in filled], [each[1] for each in filled], marker="o")
    for expected, seen, count in filled:
        axes.annotate(int(count), (expected, seen), xytext=(4, -9), textcoords="offset points", fontsize=7)
    axes.set(xlabel="probability", ylabel="mended", xlim=(0, 1), ylim=(0, 1), title="Reliability")
    save(figure, path)


def confusion_picture(confusion: dict, what: str, path: Path) -> None:
    names = sorted(confusion)
    counts = np.array([[confusion[label].get(predicted, 0) for predicted in names] for label in names])
    figure, axes = plt.subplots(figsize=(4.8, 4.2))
    axes.imshow(counts / counts.sum(axis=1, keepdims=True).clip(min=1), cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            axes.text(column, row, count, ha="center", va="center", fontsize=7, color="white" if count > counts[row].sum() / 2 else "black")
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="in hindsight", title=what)
    save(figure, path)


def save(figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
