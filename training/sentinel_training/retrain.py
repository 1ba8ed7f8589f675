"""`retrain`: fits a candidate on the same records and people's corrections, and writes it to a folder of its own."""

import argparse
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from . import candidate
from .corpus import opened
from .sources import Sources, add_source_arguments
from .train import add_calibration


@dataclass(frozen=True, kw_only=True)
class Options(Sources):
    feedback: Path
    out: Path
    version: str
    calibration: Path | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source_arguments(parser)
    parser.add_argument("--feedback", type=Path, required=True, help="JSON lines of corrected telemetry, as `sentinel retrain` fetches them")
    parser.add_argument("--out", type=Path, required=True, help="folder for the candidate")
    parser.add_argument("--version", required=True, help="the candidate's version, lgbm_v<major>.<minor>")
    add_calibration(parser)


def run(options: Options) -> None:
    with opened(options) as corpus:
        corpus = replace(corpus, feedback=corpus.read_more(options.feedback))
        calibration_records = corpus.read_more(options.calibration) if options.calibration else None
        fitted = candidate.fit(corpus, calibration_records)
        candidate.check_gate(fitted)
        options.out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(corpus.patterns, options.out / "patterns.toml")
        candidate.write(fitted, corpus, options.out, options.version, options.data)
        # What `sentinel retrain` compares it on with the model in use.
        corpus.write_rows(fitted.held_out, "validation.jsonl")
