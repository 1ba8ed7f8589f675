"""`lines`: fits the scorer that says which line of a failed job is the cause.

LightGBM's LambdaRank over the candidate lines of each log: the labelled line before the others. The numbers of a line come from
`sentinel features --lines`. Five further scorers, each of four fifths of the repositories, rank the lines of the records that the
classifier is trained on, so that its excerpts are as good as those of logs nobody has seen, and no better.
"""

import argparse
import json
import re
import struct
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np

from . import ROOT, data
from .sources import Sources, add_source_arguments, workspace

ROUNDS = 120
PARAMETERS = dict(
    objective="lambdarank",
    learning_rate=0.06,
    num_leaves=15,
    min_data_in_leaf=15,
    feature_fraction=0.5,
    bagging_fraction=0.8,
    bagging_freq=1,
    lambda_l2=2,
    lambdarank_truncation_level=5,
    label_gain=[0, 1, 2, 3],
    seed=1,
    num_threads=1,
    deterministic=True,
    force_row_wise=True,
    verbose=-1,
)
# The labelled line, and lines that would do equally well.
CAUSE, ALSO = 3, 2
# An excerpt has no steps and little around its cause, so it teaches less than a whole log.
EXCERPT_WEIGHT = 0.5
# A line is the labelled one if it contains its first characters; longer lines are cut.
SAME_CHARS = 60
SCORER = ROOT / "shared/src/cause/cause.forest"
PREFIX = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z ?")
COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\[[0-9;]+m")


@dataclass(frozen=True, kw_only=True)
class Options(Sources):
    pass


@dataclass
class Log:
    """A log in which a labelled line was found among the candidates."""

    # Its candidates, as rows of `Lines`.
    rows: range
    fold: int
    weight: float
    is_whole: bool
    # The labelled line, and those that would do equally well.
    causes: list[str]


@dataclass
class Lines:
    """The candidate lines of labelled logs, log by log."""

    numbers: np.ndarray
    relevance: np.ndarray
    texts: list[str]
    logs: list[Log]
    # How many logs have a labelled line, and how many of these are whole.
    labelled: int
    labelled_whole: int

    def fit(self, without_fold: int | None = None) -> lightgbm.Booster:
        chosen = [log for log in self.logs if log.fold != without_fold]
        rows = np.concatenate([np.array(log.rows) for log in chosen])
        weight = np.concatenate([np.full(len(log.rows), log.weight) for log in chosen])
        groups = [len(log.rows) for log in chosen]
        dataset = lightgbm.Dataset(self.numbers[rows], self.relevance[rows], group=groups, weight=weight)
        return lightgbm.train(PARAMETERS, dataset, ROUNDS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source_arguments(parser)


def run(options: Options) -> None:
    with workspace(options.work) as work:
        lines = read(options.data, options.sentinel, work)
        print(f"{lines.labelled} logs, the labelled line is a candidate in {len(lines.logs)}")
        print(json.dumps(cross_validated(lines)))
        SCORER.write_bytes(to_bytes(lines.fit()))
        print(f"wrote {SCORER}; build the program again before you train the classifier")


def read(folder: Path, sentinel: Path, work: Path) -> Lines:
    """Reads the logs with a labelled cause line: whole ones, and excerpts whose line is in `cause_lines.jsonl`."""
    rows = [json.loads(line) for line in (folder / "whole_logs.jsonl").read_text().splitlines()]
    pointed = {}
    for line in (folder / "cause_lines.jsonl").read_text().splitlines():
        answer = json.loads(line)
        if answer["clear"]:
            pointed[answer["id"]] = answer
    for line in (folder / "train.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["id"] in pointed:
            rows.append(row | pointed[row["id"]])
    rows = [row for row in rows if row.get("cause_line")]
    folds, repositories = [data.fold(row) for row in rows], [row.get("repo") or row["id"] for row in rows]
    for number, row in enumerate(rows):
        # Ids are unique in their file only.
        row["id"] = str(number)
    path, out = work / "lines.records.jsonl", work / "lines.npy"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    subprocess.run([sentinel, "features", "--data", path, "--lines", "--out", out], check=True)
    candidates = defaultdict(list)
    texts = []
    for at, line in enumerate(out.with_suffix(".jsonl").read_text().splitlines()):
        candidate = json.loads(line)
        candidates[candidate["id"]].append(at)
        texts.append(candidate["text"])
    count = Counter(repositories)
    relevance, logs = np.zeros(len(texts)), []
    for row, fold, repository in zip(rows, folds, repositories):
        found = candidates[row["id"]]
        cause, also = plain(row["cause_line"]), [plain(line) for line in row.get("also_cause_lines") or []]
        for at in found:
            text = plain(texts[at])
            relevance[at] = CAUSE if is_same(text, cause) else ALSO if any(is_same(text, line) for line in also) else 0
        if any(relevance[found]):
            is_whole = bool(row.get("full_log"))
            weight = (1 if is_whole else EXCERPT_WEIGHT) / np.sqrt(count[repository])
            logs.append(Log(range(found[0], found[-1] + 1), fold, weight, is_whole, [cause, *also]))
    return Lines(np.load(out), relevance, texts, logs, len(rows), sum(bool(row.get("full_log")) for row in rows))


def plain(line: str) -> str:
    """Without job, step, timestamp, colours and the runner's marker."""
    if line.count("\t") >= 2:
        line = line.split("\t", 2)[2]
    line = COLOUR.sub("", PREFIX.sub("", line.lstrip("\ufeff")))
    return " ".join(re.sub(r"^##\[\w+\]", "", line.strip()).split())


def is_same(text: str, cause: str) -> bool:
    return text == cause or bool(cause) and cause[:SAME_CHARS] in text


def cross_validated(lines: Lines) -> dict[str, float]:
    """How often the labelled line of a whole log is the first, and one of the first three, by scorers that have not seen its
    repository. Logs whose line is no candidate count as wrong."""
    hits = []
    for number in range(data.LINE_FOLDS):
        scorer = lines.fit(number)
        for log in lines.logs:
            if log.fold != number or not log.is_whole:
                continue
            order = np.argsort(-scorer.predict(lines.numbers[log.rows.start : log.rows.stop]), kind="stable")
            first = list(dict.fromkeys(plain(lines.texts[log.rows[at]]) for at in order))[:3]
            hits.append([any(is_same(text, cause) for cause in log.causes for text in first[:count]) for count in (1, 3)])
    hit1, hit3 = np.sum(hits, axis=0) / lines.labelled_whole
    return {"logs": lines.labelled_whole, "hit1": round(float(hit1), 4), "hit3": round(float(hit3), 4)}


def to_bytes(booster: lightgbm.Booster) -> bytes:
    """The form `Forest::from_bytes` reads: counts, roots, then nodes in pre-order."""
    leaf, nodes, roots = 0x7FFF, [], []

    def push(node: dict) -> None:
        if "leaf_value" in node:
            nodes.append(struct.pack("<fHH", node["leaf_value"], leaf, 0))
            return
        at = len(nodes)
        nodes.append(b"")
        push(node["left_child"])
        right = len(nodes) - at
        push(node["right_child"])
        # The largest single-precision number that is not above: the inputs are single-precision.
        threshold = np.float32(node["threshold"])
        if float(threshold) > node["threshold"]:
            threshold = np.nextafter(threshold, np.float32(-np.inf))
        nodes[at] = struct.pack("<fHH", threshold, node["split_feature"], right)

    for tree in booster.dump_model()["tree_info"]:
        roots.append(struct.pack("<I", len(nodes)))
        push(tree["tree_structure"])
    return struct.pack("<HHI", booster.num_feature(), 1, len(roots)) + b"".join(roots) + struct.pack("<I", len(nodes)) + b"".join(nodes)
