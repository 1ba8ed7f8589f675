"""Training the reviewing transformer, on a few made-up pieces. `python -m unittest discover training/tests`."""

import argparse
import json
import random
import tempfile
import unittest
from pathlib import Path

import torch

from sentinel_review import export, scores, train, words
from sentinel_review.data import load, tensors
from sentinel_review.model import Reviewer, Shape, lines_of, novelty
from sentinel_review.vocabulary import ADDED, CONTEXT, REMOVED, SPECIAL, same_letters, table

TOKENIZER = Path(__file__).parents[2] / "models/review/tokenizer.json"


def pieces(count: int, seed: int = 0) -> list[dict]:
    """Pieces of which those with a certain token in an added line were mended, there."""
    rng, made = random.Random(seed), []
    for record in range(count):
        ids, added_at, repaired = [2, 9 + record % 12, 300, 4, 4], [], []
        for _ in range(rng.randint(3, 9)):
            mark = rng.choice([ADDED, ADDED, REMOVED, CONTEXT])
            words = [rng.randint(300, 900) for _ in range(rng.randint(1, 6))]
            wrong = mark == ADDED and rng.random() < 0.15
            if mark == ADDED:
                added_at.append(len(ids))
                repaired.append(wrong)
            ids += [mark, *words, *([1234] if wrong else [])]
        if added_at:
            mended = any(repaired)
            labels = {"severity": 2, "category": record % 3} if mended else {"severity": None, "category": None}
            made.append({"record": record, "repo": "o/r", "language": "Rust", "ids": ids + [3], "added_at": added_at,
                         "repaired": repaired, "conf": 1} | labels)
    return made


class Training(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.data = self.folder / "pieces.jsonl"
        self.data.write_text("".join(json.dumps(each) + "\n" for each in pieces(300)), encoding="utf-8")

    def options(self, work: str, **changes) -> argparse.Namespace:
        given = {
            "train": self.data, "extra": None, "tokenizer": TOKENIZER, "work": self.folder / work, "width": 64, "layers": 1,
            "epochs": 2, "batch_tokens": 512, "rate": 1e-3, "heads_rate": 3e-3, "minutes": 10.0, "threads": 1, "device": "cpu",
            "bf16": False, "seed": 7, "length": 512, "share": 1.0, "init": None, "shuffle": False, "frozen": False,
        }
        return argparse.Namespace(**(given | changes))

    def figures(self, work: str) -> dict:
        return scores.report(scores.predict(scores.restore(self.folder / work / "reviewer.pt"), load(self.data)))

    def assert_same(self, one: dict, other: dict) -> None:
        for name, value in one.items():
            self.assertAlmostEqual(value, other[name], delta=1e-3, msg=name)

    def test_the_same_seed_gives_the_same_figures(self) -> None:
        train.fit(self.options("one"))
        train.fit(self.options("other"))
        self.assert_same(self.figures("one"), self.figures("other"))

    def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(self) -> None:
        self.assertTrue(train.fit(self.options("whole")))
        slices = 1
        while not train.fit(self.options("sliced", minutes=0.004)):
            slices += 1
        self.assertGreater(slices, 2)
        self.assert_same(self.figures("whole"), self.figures("sliced"))

    def test_pre_training_goes_on_too_and_is_what_fitting_begins_from(self) -> None:
        self.assertTrue(train.pretrain(self.options("whole")))
        while not train.pretrain(self.options("sliced", minutes=0.004)):
            pass
        whole, sliced = (torch.load(self.folder / work / "pretrain.pt")["weights"] for work in ("whole", "sliced"))
        for name, value in whole.items():
            torch.testing.assert_close(value, sliced[name], rtol=0, atol=1e-6, msg=name)
        self.assertTrue(train.fit(self.options("fit", init=self.folder / "whole/pretrain.pt", epochs=1)))

    def test_with_a_frozen_encoder_only_the_judges_learn_and_a_stopped_run_goes_on(self) -> None:
        self.assertTrue(train.pretrain(self.options("before")))
        frozen = {"init": self.folder / "before/pretrain.pt", "frozen": True, "epochs": 20}
        self.assertTrue(train.fit(self.options("whole", **frozen)))
        while not train.fit(self.options("sliced", minutes=0.004, **frozen)):
            pass
        self.assert_same(self.figures("whole"), self.figures("sliced"))
        before, after = (torch.load(self.folder / name)["weights"] for name in ("before/pretrain.pt", "whole/reviewer.pt"))
        for name in before:
            if not name.startswith(("judges", "counts")):
                torch.testing.assert_close(before[name], after[name], rtol=0, atol=0, msg=name)

    def test_it_learns_what_can_be_learned_and_nothing_from_shuffled_labels(self) -> None:
        train.fit(self.options("learnt", epochs=12))
        self.assertGreater(self.figures("learnt")["roc_auc"], 0.9)
        self.assertGreater(self.figures("learnt")["hit1"], 0.9)
        train.fit(self.options("shuffled", epochs=4, shuffle=True))
        self.data.write_text("".join(json.dumps(each) + "\n" for each in pieces(600, seed=1)), encoding="utf-8")
        self.assertLess(abs(self.figures("shuffled")["roc_auc"] - 0.5), 0.1)


class Model(unittest.TestCase):
    def setUp(self) -> None:
        counts = table(TOKENIZER)
        torch.manual_seed(0)
        self.model = Reviewer(Shape(counts.shape[0], 64, 1, counts=counts.shape[1])).eval()
        self.model.counts.table.copy_(torch.from_numpy(counts))
        self.model.words.same.copy_(torch.from_numpy(same_letters(TOKENIZER)))
        self.model.words.weight.normal_()

    def test_padding_changes_nothing(self) -> None:
        ids = torch.tensor([pieces(1)[0]["ids"]])
        padded = torch.cat([ids, torch.zeros(1, 9, dtype=torch.long)], 1)
        with torch.no_grad():
            alone, beside = self.model(ids, (ids != 0).long()), self.model(padded, (padded != 0).long())
        for one, other in zip(alone[:3], beside[:3]):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(alone[3], beside[3][:, : ids.shape[1]], rtol=1e-4, atol=1e-4)

    def test_each_token_knows_its_line(self) -> None:
        ids = torch.tensor([[2, 9, 4, CONTEXT, 300, ADDED, 300, 301, REMOVED, 301, 3]])
        lines = lines_of(ids, torch.ones_like(ids))
        kind = lines.kind_of_tokens[0]
        self.assertEqual(kind.argmax(-1)[3:].tolist(), [2, 2, 0, 0, 0, 1, 1, 1])
        self.assertEqual(kind[:3].sum().item(), 0)
        # 300 is in context, 301 in a removed line.
        self.assertEqual(lines.seen[0, 6].tolist(), [0, 1, 1])
        self.assertEqual(lines.seen[0, 7].tolist(), [1, 0, 1])

    def test_a_word_is_new_where_its_kind_of_line_alone_has_it(self) -> None:
        ids = torch.tensor([[2, 9, 4, CONTEXT, 300, ADDED, 300, 301, 302, 302, REMOVED, 301, 3]])
        lines = lines_of(ids, torch.ones_like(ids))
        new = novelty(torch.ones(1, ids.shape[1], 1), lines)[0]
        self.assertEqual(new[6].tolist(), [1, 1, 0], "in context too")
        self.assertEqual(new[7].tolist(), [1, 1, 1], "on the removed side too")
        self.assertEqual(new[8].tolist(), [0.5, 0, 0], "new, and there twice")
        self.assertEqual(new[11].tolist(), [1, 1, 1])

    def test_the_table_counts_what_a_token_spells(self) -> None:
        document = json.loads(TOKENIZER.read_text(encoding="utf-8"))
        rows = table(TOKENIZER)
        at = document["model"]["vocab"]["Ġreturn"]
        self.assertEqual(rows[at, :3].tolist(), [7, 1, 6])
        self.assertEqual(rows[[SPECIAL.index("<add>")]].sum(), 0)

    def test_words_are_told_by_their_letters_their_line_and_the_word_before(self) -> None:
        vocabulary = json.loads(TOKENIZER.read_text(encoding="utf-8"))["model"]["vocab"]
        lower, upper, other = (vocabulary[each] for each in ("Ġerror", "ĠError", "Ġreturn"))

        def said(*ids: int) -> torch.Tensor:
            sequence = torch.tensor([[2, 9, 4, *ids, 3]])
            return self.model.words(sequence, lines_of(sequence, torch.ones_like(sequence)).kind_of_tokens)[0]

        torch.testing.assert_close(said(ADDED, lower, other), said(ADDED, upper, other))
        for different in [(REMOVED, lower, other), (ADDED, other, lower), (ADDED, lower, other, other)]:
            self.assertGreater((said(ADDED, lower, other) - said(*different)).abs().max().item(), 0.1)

    def test_words_learn_each_class_and_never_say_one_they_have_not_seen(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pieces.jsonl"
            path.write_text("".join(json.dumps(each) + "\n" for each in pieces(400)), encoding="utf-8")
            learnt = load(path)
        words.fit(self.model.words, lambda ids, mask: lines_of(ids, mask).kind_of_tokens, learnt, [4, 12])
        mended = [piece for piece in learnt if piece.positive]
        ids, mask = tensors(mended, torch.device("cpu"))
        said = self.model.words(ids, lines_of(ids, mask).kind_of_tokens)
        self.assertEqual(set(said[:, 1:5].argmax(-1).tolist()), {2}, "the only severity there was")
        self.assertLessEqual(set(said[:, 5:].argmax(-1).tolist()), {0, 1, 2})
        right = [int(answer) == piece.category for answer, piece in zip(said[:, 5:].argmax(-1), mended)]
        self.assertGreater(sum(right) / len(right), 0.9)

    def test_what_is_exported_answers_the_same(self) -> None:
        import onnxruntime

        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "fp32.onnx"
            export.to_onnx(self.model, out)
            session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
            path = Path(folder) / "pieces.jsonl"
            path.write_text("".join(json.dumps(each) + "\n" for each in pieces(5)), encoding="utf-8")
            ids, mask = tensors(load(path), torch.device("cpu"))
            answers = session.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
            with torch.no_grad():
                for answer, expected in zip(answers, self.model(ids, mask)):
                    torch.testing.assert_close(torch.from_numpy(answer), expected, rtol=1e-3, atol=1e-3)


if __name__ == "__main__":
    unittest.main()
