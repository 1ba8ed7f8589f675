"""The model card: what `sentinel eval review` says of the model, with pictures and examples.

Writes the part of the model's README.md between the card's marks, its pictures, and `card.json`: the report as it was.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import precision_recall_curve

from sentinel_shared.card import confusion_picture, curve_picture, reliability_picture, table, write_between_marks

from .records import read

# Hunks as long as a reader follows.
EXAMPLE_LINES = 14


@dataclass(frozen=True)
class Options:
    report: Path
    predictions: Path
    data: Path
    out: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--report", type=Path, required=True, help="of `sentinel eval review --json`")
    parser.add_argument("--predictions", type=Path, required=True, help="of the same run")
    parser.add_argument("--data", type=Path, required=True, help="the labelled hunks it ran on")
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")


def run(options: Options) -> None:
    report = json.loads(options.report.read_text(encoding="utf-8"))
    rows, records = list(read(options.predictions)), list(read(options.data))
    folder = options.out
    (folder / "card.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    precision_picture(rows, report, folder / "precision.svg")
    bins = [each for each in report["calibration"]["bins"] if each[2]]
    reliability_picture(bins, folder / "reliability.svg", "probability", "mended")
    for label in ("severity", "category"):
        confusion = report[label]["confusion"]
        names = sorted(confusion)
        counts = np.array([[confusion[of_name].get(predicted, 0) for predicted in names] for of_name in names])
        confusion_picture(counts, names, folder / f"{label}.svg", (4.8, 4.2), font_size=7, ylabel="in hindsight", title=label)
    sections = [section_of((folder / name).read_text(encoding="utf-8")) for name, section_of in SECTIONS.items() if (folder / name).exists()]
    write_between_marks(folder / "README.md", markdown(report, rows, records) + "".join(sections))


def markdown(report: dict, rows: list[dict], records: list[dict]) -> str:
    needs, lines, choice = report["needs_comment"], report["lines"], report["lines"]["choice"]
    text = [
        f"{report['model_version']} on {report['n']} hunks of {len({records[row['record']]['repo'] for row in rows})} repositories it has not seen; {report['base_rate']:.1%} were mended later.",
        "",
        "| needs a comment | ROC-AUC | PR-AUC |",
        "|---|---|---|",
        f"| model | {with_interval(needs['roc_auc'], needs['roc_auc_interval'])} | {with_interval(needs['pr_auc'], needs['pr_auc_interval'])} |",
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


def curve_section(text: str) -> str:
    rows = json.loads(text)
    shares = sorted({row["share"] for row in rows})
    about = "ROC-AUC on the same unseen repositories (the trainer's figures): of the forest over counts and words alone; and of one judge over a frozen encoder, without forest and words, with macro-F1 of severity and the share of lines hit at 1 in brackets."
    cells_of_rows = []
    for encoder in dict.fromkeys(row["encoder"] for row in rows):
        of_encoder = sorted((row for row in rows if row["encoder"] == encoder), key=lambda row: row["share"])
        others = [f" ({row['severity_f1']:.2f}, {row['hit1']:.2f})" if "hit1" in row else "" for row in of_encoder]
        cells = [f"{row['roc_auc']:.3f}{other}" for row, other in zip(of_encoder, others)]
        cells_of_rows.append([encoder, f"{of_encoder[-1]['learned_from']:,}", *cells])
    return section("What more records and reading bring", about, ["records", *(f"{share:.0%} of them" for share in shares)], cells_of_rows)


def comparison_section(text: str) -> str:
    rows = json.loads(text)
    lengths = list(rows[0]["milliseconds"])
    about = f"Each through the tokenizer and runtime that serve; of {rows[0]['of']} hunks, how many are told another severity, category or line than by the first. Milliseconds of one core for a sequence, in turn."
    columns = ["MB", "ROC-AUC", "severity", "category", "line hit at 1", "told otherwise", *(f"{length} tokens, ms" for length in lengths)]
    cells_of_rows = []
    for row in rows:
        figures = [f"{row[name]:.3f}" for name in ("roc_auc", "severity", "category", "hit1")]
        spent = [f"{row['milliseconds'][length]:.1f}" for length in lengths]
        cells_of_rows.append([row["name"], f"{row['bytes'] / 1e6:.1f}", *figures, str(row["flips"]), *spent])
    return section("Skill and cost", about, columns, cells_of_rows)


def ceiling_section(text: str) -> str:
    rows = json.loads(text)
    about = f"Macro-F1 on {rows[0]['hunks']} mended pieces of the same unseen repositories. No model can be told what the last row is told: what that judge still gets wrong, finding the place would not mend."
    cells_of_rows = [[row["judge"], f"{row['severity']:.3f}", f"{row['category']:.3f}"] for row in rows]
    return section("What the labels allow", about, ["severity", "category"], cells_of_rows)


def tuning_section(text: str) -> str:
    def change(values: list[float]) -> str:
        return " → ".join(f"{value:.3f}" for value in values)

    def label_change(row: dict, label: str) -> str:
        return f"{change(row[f'{label}_right'])} ({change(row[f'{label}_macro_f1'])})"

    about = "`sentinel mine`, `tune` on the oldest eight tenths, judged on the newest two: before → after. The share of mended hunks whose severity and category are right, macro-F1 in brackets. How to tune was chosen on eleven other repositories; that lines are left alone, on these too."
    cells_of_rows = []
    for row in json.loads(text):
        mended = f"{row['mended']} of {row['hunks']}"
        cells_of_rows.append([row["repository"], f"{row['learned_from']:,}", mended, label_change(row, "severity"), label_change(row, "category"), change(row["roc_auc"])])
    columns = ["learned from", "mended of judged", "severity right", "category right", "ROC-AUC"]
    return section("What a team's own history brings", about, columns, cells_of_rows)


def section(title: str, about: str, columns: list[str], rows: list[list[str]]) -> str:
    """A heading, what is shown, and a table; its first column has no name."""
    return "\n".join(["", f"### {title}", "", about, "", *table(columns, rows)]) + "\n"


# Further sections, from files that other steps left beside the card.
SECTIONS = {"ceiling.json": ceiling_section, "curve.json": curve_section, "comparison.json": comparison_section, "tuning.json": tuning_section}


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


def with_interval(value: float, interval: list[float]) -> str:
    return f"{value:.3f} ({interval[0]:.3f}–{interval[1]:.3f})"


def precision_picture(rows: list[dict], report: dict, path: Path) -> None:
    precision, recall, _ = precision_recall_curve([row["positive"] for row in rows], [row["probability"] for row in rows])
    curve_picture(
        recall, precision, path, horizontal=report["base_rate"], xlabel="recall", ylabel="precision", ylim=(0, 1.01), title="Needs a comment"
    )
