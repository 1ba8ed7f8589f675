"""Training the reviewing transformer, on a few made-up pieces. `python -m unittest discover training/tests`."""

import importlib.util
import json
import random
import shutil
import tempfile
import unittest
from pathlib import Path

import lightgbm
import numpy as np
import onnxruntime

if importlib.util.find_spec("torch") is None:
    raise unittest.SkipTest("torch is not installed: pip install './training[review]'")

import torch  # noqa: E402

from sentinel_review import export, fit, forest, pretrain, scores, served, side_models, tune, words  # noqa: E402
from sentinel_review.data import load, tensors  # noqa: E402
from sentinel_review.manifest import read_manifest, write_manifest  # noqa: E402
from sentinel_review.model import FIRST_AT, FIRST_SHIFT, Lines, Reviewer, lines_of, novelty  # noqa: E402
from sentinel_review.vocabulary import (  # noqa: E402
    ADDED,
    CONTEXT,
    FIRST_CHARACTERS,
    FIRST_WORDS,
    REMOVED,
    SPECIAL,
    line_beginnings,
    spelling_numbers,
    token_counts,
)
from sentinel_shared.tables import CATEGORIES, SEVERITIES  # noqa: E402

TOKENIZER = Path(__file__).parents[2] / "models/review/tokenizer.json"
# Begin, a language, the third power of two, not moved, a path, no section.
HEAD = [2, 9, FIRST_AT + 3, FIRST_SHIFT + 8, 300, 4, 4]


def sequence(*ids: int) -> torch.Tensor:
    """[1, length]: the lines of a hunk, with what stands before and after them."""
    return torch.tensor([[*HEAD, *ids, 3]])


def pieces(count: int, seed: int = 0) -> list[dict]:
    """Pieces of which those with a certain token in an added line were mended, there."""
    rng, made = random.Random(seed), []
    for record in range(count):
        ids, added_at, repaired = [*HEAD[:1], 9 + record % 12, *HEAD[2:]], [], []
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
            made.append({"record": record, "repo": f"o/{record % 5}", "language": "Rust", "ids": ids + [3], "added_at": added_at,
                         "repaired": repaired, "conf": 1} | labels)
    return made


class Training(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.data = self.folder / "pieces.jsonl"
        self.data.write_text("".join(json.dumps(each) + "\n" for each in pieces(300)), encoding="utf-8")

    def learning(self, work: str) -> dict:
        return {
            "train": self.data, "extra": None, "tokenizer": TOKENIZER, "work": self.folder / work, "width": 64, "layers": 1,
            "epochs": 2, "batch_tokens": 512, "rate": 1e-3, "minutes": 10.0, "threads": 1, "device": "cpu", "bf16": False, "seed": 7,
            "length": 512,
        }

    def pretrain(self, work: str, **changes) -> bool:
        return pretrain.run(pretrain.Options(**(self.learning(work) | changes)))

    def fit(self, work: str, **changes) -> bool:
        judges = {"heads_rate": 3e-3, "share": 1.0, "init": None, "shuffle": False, "frozen": False, "encoded_max": 10_000}
        return fit.run(fit.Options(**(self.learning(work) | judges | changes)))

    def figures(self, work: str) -> dict:
        return scores.report(scores.predict(scores.restore(self.folder / work / "reviewer.pt"), load(self.data)))

    def assert_same(self, one: dict, other: dict) -> None:
        for name, value in one.items():
            self.assertAlmostEqual(value, other[name], delta=1e-3, msg=name)

    def test_the_same_seed_gives_the_same_figures(self) -> None:
        self.fit("one")
        self.fit("other")
        self.assert_same(self.figures("one"), self.figures("other"))

    def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(self) -> None:
        self.assertTrue(self.fit("whole"))
        slices = 1
        while not self.fit("sliced", minutes=0.004):
            slices += 1
        self.assertGreater(slices, 2)
        self.assert_same(self.figures("whole"), self.figures("sliced"))

    def test_pre_training_goes_on_too_and_is_what_fitting_begins_from(self) -> None:
        self.assertTrue(self.pretrain("whole"))
        while not self.pretrain("sliced", minutes=0.004):
            pass
        whole, sliced = (torch.load(self.folder / work / "pretrain.pt")["weights"] for work in ("whole", "sliced"))
        for name, value in whole.items():
            torch.testing.assert_close(value, sliced[name], rtol=0, atol=1e-6, msg=name)
        self.assertTrue(self.fit("fit", init=self.folder / "whole/pretrain.pt", epochs=1))

    def test_with_a_frozen_encoder_only_the_judges_learn_and_a_stopped_run_goes_on(self) -> None:
        self.assertTrue(self.pretrain("before"))
        frozen = {"init": self.folder / "before/pretrain.pt", "frozen": True, "epochs": 20}
        self.assertTrue(self.fit("whole", **frozen))
        while not self.fit("sliced", minutes=0.004, **frozen):
            pass
        self.assert_same(self.figures("whole"), self.figures("sliced"))
        before, after = (torch.load(self.folder / name)["weights"] for name in ("before/pretrain.pt", "whole/reviewer.pt"))
        for name in before:
            if not name.startswith(("judges", "counts", "words", "forest")):
                torch.testing.assert_close(before[name], after[name], rtol=0, atol=0, msg=name)

    def test_it_learns_what_can_be_learned_and_nothing_from_shuffled_labels(self) -> None:
        self.fit("learned", epochs=12)
        self.assertGreater(self.figures("learned")["roc_auc"], 0.9)
        self.assertGreater(self.figures("learned")["hit1"], 0.9)
        self.fit("shuffled", epochs=4, shuffle=True)
        self.data.write_text("".join(json.dumps(each) + "\n" for each in pieces(600, seed=1)), encoding="utf-8")
        self.assertLess(abs(self.figures("shuffled")["roc_auc"] - 0.5), 0.1)


class Model(unittest.TestCase):
    def setUp(self) -> None:
        torch.manual_seed(0)
        torch.set_num_threads(1)
        self.model = Reviewer.untrained(TOKENIZER, width=64, layers=1).eval()
        self.model.words.weight.normal_()
        self.vocabulary = json.loads(TOKENIZER.read_text(encoding="utf-8"))["model"]["vocab"]

    def read(self, count: int) -> list:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pieces.jsonl"
            path.write_text("".join(json.dumps(each) + "\n" for each in pieces(count)), encoding="utf-8")
            return load(path)

    def kinds(self, ids: torch.Tensor) -> Lines:
        return lines_of(ids, torch.ones_like(ids))

    def test_padding_changes_nothing(self) -> None:
        ids = torch.tensor([pieces(1)[0]["ids"]])
        padded = torch.cat([ids, torch.zeros(1, 9, dtype=torch.long)], 1)
        with torch.no_grad():
            alone, padded_answers = self.model(ids, (ids != 0).long()), self.model(padded, (padded != 0).long())
        for one, other in zip(alone[:3], padded_answers[:3]):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(alone[3], padded_answers[3][:, : ids.shape[1]], rtol=1e-4, atol=1e-4)

    def test_each_token_knows_its_line(self) -> None:
        ids = torch.tensor([[2, 9, 4, CONTEXT, 300, ADDED, 300, 301, REMOVED, 301, 3]])
        lines = self.kinds(ids)
        kind = lines.kind_of_tokens[0]
        self.assertEqual(kind.argmax(-1)[3:].tolist(), [2, 2, 0, 0, 0, 1, 1, 1])
        self.assertEqual(kind[:3].sum().item(), 0)
        # 300 is in context, 301 in a removed line.
        self.assertEqual(lines.seen[0, 6].tolist(), [0, 1, 1])
        self.assertEqual(lines.seen[0, 7].tolist(), [1, 0, 1])

    def test_a_word_is_new_where_its_kind_of_line_alone_has_it(self) -> None:
        ids = torch.tensor([[2, 9, 4, CONTEXT, 300, ADDED, 300, 301, 302, 302, REMOVED, 301, 3]])
        lines = self.kinds(ids)
        new = novelty(torch.ones(1, ids.shape[1], 1), lines)[0]
        self.assertEqual(new[6].tolist(), [1, 1, 0], "in context too")
        self.assertEqual(new[7].tolist(), [1, 1, 1], "on the removed side too")
        self.assertEqual(new[8].tolist(), [0.5, 0, 0], "new, and there twice")
        self.assertEqual(new[11].tolist(), [1, 1, 1])

    def test_the_table_counts_what_a_token_spells(self) -> None:
        rows = token_counts(TOKENIZER)
        at = self.vocabulary["Ġreturn"]
        self.assertEqual(rows[at, :3].tolist(), [7, 1, 6])
        self.assertEqual(rows[[SPECIAL.index("<add>")]].sum(), 0)

    def test_words_are_told_by_their_letters_their_line_and_the_word_before(self) -> None:
        lower, upper, other = (self.vocabulary[each] for each in ("Ġerror", "ĠError", "Ġreturn"))

        def scores_of(*ids: int) -> torch.Tensor:
            whole = sequence(*ids)
            return self.model.words(whole, self.kinds(whole).kind_of_tokens)[0]

        torch.testing.assert_close(scores_of(ADDED, lower, other), scores_of(ADDED, upper, other))
        for different in [(REMOVED, lower, other), (ADDED, other, lower), (ADDED, lower, other, other)]:
            self.assertGreater((scores_of(ADDED, lower, other) - scores_of(*different)).abs().max().item(), 0.1)

    def test_words_learn_each_class_and_never_say_one_they_have_not_seen(self) -> None:
        training = self.read(400)
        matrix, _ = side_models.word_and_count_features(self.model, training)
        words.fit(self.model.words, matrix, training, [len(SEVERITIES), len(CATEGORIES)])
        mended = [piece for piece in training if piece.positive]
        ids, mask = tensors(mended, torch.device("cpu"))
        answers = self.model.words(ids, lines_of(ids, mask).kind_of_tokens)
        self.assertEqual(set(answers[:, 1:5].argmax(-1).tolist()), {2}, "the only severity there was")
        self.assertLessEqual(set(answers[:, 5:].argmax(-1).tolist()), {0, 1, 2})
        right = [int(answer) == piece.category for answer, piece in zip(answers[:, 5:].argmax(-1), mended)]
        self.assertGreater(sum(right) / len(right), 0.9)

    def test_what_words_say_of_a_repository_is_not_learned_from_it(self) -> None:
        training = self.read(400)
        matrix, _ = side_models.word_and_count_features(self.model, training)
        before = words.out_of_fold_scores(matrix, training)
        of_repository = np.array([piece.repo == "o/0" for piece in training])
        for piece in training:
            if piece.repo == "o/0":
                piece.severity = None if piece.positive else 1
        np.testing.assert_allclose(words.out_of_fold_scores(matrix, training)[of_repository], before[of_repository], atol=1e-5)

    def test_what_a_line_begins_with_is_seen_behind_its_blanks(self) -> None:
        blanks, returns = self.vocabulary["ĠĠĠĠ"], self.vocabulary["Ġreturn"]
        ids = sequence(ADDED, returns, 301, ADDED, blanks, returns, ADDED, blanks, ADDED, 301, returns)
        lines = self.kinds(ids)
        first = self.model.counts.first_words(ids, self.model.counts.table[ids].float(), lines)
        leaves = (lines.mark @ first)[0, 1:, len(FIRST_CHARACTERS) + list(FIRST_WORDS).index("leave")]
        self.assertEqual(leaves.tolist(), [1, 1, 0, 0], "an empty line does not begin with the next one's word")
        self.assertEqual(line_beginnings(TOKENIZER)[self.vocabulary["Ġ//"], 0], 1)

    def test_an_added_line_that_was_removed_elsewhere_is_known_whatever_its_blanks(self) -> None:
        blanks, one, other = self.vocabulary["ĠĠĠĠ"], self.vocabulary["Ġreturn"], self.vocabulary["Ġelse"]
        unspaced = self.vocabulary["return"]
        ids = sequence(REMOVED, one, 400, ADDED, blanks, unspaced, 400, ADDED, other, 400, ADDED, other, 400, ADDED, ADDED)
        back, twice = self.model.counts.repeated(ids, self.kinds(ids))
        self.assertEqual(back[0, :, 0].tolist(), [0, 0, 1, 0, 0, 0, 0])
        self.assertEqual(twice[0, :, 0].tolist(), [0, 0, 0, 1, 1, 0, 0], "empty lines are alike and say nothing")
        self.assertLess(spelling_numbers(TOKENIZER).max() * 512, 1 << 24, "sums of whole numbers that 32 bits hold exactly")

    def test_the_forest_answers_as_lightgbm_does(self) -> None:
        rng = np.random.default_rng(0)
        features = np.round(rng.normal(size=(3000, 12)), 1).astype(np.float32)
        mended = features[:, 0] * features[:, 1] + rng.normal(size=3000) > 0
        booster = lightgbm.train(forest.PARAMETERS | {"seed": 1, "num_threads": 1}, lightgbm.Dataset(features, mended), 40)
        answers = forest.from_booster(booster)(torch.from_numpy(features)).numpy()
        np.testing.assert_allclose(answers, booster.predict(features, raw_score=True), atol=1e-5)

    def exported(self, folder: Path, words_say: float = 1.0) -> None:
        """The model with words and a forest, as the files that are served."""
        side_models.fit(self.model, self.read(300), folder / "side-models.pt", seed=1, threads=1)
        self.model.words.weight *= words_say
        self.model.words.bias *= words_say
        # As after training: the exporter makes one of what is equal, such as biases that are still 0.
        for weight in self.model.parameters():
            weight.data += 0.01 * torch.randn_like(weight)
        export.write_models(self.model, folder)

    def test_what_is_exported_answers_the_same(self) -> None:
        ids, mask = tensors(self.read(300)[:5], torch.device("cpu"))
        with tempfile.TemporaryDirectory() as folder:
            self.exported(Path(folder))
            with torch.no_grad():
                expected = self.model(ids, mask)
            # What is rounded is what reads; counts, words and forest are not, or whole trees would be left elsewhere.
            for name, tolerance in [("fp32", 1e-3), ("model", 0.1), ("fp16", 0.01)]:
                assert_alike(served_answers(Path(folder) / f"{name}.onnx", ids, mask), expected, tolerance)

    def test_a_model_comes_back_from_the_file_that_is_served(self) -> None:
        ids, mask = tensors(self.read(300)[:5], torch.device("cpu"))
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.exported(folder)
            whole, back = served.restore(folder / "fp32.onnx"), served.restore(folder / "model.onnx")
            self.assertEqual(whole.shape, self.model.shape)
            for key, value in self.model.state_dict().items():
                torch.testing.assert_close(whole.state_dict()[key], value, rtol=1e-6, atol=1e-6, msg=key)
            (folder / "again").mkdir()
            export.write_models(back, folder / "again")
            once, again = (served_answers(path / "model.onnx", ids, mask) for path in (folder, folder / "again"))
            assert_alike(again, once, 1e-3)

    def test_a_tuned_model_learns_a_repositorys_kinds_and_says_as_before_whether_and_where(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.exported(folder, words_say=0.0)
            for file in ("tokenizer.json", "controls.json"):
                shutil.copyfile(TOKENIZER.with_name(file), folder / file)
            write_manifest(folder, "review_v1.0", 512, {"a": 0.5, "b": 0.25}, {"bug": 0.7})
            # A repository whose mended hunks are all style nits; nothing in them says so.
            rows = [each | ({"severity": 0, "category": 0} if any(each["repaired"]) else {}) for each in pieces(400, seed=2)]
            own = folder / "own.jsonl"
            own.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
            options = tune.Options(model=folder, train=own, out=folder / "tuned", version="review_v1.1", threads=1, bf16=False, seed=1)
            tune.run(options)
            self.assertEqual(read_manifest(folder / "tuned")["thresholds"], {"bug": 0.7})
            mended = [piece for piece in load(own) if piece.positive]
            ids, mask = tensors(mended, torch.device("cpu"))
            before, after = (served_answers(path / "model.onnx", ids, mask) for path in (folder, folder / "tuned"))
            self.assertLess((after[0] - before[0]).abs().mean(), 0.1 * before[0].std())
            self.assertEqual(set(after[1].argmax(-1).tolist()), {0})
            torch.testing.assert_close(after[3], before[3], rtol=1e-3, atol=1e-3)
            own.write_text("".join(json.dumps(each) + "\n" for each in pieces(20)), encoding="utf-8")
            with self.assertRaisesRegex(SystemExit, "mended hunks"):
                tune.run(options)


def served_answers(path: Path, ids: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [torch.from_numpy(answer) for answer in session.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})]


def assert_alike(answers: list[torch.Tensor], wanted: list[torch.Tensor], tolerance: float) -> None:
    for answer, want in zip(answers, wanted):
        torch.testing.assert_close(answer, want, rtol=1e-3, atol=tolerance)


if __name__ == "__main__":
    unittest.main()
