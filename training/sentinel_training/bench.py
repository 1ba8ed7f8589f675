"""One prediction at a time, by ONNX Runtime, by LightGBM and by the Rust forest, in alternating rounds of one run."""

import argparse
import ctypes
import gzip
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
import onnxruntime

from sentinel_shared import commands
from sentinel_shared.tables import CLASSES, FEATURES

from . import ROOT

ROUNDS, ROWS = 5, 2000


@dataclass(frozen=True)
class Options:
    sentinel: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sentinel", type=Path, required=True, help="the optimised Rust program")


def run(options: Options) -> None:
    rows = golden_rows()
    predictors = {
        "ONNX Runtime": onnx_runtime(rows),
        "LightGBM (C API, single-row fast)": lightgbm_fast(rows),
        "Sentinel (tract plan, flat forest)": lambda: sentinel(options.sentinel),
    }
    times: dict[str, list[float]] = {name: [] for name in predictors}
    for _ in range(ROUNDS):
        for name, measure in predictors.items():
            times[name].append(measure())
    print(f"{'one row, median of ' + str(ROWS) + ', µs':<40}{'best':>8}{'median':>8}")
    for name, rounds in times.items():
        print(f"{name:<40}{min(rounds):>8.1f}{sorted(rounds)[ROUNDS // 2]:>8.1f}")
    own = sorted(times.pop("Sentinel (tract plan, flat forest)"))[ROUNDS // 2]
    for name, rounds in times.items():
        print(f"  {own / sorted(rounds)[ROUNDS // 2]:.2f} x {name}")
    print(subprocess.run([options.sentinel, "bench", "--features"], check=True, capture_output=True, text=True).stdout, end="")


def golden_rows() -> np.ndarray:
    lines = (ROOT / "tests/fixtures/golden/failure.jsonl").read_text().splitlines()
    rows = np.zeros((len(lines), FEATURES), dtype=np.float32)
    for at, line in enumerate(lines):
        for column, value in json.loads(line)["features"].items():
            rows[at, int(column)] = np.nan if value is None else value
    return rows


def median_us(call, rows: np.ndarray) -> float:
    samples = np.empty(ROWS)
    for at in range(ROWS):
        row = rows[at % len(rows)]
        started = time.perf_counter_ns()
        call(row)
        samples[at] = time.perf_counter_ns() - started
    return float(np.median(samples)) / 1000


def onnx_runtime(rows: np.ndarray):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(ROOT / "models/failure/model.onnx"), options, providers=["CPUExecutionProvider"])
    return lambda: median_us(lambda row: session.run(["probabilities"], {"features": row[None, :]}), rows)


def lightgbm_fast(rows: np.ndarray):
    """LightGBM's quickest way for one row, without its Python layers."""
    text = gzip.decompress((ROOT / "models/failure/model.lightgbm.txt.gz").read_bytes()).decode()
    booster = lightgbm.Booster(model_str=text)
    library = lightgbm.basic._LIB
    fast = ctypes.c_void_p()
    parameters = ctypes.c_char_p(b"num_threads=1")
    status = library.LGBM_BoosterPredictForMatSingleRowFastInit(
        booster._handle, ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(-1), ctypes.c_int(0), ctypes.c_int(FEATURES), parameters, ctypes.byref(fast)
    )
    assert status == 0, "LightGBM's fast path"
    length, out = ctypes.c_int64(), (ctypes.c_double * len(CLASSES))()

    def call(row: np.ndarray) -> None:
        library.LGBM_BoosterPredictForMatSingleRowFast(fast, row.ctypes.data_as(ctypes.c_void_p), ctypes.byref(length), out)

    # Holds the booster: its handle is used for as long as this is.
    return lambda booster=booster: median_us(call, rows)


def sentinel(binary: Path) -> float:
    output = subprocess.run([binary, "bench", "--predict"], check=True, capture_output=True, text=True).stdout
    return json.loads(output)["median_us"]


if __name__ == "__main__":
    run(commands.parse("python -m sentinel_training.bench", str(__doc__), sys.modules[__name__]))
