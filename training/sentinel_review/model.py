"""The review model: a pre-norm transformer over the tokens of one piece of a hunk, with judges on top, and beside it a linear
model of words and a forest over counts of what is in the piece.

Everything is computed from `input_ids` and `attention_mask`, both [batch, length] int64: which line a token is in, of
which kind that line is, where the same token stands elsewhere, and how many brackets, digits or keywords each kind of
line holds, how many of its words are new, what lines begin with and which came back unchanged. So nothing is
assembled outside the model, and nothing can differ between training and serving.

Out come logits: `needs_comment` [batch], `severity` [batch, 4], `category` [batch, 12] and `line` [batch, length], of
which only the values at the marks of added lines mean something.

Names of modules and buffers are part of every model file: `served.restore` finds weights by them.

Positions are relative: ALiBi (Press et al. 2022, in both directions) and a bonus for tokens of the same line.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sentinel_shared.tables import AT, CATEGORIES, LANGUAGES, SEVERITIES, SHIFT

from .forest import Forest
from .vocabulary import ADDED, CONTEXT, COUNTS, REMOVED, SPECIAL, line_beginnings, same_letters, spelling_numbers, token_counts
from .words import Words

# Of attention's heads, in turn: ALiBi's slope, and the bonus for tokens of the same line.
FADES, SAME_LINE = (0.5, 0.125, 0.03, 0.0), (2.0, 1.0, 0.0, 0.0)
HEAD_WIDTH = 32
# How much the judges' score of the need for a comment counts beside the forest's.
JUDGES_WEIGHT = 0.5
FIRST_AT, FIRST_SHIFT = SPECIAL.index(f"<at:{AT[0]}>"), SPECIAL.index(f"<shift:{SHIFT[0]}>")
# What is counted in the path and the section.
PATH_COUNTS = ["characters", "blanks", "letters", "capitals", "digits", "not_ascii"]
CHARACTERS, BLANKS, WORD = (COUNTS.index(name) for name in ("characters", "blanks", "word"))


def piece_columns(counts: int) -> dict[str, int]:
    """What is computed of a whole piece, and its number of columns; `counts` is what is counted in a line.

    In the order of the columns, which is part of every model file.
    """
    return {
        # Of each count its sum over added, removed and context lines; and over added ones by line and by character.
        "sums": 3 * counts,
        "added_per_line": counts,
        "added_per_character": counts,
        # How many lines of each kind.
        "lines": 3,
        # Of added lines, length and indentation: the largest and the mean.
        "largest_added": 2,
        "mean_added": 2,
        "empty_added": 1,
        "indented_added": 1,
        # Runs of added lines with nothing between them.
        "added_runs": 1,
        # Added lines that were removed elsewhere, that were added elsewhere too; and their shares.
        "moved": 1,
        "repeated": 1,
        "moved_share": 1,
        "repeated_share": 1,
        # Powers of two, from the marks before the path.
        "depth_in_file": 1,
        "shift": 1,
        "path": len(PATH_COUNTS),
    } | {f"language {name}": 1 for name in LANGUAGES}


def line_columns(counts: int) -> dict[str, int]:
    """Likewise, of one line."""
    return {
        "counts": counts,
        "indentation": 1,
        # How many added lines stand before it and after it, and whether the one before it is added.
        "added_before": 1,
        "added_after": 1,
        "follows_added": 1,
        "moved": 1,
        "repeated": 1,
    }


@dataclass(frozen=True)
class Shape:
    vocabulary: int = 32_000
    width: int = 256
    layers: int = 4
    length: int = 512
    # Columns of the table of what each token holds.
    counts: int = 0
    # Columns of the table of what a line may begin with.
    beginnings: int = 0
    # Their mean is the answer.
    judges: int = 3
    # Of the forest: how many, how many nodes in all, and the longest way down.
    trees: int = 0
    nodes: int = 0
    depth: int = 0
    dropout: float = 0.1

    def as_json(self) -> dict:
        return asdict(self)


@dataclass
class Lines:
    """The lines of a sequence; the first is what stands before the first mark. Floats of 0 and 1, but for the counts."""

    # [batch, lines, length]: the token is in the line
    of: Tensor
    # [batch, lines, length]: the token is the line's mark
    mark: Tensor
    # [batch, lines, 3]: it is an added, a removed, a context line
    kind: Tensor
    # [batch, length, length]: two tokens are in the same line
    same: Tensor
    # [batch, length, 3]: the same token is in removed lines, in context, and one part of how often in added ones
    seen: Tensor
    # [batch, length, 3]: how often the same token is in added, in removed, in context lines
    often: Tensor

    @property
    def kind_of_tokens(self) -> Tensor:
        """[batch, length, 3]"""
        return self.of.transpose(1, 2) @ self.kind


def lines_of(ids: Tensor, mask: Tensor) -> Lines:
    with in_full(ids):
        valid = mask.float()
        marks = torch.stack([(ids == each).float() for each in (ADDED, REMOVED, CONTEXT)], -1)
        line = marks.sum(-1).cumsum(1)
        numbers = torch.arange(line.max().long() + 1, device=ids.device)
        of = (numbers[None, :, None] == line[:, None, :]).float() * valid[:, None, :]
        mark = of * marks.sum(-1)[:, None, :]
        kind = mark @ marks
        equal = (ids[:, :, None] == ids[:, None, :]).float() @ (of.transpose(1, 2) @ kind)
        seen = torch.cat([equal[..., 1:].clamp(max=1.0), 1.0 / equal[..., :1].clamp(min=1.0)], -1)
        same = (line[:, :, None] == line[:, None, :]).float() * valid[:, None, :]
        return Lines(of, mark, kind, same, seen * valid[..., None], equal * valid[..., None])


def in_full(ids: Tensor) -> torch.autocast:
    """Counting needs full precision, whatever the rest is computed with."""
    return torch.autocast(ids.device.type, enabled=False)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.before_attention = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.before_feed = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = x + self.attend(self.before_attention(x), bias)
        return x + self.down(F.gelu(self.up(self.before_feed(x))))

    def attend(self, x: Tensor, bias: Tensor) -> Tensor:
        batch, length, width = x.shape
        parts = self.query_key_value(x).view(batch, length, 3, self.heads, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        # By hand: on a CPU its backward pass is faster than that of the fused kernel.
        scores = (parts[0] * HEAD_WIDTH**-0.5) @ parts[1].transpose(-1, -2) + bias.to(parts.dtype)
        mixed = scores.softmax(-1).to(parts.dtype) @ parts[2]
        return self.mixed(mixed.transpose(1, 2).reshape(batch, length, width))


class Counts(nn.Module):
    """What is counted in a piece and in each of its lines."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        # [vocabulary, counts]: what is counted in each token, in the order of `COUNTS`.
        self.register_buffer("table", torch.zeros(shape.vocabulary, shape.counts, dtype=torch.uint8))
        # [vocabulary, beginnings]: what a line is that begins with it.
        self.register_buffer("begins", torch.zeros(shape.vocabulary, shape.beginnings, dtype=torch.uint8))
        # [vocabulary]: a number for what the token spells without blanks; lines are compared by their sums.
        self.register_buffer("spelling", torch.zeros(shape.vocabulary))
        # Beside the table's columns: `Lines.seen` and `novelty`, of three columns each.
        per_line = shape.counts + 6 + shape.beginnings
        self.piece_columns, self.line_columns = piece_columns(per_line), line_columns(per_line)
        self.width, self.line_width = sum(self.piece_columns.values()), sum(self.line_columns.values())
        self.register_buffer("mean", torch.zeros(self.width))
        self.register_buffer("scale", torch.ones(self.width))
        self.register_buffer("line_mean", torch.zeros(self.line_width))
        self.register_buffer("line_scale", torch.ones(self.line_width))

    def raw(self, ids: Tensor, lines: Lines) -> tuple[Tensor, Tensor]:
        """[batch, width] of the piece and [batch, lines, line_width] of its lines."""
        with in_full(ids):
            return self._raw(ids, lines)

    def _raw(self, ids: Tensor, lines: Lines) -> tuple[Tensor, Tensor]:
        held = self.table[ids].float()
        held = torch.cat([held, lines.seen, novelty(held[..., WORD : WORD + 1], lines)], -1)
        per_line = torch.cat([lines.of @ held, lines.mark @ self.first_words(ids, held, lines)], -1)
        added = lines.kind[..., :1]
        sums = lines.kind.transpose(1, 2) @ per_line
        count = lines.kind.sum(1)
        characters, blanks = per_line[..., CHARACTERS : CHARACTERS + 1], per_line[..., BLANKS : BLANKS + 1]
        # The blanks before the first word are the token after the mark.
        indent = lines.mark @ F.pad(held[:, 1:, BLANKS : BLANKS + 1], (0, 0, 0, 1))
        moved, repeated = self.repeated(ids, lines)
        shares = sums[:, 0] / (count[:, :1] + 1.0)
        densities = sums[:, 0] / (sums[:, 0, CHARACTERS : CHARACTERS + 1] + 10.0)
        empty = added * (characters - blanks < 1.0).float()
        most = torch.cat([characters, indent], -1) * added
        language = [(ids[:, 1:2] == SPECIAL.index(f"<lang:{each}>")).float() for each in LANGUAGES]
        piece = {"sums": sums.flatten(1).log1p(), "added_per_line": shares.sqrt(), "added_per_character": densities.sqrt(), "lines": count.log1p()}
        piece |= {"largest_added": most.amax(1).log1p(), "mean_added": (most.sum(1) / (count[:, :1] + 1.0)).log1p()}
        piece |= {"empty_added": empty.sum(1).log1p(), "indented_added": (most[..., 1] > 0).float().sum(1, keepdim=True).log1p()}
        added_before = added.cumsum(1)
        follows_added = F.pad(added, (0, 0, 1, 0))[:, :-1]
        piece["added_runs"] = (added * (1.0 - follows_added)).sum(1).log1p()
        for name, each in (("moved", moved), ("repeated", repeated)):
            piece[name] = each.sum(1).log1p()
        for name, each in (("moved_share", moved), ("repeated_share", repeated)):
            piece[name] = each.sum(1) / count[:, :1].clamp(min=1.0)
        piece["depth_in_file"] = (ids[:, 2:3] - FIRST_AT).clamp(0, len(AT) - 1).float()
        piece["shift"] = (ids[:, 3:4] - FIRST_SHIFT).clamp(0, len(SHIFT) - 1).float()
        # The line before the first mark is the path and the section; `PATH_COUNTS` are the first counts.
        piece["path"] = per_line[:, 0, : len(PATH_COUNTS)].log1p()
        line = {"counts": per_line.log1p(), "indentation": indent.log1p(), "added_before": added_before.log1p()}
        line["added_after"] = (count[:, :1, None] - added_before).clamp(min=0.0).log1p()
        line |= {"follows_added": follows_added, "moved": moved, "repeated": repeated}
        piece |= {f"language {name}": each for name, each in zip(LANGUAGES, language)}
        return in_order(self.piece_columns, piece), in_order(self.line_columns, line)

    def first_words(self, ids: Tensor, held: Tensor, lines: Lines) -> Tensor:
        """[batch, length, beginnings]: at each mark, what its line begins with, after at most two tokens of blanks."""
        begins = self.begins[ids].float()
        is_blank = (held[..., CHARACTERS : CHARACTERS + 1] - held[..., BLANKS : BLANKS + 1] < 1.0).float() * (1.0 - lines.mark.sum(1)[..., None])
        after = [F.pad(begins[:, step:], (0, 0, 0, step)) for step in (1, 2, 3)]
        blank = [F.pad(is_blank[:, step:], (0, 0, 0, step)) for step in (1, 2)]
        return after[0] + blank[0] * (after[1] + blank[1] * after[2])

    def repeated(self, ids: Tensor, lines: Lines) -> tuple[Tensor, Tensor]:
        """Of added lines, [batch, lines, 1] both: the same line was removed elsewhere; it was added elsewhere too."""
        number = (lines.of @ self.spelling[ids][..., None]).squeeze(-1)
        equal = (number[:, :, None] == number[:, None, :]).float() * (number > 0.0).float()[:, :, None]
        times = equal @ lines.kind[..., :2]
        added = lines.kind[..., :1]
        return added * (times[..., 1:] > 0.0).float(), added * (times[..., :1] > 1.0).float()

    def standard(self, whole: Tensor, line: Tensor) -> tuple[Tensor, Tensor]:
        """What `raw` gives, scaled for the judges."""
        whole, line = (whole - self.mean) * self.scale, (line - self.line_mean) * self.line_scale
        return whole.clamp(-4.0, 4.0), line.clamp(-4.0, 4.0)


def in_order(columns: dict[str, int], parts: dict[str, Tensor]) -> Tensor:
    if columns.keys() != parts.keys():
        raise ValueError(f"not the columns there should be: {sorted(columns.keys() ^ parts.keys())}")
    return torch.cat([parts[name] for name in columns], -1)


def novelty(is_word: Tensor, lines: Lines) -> Tensor:
    """[batch, length, 3] of a word: its share in the different words of its kind of line, and the same where it is
    also in another kind, and where it is also on the other side of the change."""
    kind = lines.kind_of_tokens
    each = is_word * kind.sum(-1, keepdim=True) / (lines.often * kind).sum(-1, keepdim=True).clamp(min=1.0)
    elsewhere = (lines.often * (1.0 - kind)).clamp(max=1.0)
    # Removed lines for an added one, added lines for the others.
    other_side = kind[..., :1] * elsewhere[..., 1:2] + (1.0 - kind[..., :1]) * elsewhere[..., :1]
    return torch.cat([each, each * elsewhere.amax(-1, keepdim=True), each * other_side], -1)


@dataclass
class Representation:
    """What the judges get of a piece."""

    # [batch, 4 x width]: from the encoder, of the whole piece
    read: Tensor
    # [batch, counts.width]
    counted: Tensor
    # [batch, lines, 2 x width + counts.line_width]
    lines: Tensor


class Judge(nn.Module):
    """Scores a representation. Counts and encoding are joined late, so that neither drowns the other."""

    def __init__(self, width: int, counts: Counts) -> None:
        super().__init__()
        self.counted = nn.Sequential(
            nn.Dropout(0.25),
            nn.Linear(counts.width, 256),
            nn.GELU(),
            nn.Dropout(0.5),
            nn.Linear(256, 256),
            nn.GELU(),
            nn.Dropout(0.5),
        )
        self.read = nn.Sequential(nn.Dropout(0.3), nn.Linear(4 * width, 128), nn.GELU(), nn.Dropout(0.6))
        self.verdict = nn.Linear(256 + 128, 1 + len(SEVERITIES) + len(CATEGORIES))
        self.line = nn.Sequential(
            nn.Dropout(0.1), nn.Linear(2 * width + counts.line_width, 128), nn.GELU(), nn.Dropout(0.3), nn.Linear(128, 1)
        )

    def forward(self, representation: Representation) -> tuple[Tensor, Tensor]:
        """[batch, 17] and [batch, lines, 1]"""
        counted, read, lines = (part.to(self.verdict.weight.dtype) for part in (representation.counted, representation.read, representation.lines))
        verdict = self.verdict(torch.cat([self.counted(counted), self.read(read)], -1))
        return verdict.float(), self.line(lines).float()


class Reviewer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape, width = shape, shape.width
        self.counts = Counts(shape)
        self.tokens = nn.Embedding(shape.vocabulary, width, padding_idx=0)
        self.about = nn.Linear(6, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(shape.dropout)
        self.judges = nn.ModuleList(Judge(width, self.counts) for _ in range(shape.judges))
        self.words = Words(shape.vocabulary, 1 + len(SEVERITIES) + len(CATEGORIES))
        self.forest = Forest(shape.trees, shape.nodes, shape.depth)
        fades = [FADES[head % 4] for head in range(width // HEAD_WIDTH)]
        bonus = [SAME_LINE[head % 4] for head in range(width // HEAD_WIDTH)]
        self.register_buffer("fades", torch.tensor(fades)[None, :, None, None], persistent=False)
        self.register_buffer("bonus", torch.tensor(bonus)[None, :, None, None], persistent=False)
        self.apply(self.init_weights)

    @classmethod
    def untrained(cls, tokenizer: Path, **shape) -> "Reviewer":
        """With the tables of that tokenizer's tokens, and random weights."""
        counts, begins = token_counts(tokenizer), line_beginnings(tokenizer)
        model = cls(Shape(counts.shape[0], counts=counts.shape[1], beginnings=begins.shape[1], **shape))
        model.counts.table.copy_(torch.from_numpy(counts))
        model.counts.begins.copy_(torch.from_numpy(begins))
        model.counts.spelling.copy_(torch.from_numpy(spelling_numbers(tokenizer)))
        model.words.same.copy_(torch.from_numpy(same_letters(tokenizer)))
        return model

    @staticmethod
    def init_weights(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)

    def to_half(self) -> None:
        """Half precision where numbers may be rounded: in the transformer and the judges."""
        for part in (self.tokens, self.about, self.blocks, self.norm, self.judges):
            part.half()

    @property
    def device(self) -> torch.device:
        return self.tokens.weight.device

    def encode(self, ids: Tensor, mask: Tensor, lines: Lines) -> Tensor:
        about = torch.cat([lines.kind_of_tokens, lines.seen], -1).to(self.about.weight.dtype)
        x = self.dropout(self.tokens(ids) + self.about(about))
        at = torch.arange(ids.shape[1], device=ids.device).float()
        apart = (at[:, None] - at[None, :]).abs()
        bias = self.bonus * lines.same[:, None] - self.fades * apart - 1e4 * (1.0 - mask[:, None, None, :].float())
        bias = bias.to(x.dtype if not torch.is_autocast_enabled("cpu") else torch.bfloat16)
        for block in self.blocks:
            x = block(x, bias)
        return self.norm(x)

    def represent(self, ids: Tensor, mask: Tensor, lines: Lines, raw: tuple[Tensor, Tensor]) -> Representation:
        """`raw` is what `Counts.raw` gives."""
        x = self.encode(ids, mask, lines).float()
        counted, counted_line = self.counts.standard(*raw)
        added = lines.kind_of_tokens[..., :1]
        weight = mask[:, :, None].float()
        mean_added = (x * added).sum(1) / added.sum(1).clamp(min=1.0)
        most_added = (x * added - 1e2 * (1.0 - added)).amax(1).clamp(min=-1e1)
        mean = (x * weight).sum(1) / weight.sum(1).clamp(min=1.0)
        in_line = lines.of @ x / lines.of.sum(-1, keepdim=True).clamp(min=1.0)
        read = torch.cat([x[:, 0], mean, mean_added, most_added], -1)
        return Representation(read, counted, torch.cat([lines.mark @ x, in_line, counted_line], -1))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        lines = lines_of(input_ids, attention_mask)
        raw = self.counts.raw(input_ids, lines)
        representation = self.represent(input_ids, attention_mask, lines, raw)
        scores = [judge(representation) for judge in self.judges]
        needs, severity, category = split_verdict(sum(verdict for verdict, _ in scores) / len(scores))
        by_word, severity_by_word, category_by_word = split_verdict(self.words(input_ids, lines.kind_of_tokens))
        needs = JUDGES_WEIGHT * needs + self.forest(torch.cat([raw[0], by_word[:, None]], -1))
        line = sum(line for _, line in scores) / len(scores)
        # Each line's score stands at its mark.
        return needs, severity + severity_by_word, category + category_by_word, (lines.mark * line).sum(1)

    def masked_token_logits(self, ids: Tensor, mask: Tensor, at: Tensor) -> Tensor:
        """Logits over the vocabulary for the masked tokens, where `at` [batch, length] is true."""
        x = self.encode(ids, mask, lines_of(ids, mask))
        return F.linear(x[at], self.tokens.weight)


def split_verdict(verdict: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of the need for a comment, the severities and the categories."""
    needs, severity, category = verdict.split([1, len(SEVERITIES), len(CATEGORIES)], -1)
    return needs.squeeze(-1), severity, category
