"""What was labelled by reading is of repositories that may be learned from."""

import hashlib
import json
import unittest
from pathlib import Path

LABELS = Path(__file__).parent.parent / "labels"


def is_reserved(repository: str) -> bool:
    """Whether a repository, as owner/name, is kept for evaluation (labels/README.md)."""
    digest = hashlib.sha1(f"sentinel-eval:{repository}".encode()).hexdigest()
    return int(digest, 16) % 100 < 10


class Labels(unittest.TestCase):
    def test_no_labelled_log_is_of_a_repository_that_is_kept_for_evaluation(self) -> None:
        for name in ["whole_logs.jsonl", "same_cause.jsonl"]:
            records = [json.loads(line) for line in (LABELS / name).read_text().splitlines()]
            self.assertGreater(len(records), 100, name)
            self.assertEqual([record["repo"] for record in records if is_reserved(record["repo"])], [], name)

    def test_about_one_repository_in_ten_is_kept_for_evaluation(self) -> None:
        kept = sum(is_reserved(f"owner/name-{number}") for number in range(1000))
        self.assertTrue(70 < kept < 130, kept)


if __name__ == "__main__":
    unittest.main()
