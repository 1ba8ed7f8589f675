"""Pre-training and fitting, in slices: a run that was stopped goes on from its checkpoint as if it had not been.

Every step has its own seed and its own batch, both a function of the run's seed and the step's number alone. So what a
step does depends on nothing but the weights and the optimizer, which are the checkpoint.
"""

import argparse
import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional as F

from sentinel_shared.tables import CATEGORIES, SEVERITIES

from . import forest, words
from .data import Piece, batches, load, telling, tensors
from .model import Impression, Reviewer, lines_of, split
from .vocabulary import MASK, SPECIAL

# Shares of the tokens that are hidden, and of those the ones that become another token or stay (Devlin et al. 2019).
HIDDEN, REPLACED, KEPT = 0.2, 0.1, 0.1
# Of what classes weigh: 0 is all the same, 1 is as if all were equally frequent.
BALANCE = 0.75
# Pieces of one step where the encoder stays as it is, and the decay that this little data asks for.
FROZEN_BATCH, FROZEN_DECAY = 512, 1.0


@dataclass
class Run:
    """One run of many steps, and how far it is."""

    model: Reviewer
    optimizer: torch.optim.Optimizer
    rates: list[float]
    # What each step is given.
    plan: list[list]
    seed: int
    device: torch.device
    bf16: bool
    checkpoint: Path
    step: int = 0

    def resume(self) -> None:
        if self.checkpoint.exists():
            state = torch.load(self.checkpoint, map_location=self.device)
            self.model.load_state_dict(state["weights"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
            print(f"goes on at step {self.step}", flush=True)

    def save(self) -> None:
        state = {"weights": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        beside = self.checkpoint.with_suffix(".new")
        torch.save(state, beside)
        beside.replace(self.checkpoint)

    def go(self, loss_of: Callable[[list], dict[str, Tensor]], minutes: float, log: Path) -> bool:
        """Takes steps until the plan or the time is over; tells whether the plan is."""
        started, recent, saved = time.time(), [], time.time()
        self.model.train()
        warm = max(1, len(self.plan) // 20)
        with log.open("a", encoding="utf-8") as curve:
            while self.step < len(self.plan):
                torch.manual_seed(self.seed * 1_000_003 + self.step)
                share = min((self.step + 1) / warm, 0.5 + 0.5 * math.cos(math.pi * self.step / len(self.plan)))
                for group, rate in zip(self.optimizer.param_groups, self.rates):
                    group["lr"] = rate * share
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                    losses = loss_of(self.plan[self.step])
                self.optimizer.zero_grad(set_to_none=True)
                sum(losses.values()).backward()
                nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                self.optimizer.step()
                self.step += 1
                recent.append({name: float(loss.detach()) for name, loss in losses.items()})
                if len(recent) == 100 or self.step == len(self.plan):
                    row = {name: round(float(np.mean([each.get(name, np.nan) for each in recent])), 4) for name in recent[0]}
                    print(f"step {self.step}/{len(self.plan)} {row} {time.time() - started:.0f} s", flush=True)
                    curve.write(json.dumps({"step": self.step} | row) + "\n")
                    curve.flush()
                    recent.clear()
                out_of_time = time.time() - started > minutes * 60
                if out_of_time or time.time() - saved > 120:
                    self.save()
                    saved = time.time()
                if out_of_time:
                    print("time is over; the same command goes on", flush=True)
                    return False
        self.save()
        return True


def hide(ids: Tensor, vocabulary: int) -> tuple[Tensor, Tensor]:
    """The sequence with some tokens hidden, and where. Marks, languages and padding are never."""
    at = (torch.rand(ids.shape, device=ids.device) < HIDDEN) & (ids >= len(SPECIAL))
    dice = torch.rand(ids.shape, device=ids.device)
    other = torch.randint(len(SPECIAL), vocabulary, ids.shape, device=ids.device)
    shown = torch.where(dice < REPLACED, other, torch.where(dice < REPLACED + KEPT, ids, torch.full_like(ids, MASK)))
    return torch.where(at, shown, ids), at


def guessing_loss(model: Reviewer, batch: list[Piece], device: torch.device) -> dict[str, Tensor]:
    ids, mask = tensors(batch, device)
    shown, at = hide(ids, model.shape.vocabulary)
    return {"guess": F.cross_entropy(model.guesses(shown, mask, at).float(), ids[at])}


@dataclass
class Weights:
    """How much a class weighs: the more the rarer it is, one on average."""

    severity: Tensor
    category: Tensor

    @classmethod
    def of(cls, pieces: list[Piece]) -> "Weights":
        def weigh(labels: list[int], classes: int) -> Tensor:
            count = np.bincount(labels, minlength=classes).astype(float)
            weight = (len(labels) / np.maximum(count, 20.0)) ** BALANCE
            return torch.tensor(weight * len(labels) / (weight * count).sum(), dtype=torch.float32)

        positive = [piece for piece in pieces if piece.positive]
        severities = [piece.severity for piece in positive if piece.severity is not None]
        categories = [piece.category for piece in positive if piece.category is not None]
        return cls(weigh(severities, len(SEVERITIES)), weigh(categories, len(CATEGORIES)))


def review_loss(model: Reviewer, batch: list[Piece], device: torch.device, weights: Weights) -> dict[str, Tensor]:
    needs, severity, category, line = (out.float() for out in model(*tensors(batch, device)))
    losses = verdict_loss(needs, severity, category, batch, weights)
    lines = [
        line_loss(line[row, torch.from_numpy(piece.added_at).to(device)], piece)
        for row, piece in enumerate(batch)
        if piece.repaired.any()
    ]
    losses["line"] = 0.3 * torch.stack(lines).mean() if lines else line.sum() * 0.0
    return losses


def verdict_loss(
    needs: Tensor, severity: Tensor, category: Tensor, batch: list[Piece], weights: Weights
) -> dict[str, Tensor]:
    positive = torch.tensor([piece.positive for piece in batch], device=needs.device)
    compared = torch.tensor([piece.compared for piece in batch], device=needs.device)
    # Hindsight is wrong about as often as this: see the labels' notes.
    target = positive.float() * 0.9 + 0.05
    nothing = needs.sum() * 0.0
    losses = {"needs": nothing, "severity": nothing, "category": nothing}
    if compared.any():
        losses["needs"] = F.binary_cross_entropy_with_logits(needs[compared], target[compared])
    if positive.any():
        labels = [(piece.severity, piece.category) for piece in batch if piece.positive]
        severities, categories = (torch.tensor(column, device=needs.device) for column in zip(*labels))
        losses["severity"] = 0.3 * F.cross_entropy(severity[positive], severities, weights.severity)
        losses["category"] = 0.2 * F.cross_entropy(category[positive], categories, weights.category)
    return losses


def line_loss(scores: Tensor, piece: Piece) -> Tensor:
    """How little of the probability, shared among the added lines, falls on repaired ones. `scores` [added lines]"""
    chances = scores.log_softmax(-1)
    return -chances[torch.from_numpy(piece.repaired).to(scores.device)].logsumexp(-1)


@dataclass
class Memory:
    """The impressions of all pieces, for as long as the encoder stays as it is. Half precision."""

    # [pieces, ...], as in Impression
    read: Tensor
    counted: Tensor
    # [added lines of all pieces, ...], and where those of each piece begin: [pieces + 1]
    lines: Tensor
    begins: Tensor

    @classmethod
    def at(cls, path: Path, model: Reviewer, pieces: list[Piece], device: torch.device, bf16: bool) -> "Memory":
        """What is remembered at `path`; looked at now, and kept there, where nothing is."""
        if not path.exists():
            torch.save(vars(cls.of(model, pieces, device, bf16)), path)
        return cls(**torch.load(path))

    @classmethod
    @torch.no_grad()
    def of(cls, model: Reviewer, pieces: list[Piece], device: torch.device, bf16: bool) -> "Memory":
        model.eval()
        at = {id(piece): row for row, piece in enumerate(pieces)}
        read = torch.zeros(len(pieces), 4 * model.shape.width, dtype=torch.float16)
        counted = torch.zeros(len(pieces), model.counts.width, dtype=torch.float16)
        begins = torch.tensor([0] + [len(piece.added_at) for piece in pieces]).cumsum(0)
        lines = torch.zeros(int(begins[-1]), 2 * model.shape.width + model.counts.line_width, dtype=torch.float16)
        started, done = time.time(), 0
        for batch in batches(pieces, 16384, None):
            ids, mask = tensors(batch, device)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                where = lines_of(ids, mask)
                seen = model.look(ids, mask, where, model.counts.raw(ids, where))
            for row, piece in enumerate(batch):
                mine = at[id(piece)]
                read[mine], counted[mine] = seen.read[row].cpu(), seen.counted[row].cpu()
                # The added lines, in the order of their marks.
                lines[begins[mine] : begins[mine + 1]] = seen.lines[row][where.kind[row, :, 0] > 0].cpu().half()
            done += len(batch)
            if done // 8192 > (done - len(batch)) // 8192:
                print(f"looked at {done}/{len(pieces)} {time.time() - started:.0f} s", flush=True)
        return cls(read, counted, lines, begins)

    def impression(self, rows: list[int], device: torch.device) -> tuple[Impression, list[int]]:
        """Of these pieces; their added lines stand one after the other, with the number of each."""
        spans = [range(int(self.begins[row]), int(self.begins[row + 1])) for row in rows]
        lines = self.lines[[line for span in spans for line in span]]
        seen = [part.float().to(device) for part in (self.read[rows], self.counted[rows], lines)]
        return Impression(*seen), [len(span) for span in spans]


def frozen_loss(
    model: Reviewer,
    memory: Memory,
    rows: list[int],
    pieces: list[Piece],
    device: torch.device,
    weights: Weights,
    said: Tensor | None = None,
) -> dict[str, Tensor]:
    """Each judge answers for itself, or their mean would let them lean on each other.

    `said` [judges, pieces] is what each said of the need for a comment, where that is to stay.
    """
    batch = [pieces[row] for row in rows]
    seen, counts = memory.impression(rows, device)
    total: dict[str, Tensor] = {}
    for number, judge in enumerate(model.judges):
        verdict, line = judge(seen)
        losses = verdict_loss(*split(verdict), batch, weights)
        if said is not None:
            losses["needs"] = F.mse_loss(split(verdict)[0], said[number, rows])
        scores = line.squeeze(-1).split(counts)
        lines = [line_loss(each, piece) for each, piece in zip(scores, batch) if piece.repaired.any()]
        losses["line"] = 0.3 * torch.stack(lines).mean() if lines else line.sum() * 0.0
        for name, loss in losses.items():
            total[name] = total.get(name, 0.0) + loss
    return total


@torch.no_grad()
def standardise(model: Reviewer, pieces: list[Piece], device: torch.device) -> None:
    """Means and scales of the counts, over a sample."""
    whole, line = [], []
    for batch in batches(random.Random(0).sample(pieces, min(4000, len(pieces))), 8192, None):
        ids, mask = tensors(batch, device)
        each, each_line = model.counts.raw(ids, lines_of(ids, mask))
        whole.append(each)
        added = lines_of(ids, mask).kind[..., 0] > 0
        line.append(each_line[added])
    for values, mean, scale in [(torch.cat(whole), model.counts.mean, model.counts.scale), (torch.cat(line), model.counts.line_mean, model.counts.line_scale)]:
        mean.copy_(values.mean(0))
        scale.copy_(1.0 / (values.std(0) + 1e-2))


def plan_of(pieces: list[Piece], epochs: int, tokens: int, seed: int) -> list[list[Piece]]:
    return [batch for epoch in range(epochs) for batch in batches(pieces, tokens, random.Random(seed * 1009 + epoch))]


def plan_of_rows(rows: list[int], epochs: int, seed: int, batch: int = FROZEN_BATCH) -> list[list[int]]:
    plan = []
    for epoch in range(epochs):
        order = random.Random(seed * 1009 + epoch).sample(rows, len(rows))
        plan += [order[start : start + batch] for start in range(0, len(order), batch)]
    return plan


def new_model(options: argparse.Namespace, device: torch.device) -> Reviewer:
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    return Reviewer.reading(options.tokenizer, width=options.width, layers=options.layers).to(device)


def optimizer_of(groups: list[list[nn.Parameter]], decay: float = 0.01) -> torch.optim.Optimizer:
    return torch.optim.AdamW([{"params": group} for group in groups], lr=0.0, weight_decay=decay, betas=(0.9, 0.98), fused=True)


def chosen(pieces: list[Piece], share: float) -> list[Piece]:
    """A part of the records, always the same."""
    return [piece for piece in pieces if random.Random(piece.record).random() < share] if share < 1 else pieces


def pretrain(options: argparse.Namespace) -> bool:
    device = torch.device(options.device)
    model = new_model(options, device)
    pieces = load(options.train)
    if options.extra:
        pieces += load(options.extra, False, {piece.repo for piece in pieces})
    for piece in pieces:
        piece.ids = piece.ids[: options.length]
    plan = plan_of(pieces, options.epochs, options.batch_tokens, options.seed)
    options.work.mkdir(parents=True, exist_ok=True)
    run = Run(model, optimizer_of([list(model.parameters())]), [options.rate], plan, options.seed, device, options.bf16, options.work / "pretrain.pt")
    run.resume()
    return run.go(lambda batch: guessing_loss(model, batch, device), options.minutes, options.work / "pretrain.jsonl")


def labelled(options: argparse.Namespace, model: Reviewer, device: torch.device) -> list[Piece]:
    """What there is to learn from; the model's counts are scaled by it."""
    pieces = chosen(telling(load(options.train)), options.share)
    standardise(model, pieces, device)
    if options.extra:
        pieces += telling(load(options.extra, False, {piece.repo for piece in pieces}))
    # A cut piece may have lost the line it is about.
    return [piece for piece in pieces if len(piece.ids) <= options.length]


def begin_from(checkpoint: Path, model: Reviewer, device: torch.device) -> None:
    """The encoder of a pre-trained model; the rest stays as it is."""
    before = torch.load(checkpoint, map_location=device)["weights"]
    encoder = {name: value for name, value in before.items() if name.split(".")[0] in ("tokens", "about", "blocks", "norm")}
    model.load_state_dict(encoder, strict=False)


def fit(options: argparse.Namespace) -> bool:
    device = torch.device(options.device)
    model = new_model(options, device)
    pieces = labelled(options, model, device)
    if options.init:
        begin_from(options.init, model, device)
    if options.shuffle:
        shuffle(pieces, options.seed)
    options.work.mkdir(parents=True, exist_ok=True)
    run = fit_frozen if options.frozen else fit_whole
    done = run(model, pieces, options, device)
    if done:
        fit_beside(model, pieces, options, device)
        torch.save({"shape": model.shape.as_json(), "weights": model.state_dict()}, options.work / "reviewer.pt")
    return done


def fit_whole(model: Reviewer, pieces: list[Piece], options: argparse.Namespace, device: torch.device) -> bool:
    encoder = [*model.tokens.parameters(), *model.about.parameters(), *model.blocks.parameters(), *model.norm.parameters()]
    known = {id(each) for each in encoder}
    rest = [each for each in model.parameters() if id(each) not in known]
    plan = plan_of(pieces, options.epochs, options.batch_tokens, options.seed)
    rates = [options.rate, options.heads_rate]
    run = Run(model, optimizer_of([encoder, rest]), rates, plan, options.seed, device, options.bf16, options.work / "fit.pt")
    run.resume()
    weights = Weights.of(pieces)
    return run.go(lambda batch: review_loss(model, batch, device, weights), options.minutes, options.work / "fit.jsonl")


def fit_frozen(model: Reviewer, pieces: list[Piece], options: argparse.Namespace, device: torch.device) -> bool:
    """Looks at every piece once, then teaches the judges alone."""
    if len(pieces) > options.looks:
        pieces = random.Random(options.seed).sample(pieces, options.looks)
    memory = Memory.at(options.work / "memory.pt", model, pieces, device, options.bf16)
    plan = plan_of_rows(list(range(len(pieces))), options.epochs, options.seed)
    optimizer = optimizer_of([list(model.judges.parameters())], FROZEN_DECAY)
    run = Run(model, optimizer, [options.heads_rate], plan, options.seed, device, False, options.work / "fit.pt")
    run.resume()
    weights = Weights.of(pieces)

    def loss(rows: list[int]) -> dict[str, Tensor]:
        return frozen_loss(model, memory, rows, pieces, device, weights)

    return run.go(loss, options.minutes, options.work / "fit.jsonl")


def fit_beside(model: Reviewer, pieces: list[Piece], options: argparse.Namespace, device: torch.device) -> None:
    """The judge of words, and the forest: from their checkpoint, or fitted and kept there. They need no encoder."""
    kept = options.work / "beside.pt"
    if not kept.exists():
        table, counted = glance(model, pieces, device)
        words.fit(model.words, table, pieces, [len(SEVERITIES), len(CATEGORIES)])
        print("words are fitted", flush=True)
        compared = np.array([piece.compared for piece in pieces])
        grown = grow(table[compared], counted[compared], [piece for piece in pieces if piece.compared], options)
        size = {"trees": len(grown.roots), "nodes": len(grown.column), "depth": grown.depth}
        print(f"a forest is grown: {size}", flush=True)
        torch.save({"size": size, "forest": grown.state_dict(), "words": model.words.state_dict()}, kept)
    state = torch.load(kept, map_location=device)
    model.words.load_state_dict(state["words"])
    model.shape = replace(model.shape, **state["size"])
    model.forest = forest.Forest(**state["size"]).to(device)
    model.forest.load_state_dict(state["forest"])


def grow(table: csr_matrix, counted: np.ndarray, pieces: list[Piece], options: argparse.Namespace) -> forest.Forest:
    """Of what `glance` sees in comparable pieces."""
    seen = np.column_stack([counted, words.of_strangers(table, pieces)])
    return forest.fit(seen, np.array([piece.positive for piece in pieces]), options.seed, options.threads)


@torch.no_grad()
def glance(model: Reviewer, pieces: list[Piece], device: torch.device) -> tuple[csr_matrix, np.ndarray]:
    """Of each piece its words, and what is counted in it, float32 [pieces, columns]."""
    table, counted, order = words.Table(), [], []
    at = {id(piece): row for row, piece in enumerate(pieces)}
    for batch in batches(pieces, 16384, None):
        ids, mask = tensors(batch, device)
        where = lines_of(ids, mask)
        table.add(*model.words.hashed(ids, where.kind_of_tokens))
        counted.append(model.counts.raw(ids, where)[0].cpu().numpy())
        order += [at[id(piece)] for piece in batch]
    back = np.argsort(order)
    return table.whole()[back], np.concatenate(counted)[back]


def shuffle(pieces: list[Piece], seed: int) -> None:
    """Gives each record another one's label: what is learned then is nothing, or the input holds its label."""
    labels = [(piece.severity, piece.category, piece.conf) for piece in pieces]
    random.Random(seed).shuffle(labels)
    for piece, label in zip(pieces, labels):
        piece.severity, piece.category, piece.conf = label
        piece.repaired = np.zeros(len(piece.added_at), dtype=bool)
        piece.repaired[0] = piece.positive
