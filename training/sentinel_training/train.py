"""`train`: fits and writes `models/failure/`, and the fixtures that go with it."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from . import ROOT, candidate, drift, goldens
from .corpus import opened
from .sources import Sources, add_source_arguments


@dataclass(frozen=True, kw_only=True)
class Options(Sources):
    version: str
    calibration: Path | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source_arguments(parser)
    parser.add_argument("--version", required=True, help="the model's version, lgbm_v<major>.<minor>")
    add_calibration(parser)


def add_calibration(parser: argparse.ArgumentParser) -> None:
    about = "records set aside, to fit temperature and thresholds on; the training records' scores out of fold if not given"
    parser.add_argument("--calibration", type=Path, help=about)


def run(options: Options) -> None:
    with opened(options) as corpus:
        calibration_records = corpus.read_more(options.calibration) if options.calibration else None
        fitted = candidate.fit(corpus, calibration_records)
        candidate.check_gate(fitted)
        candidate.write(fitted, corpus, options.model, options.version, options.data)
        drift.write_golden(ROOT / "tests/fixtures/golden/drift.jsonl")
        goldens.write_fixture(fitted.held_out, ROOT / "tests/fixtures/ci_logs")
        goldens.write(options.model, options.sentinel, corpus.work, fitted.forest.booster_)
        # What `xtask eval classifier` scores.
        corpus.write_rows(fitted.held_out, "validation.jsonl")
