"""`sentinel retrain` from end to end on few records, and that what it makes can be used.

`SENTINEL_BINARY` names the program; `cargo xtask ci` builds it and sets that.
"""

import gzip
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import small_records

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SENTINEL_BINARY", "")
HAS_LEARNER = importlib.util.find_spec("lightgbm") is not None
# What no record speaks of, as a worker keeps it: masked.
CORRECTED = "err_cherwell ticket not in stat implement\nerr_releas gat refus the window"
CORRECTIONS = 12
KEY = "01" * 32
# The version of the model in the repository.
SERVING = json.loads((ROOT / "models/failure/manifest.json").read_text())["model_version"]
# Of the candidate's forest: how many leaves, and the sum of their values without signs. Within 3 %, since other versions of
# scikit-learn choose a few other terms for the vocabulary.
RECORDED_LEAVES, RECORDED_SUM = 3845, 152.542


class Worker(BaseHTTPRequestHandler):
    """The four calls of a worker that `sentinel retrain` makes, with twelve corrections of one verdict."""

    pushed: list[bytes] = []

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/api/registry":
            manifest = json.loads((ROOT / "models/failure/manifest.json").read_text())
            newest = {"model_version": "lgbm_v4.7", "status": "candidate", "digest": "00" * 32, "manifest": manifest, "uploaded_by": "a-key"}
            models = [newest | {"timestamp": "2026-01-01T00:00:00Z"}]
            latest = {"latest": SERVING, "retrain_suggested": True, "serving": manifest}
            self.answer(latest | {"models": models, "activations": []})
        elif url.path == "/api/telemetry":
            after = int(parse_qs(url.query)["after"][0])
            self.answer([stored(number) for number in range(after + 1, CORRECTIONS + 1)])
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        self.pushed.append(self.rfile.read(int(self.headers["content-length"])))
        self.answer({"model_version": "lgbm_v4.8", "digest": "00" * 32, "status": "registered"})

    def answer(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the test says what went wrong."""


def stored(number: int) -> dict:
    return {
        "id": number, "repository": "o/gated", "subject": f"run:{number}:1", "prediction": "Unknown", "confidence": 0.2,
        "model_version": SERVING, "corrected": "Deployment Failure", "telemetry": {"text": CORRECTED, "repository": "o/gated"},
    }


@unittest.skipUnless(BINARY, "SENTINEL_BINARY names no `sentinel`: cargo build, and set it")
@unittest.skipUnless(HAS_LEARNER, "LightGBM is not installed: pip install './training[failure]'")
class Retrain(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.candidate = cls.folder / "candidate"
        small_records.write(cls.folder)
        (cls.folder / "model.key").write_text(f"{KEY}\n", encoding="utf-8")
        Worker.pushed = []
        server = ThreadingHTTPServer(("127.0.0.1", 0), Worker)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        address = f"http://127.0.0.1:{server.server_address[1]}"
        cls.output = sentinel(
            "retrain", "--url", address, "--api-key", "a-key", "--data", cls.folder, "--out", cls.candidate, "--key", cls.folder / "model.key",
            "--python", sys.executable,
        )

    def test_a_candidate_is_fitted_found_no_worse_signed_and_uploaded(self) -> None:
        self.assertIn(f"lgbm_v4.8 is no worse than {SERVING}", self.output)
        self.assertIn("lgbm_v4.8 is a candidate", self.output)
        [pushed] = Worker.pushed
        self.assertGreater(len(pushed), 100_000)

    def test_the_candidate_loads_compiles_and_says_what_was_corrected(self) -> None:
        manifest = json.loads(sentinel("model", "show", "--model", self.candidate))
        self.assertEqual(manifest["model_version"], "lgbm_v4.8")
        self.assertEqual(manifest["data"]["corrections"], CORRECTIONS)
        sentinel("model", "compile", "--model", self.candidate, "--out", self.folder / "compiled.bundle")
        self.assertGreater((self.folder / "compiled.bundle").stat().st_size, 100_000)
        record = {"id": "a", "label": "Deployment Failure", "telemetry": {"text": CORRECTED}, "repo": "o/another"}
        self.assertEqual(self.scores([record])["strict_accuracy"], 1.0)

    def test_the_candidate_knows_the_records_it_was_fitted_on(self) -> None:
        rows = [json.loads(line) for line in small_records.FIXTURE.read_text(encoding="utf-8").splitlines()]
        self.assertGreater(self.scores(rows)["macro_f1"], 0.9)

    def test_the_forest_is_the_one_that_was_recorded(self) -> None:
        with gzip.open(self.candidate / "model.lightgbm.txt.gz", "rt", encoding="utf-8") as file:
            values = [float(value) for line in file if line.startswith("leaf_value=") for value in line.split("=")[1].split()]
        message = "another forest from the same records and seed: was that meant?"
        self.assertAlmostEqual(len(values), RECORDED_LEAVES, delta=0.03 * RECORDED_LEAVES, msg=message)
        self.assertAlmostEqual(sum(map(abs, values)), RECORDED_SUM, delta=0.03 * RECORDED_SUM, msg=message)

    def scores(self, rows: list[dict]) -> dict:
        data = self.folder / "scored.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return json.loads(sentinel("eval", "classifier", "--data", data, "--model", self.candidate, "--json"))


def sentinel(*arguments: object) -> str:
    done = subprocess.run([BINARY, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"sentinel {arguments[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    unittest.main()
