"""What of the review model needs no torch: its vocabulary, its controls, its thresholds, its card."""

import importlib.util
import json
import random
import tempfile
import unittest
from pathlib import Path

import numpy as np

if importlib.util.find_spec("tokenizers") is None or importlib.util.find_spec("zstandard") is None:
    raise unittest.SkipTest("tokenizers and zstandard are not installed: pip install './training[hunks]'")

from sentinel_review import choose, controls, vocabulary  # noqa: E402
from sentinel_review.manifest import read_manifest, write_manifest  # noqa: E402
from sentinel_shared.tables import SEVERITIES  # noqa: E402

MODEL = Path(__file__).resolve().parents[2] / "models/review"


def write_lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def predictions(count: int = 600) -> list[dict]:
    """Bugs are right more often the higher their score; nits never are."""
    rng, rows = random.Random(3), []
    for record in range(count):
        severity = "bug" if record % 3 else "nit"
        positive = severity == "bug" and rng.random() < 0.3
        logit = rng.gauss(1.2 if positive else -1.0, 1.0)
        rows.append({
            "record": record, "logit": logit, "probability": 1 / (1 + np.exp(-logit)), "positive": positive, "severity": severity,
            "category": "logic", "line": 0,
        })
    return rows


class Files(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_the_shipped_tokenizer_begins_with_the_marks_in_their_order(self) -> None:
        known = json.loads((MODEL / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
        self.assertEqual(sorted(known, key=known.get)[: len(vocabulary.SPECIAL)], vocabulary.SPECIAL)

    def test_a_vocabulary_is_fitted_with_marks_that_no_text_can_spell(self) -> None:
        hunks = [{"path": f"src/{at}.rs", "hunk": "@@ -1 +1,2 @@ fn main\n let a = 1;\n+<add> let b = a;"} for at in range(20)]
        out = self.folder / "tokenizer.json"
        vocabulary.run(vocabulary.Options(train=write_lines(self.folder / "hunks.jsonl", hunks), size=400, out=out))
        texts = vocabulary.token_texts(out)
        self.assertEqual(texts[: len(vocabulary.SPECIAL)], [None] * len(vocabulary.SPECIAL))
        self.assertIn(" let", texts[len(vocabulary.SPECIAL) :])
        self.assertEqual(json.loads(out.read_text(encoding="utf-8"))["added_tokens"], [])

    def test_each_column_of_the_token_counts_has_a_name(self) -> None:
        rows = vocabulary.token_counts(MODEL / "tokenizer.json")
        known = json.loads((MODEL / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
        counted = dict(zip(vocabulary.COUNTS, rows[known["Ġreturn"]].tolist(), strict=True))
        self.assertEqual({name: count for name, count in counted.items() if count}, {"characters": 7, "blanks": 1, "letters": 6, "word": 1, "return": 1})

    def test_a_severity_that_is_never_right_gets_no_threshold(self) -> None:
        for name in ("model.onnx", "tokenizer.json", "controls.json"):
            (self.folder / name).write_bytes(b"{}")
        write_manifest(self.folder, "review_v1.0", 512, {"a": 1.0, "b": 0.0}, {})
        found = write_lines(self.folder / "predictions.jsonl", predictions())
        choose.run(choose.Options(predictions=found, precision=0.6, out=self.folder))
        manifest = read_manifest(self.folder)
        self.assertEqual(list(manifest["thresholds"]), ["bug"])
        a, b = (manifest["calibration"][name] for name in ("a", "b"))
        bugs = [row for row in predictions() if row["severity"] == "bug"]
        shown = [row["positive"] for row in bugs if 1 / (1 + np.exp(-a * row["logit"] - b)) >= manifest["thresholds"]["bug"]]
        self.assertGreater(len(bugs), len(shown) + 100, "not all are shown")
        self.assertGreater(float(np.mean(shown)), 0.59)
        self.assertEqual(manifest["model_version"], "review_v1.0")

    def test_controls_tell_mended_hunks_by_their_words(self) -> None:
        rng = random.Random(1)

        def pieces(count: int) -> list[dict]:
            rows = []
            for _ in range(count):
                mended = rng.random() < 0.5
                bag = sorted({rng.randrange(1000, 2000), 7 if mended else 8})
                rows.append({"bag": [bag, [1.0] * len(bag)], "added": rng.randint(1, 9), "severity": 2 if mended else None})
            return rows

        train, valid = (write_lines(self.folder / f"{name}.jsonl", pieces(count)) for name, count in (("train", 200), ("valid", 80)))
        out = self.folder / "controls.json"
        controls.run(controls.Options(train=train, more=None, valid=valid, out=out))
        bag, _, mended = controls.load(valid)
        weights = np.frombuffer(controls.base64.b64decode(json.loads(out.read_text())["bag_of_words"]["weights"]), dtype=np.int8)
        self.assertEqual(((bag @ weights.astype(float)) > 0).tolist(), mended.tolist())

    @unittest.skipUnless(importlib.util.find_spec("matplotlib"), "matplotlib is not installed: pip install './training[card]'")
    def test_the_card_is_made_of_a_report_and_its_predictions(self) -> None:
        from sentinel_review import card

        rows = predictions()
        hunk = "@@ -1,2 +1,3 @@\n a\n+b\n c"
        records = [
            {"repo": f"o/{at % 40}", "path": f"src/{at}.rs", "hunk": hunk, "license": "MIT", "repair_subject": "mend it"} for at in range(len(rows))
        ]
        (self.folder / "README.md").write_text("Before.\n<!-- card -->\nold\n<!-- end of card -->\nAfter.\n", encoding="utf-8")
        files = [write_lines(self.folder / name, lines) for name, lines in (("predictions.jsonl", rows), ("records.jsonl", records))]
        card.run(card.Options(report=MODEL / "card.json", predictions=files[0], data=files[1], out=self.folder))
        text = (self.folder / "README.md").read_text(encoding="utf-8")
        self.assertTrue(text.startswith("Before.\n<!-- card -->\n"))
        self.assertTrue(text.endswith("<!-- end of card -->\nAfter.\n"))
        self.assertNotIn("old", text.split("| needs a comment")[0])
        self.assertIn("### Hits: likeliest of all, and mended later", text)
        for picture in ("precision", "reliability", "severity", "category"):
            self.assertIn("<svg", (self.folder / f"{picture}.svg").read_text(encoding="utf-8"))
        report = json.loads((self.folder / "card.json").read_text(encoding="utf-8"))
        self.assertLessEqual(set(report["severity"]["confusion"]), set(SEVERITIES))


if __name__ == "__main__":
    unittest.main()
