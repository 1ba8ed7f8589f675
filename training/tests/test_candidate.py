"""How a candidate is fitted and calibrated, on made-up features: no `sentinel` is needed."""

import importlib.util
import tempfile
import unittest
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

if importlib.util.find_spec("lightgbm") is None:
    raise unittest.SkipTest("LightGBM is not installed: pip install './training[failure]'")

from sentinel_shared.tables import CLASSES, FEATURES, NUMERICS  # noqa: E402
from sentinel_training import candidate, data, model  # noqa: E402
from sentinel_training.corpus import Corpus  # noqa: E402

RECORDS, REPOSITORIES = 200, 25


@dataclass
class MadeUp(Corpus):
    """A corpus whose features are in its rows."""

    def matrix(self, rows: list[dict], fitted: Path) -> np.ndarray:
        return np.stack([row["features"] for row in rows])


def records(count: int = RECORDS, owner: str = "o") -> data.Records:
    """Labels that ten columns of text tell, most of the time."""
    rng = np.random.default_rng(3)
    labels = np.array([CLASSES[at % len(CLASSES)] for at in range(count)])
    rows = []
    for at, label in enumerate(labels):
        features = np.zeros(FEATURES, dtype=np.float32)
        features[300:310] = rng.normal(size=10)
        features[300 + at % len(CLASSES)] += 2.5
        rows.append({"id": str(at), "label": label, "alt_label": None, "origin": "gha-committed-log", "features": features})
    groups = np.array([f"{owner}/{at // len(CLASSES) % REPOSITORIES}" for at in range(count)])
    texts = np.array([f"word{at % 7} of {label}" for at, label in enumerate(labels)], dtype=object)
    return data.Records(rows, [{} for _ in rows], texts, np.full((count, len(NUMERICS)), np.nan), labels, groups)


class Candidates(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.corpus = MadeUp(records(), records(20, "older"), Path("patterns.toml"), Path("sentinel"), Path(folder.name))

    def test_the_calibration_does_not_see_the_validation_records(self) -> None:
        fitted = candidate.fit(self.corpus)
        changed = records()
        for row, is_held_out in zip(changed.rows, data.validation_mask(changed)):
            if is_held_out:
                row["features"] = -row["features"]
        other = candidate.fit(replace(self.corpus, records=changed))
        self.assertNotEqual(fitted.metrics["macro_f1"], other.metrics["macro_f1"], "they are what is scored")
        self.assertEqual(fitted.calibration, other.calibration)
        self.assertEqual(fitted.calibrated_on["records"], RECORDS - fitted.metrics["n"])

    def test_records_set_aside_are_what_the_calibration_is_fitted_on(self) -> None:
        set_aside = records(100, "set-aside")
        # A model that is always wrong there has nothing to say.
        set_aside.labels = np.roll(set_aside.labels, 1)
        fitted = candidate.fit(self.corpus, set_aside)
        self.assertEqual(fitted.calibrated_on["records"], 100)
        self.assertGreater(fitted.calibration.abstain_below, candidate.fit(self.corpus).calibration.abstain_below)

    def test_records_of_a_known_repository_are_refused_for_calibration(self) -> None:
        with self.assertRaisesRegex(SystemExit, "not unseen: 10 of their repositories are trained on, such as o/0"):
            candidate.fit(self.corpus, records(100))

    def test_the_same_records_give_the_same_bytes(self) -> None:
        one, other = (model.to_onnx(candidate.fit(self.corpus).forest) for _ in range(2))
        self.assertTrue(one == other)


if __name__ == "__main__":
    unittest.main()
