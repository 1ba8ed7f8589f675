"""The reviewing transformer: a pre-norm encoder with four heads.

Shapes: `input_ids` and `attention_mask` are [batch, length] int64; out come logits: `needs_comment` [batch],
`severity` [batch, 4], `category` [batch, 12] and `line` [batch, length], of which only the values at the marks of added
lines mean something.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SEVERITIES, CATEGORIES = 4, 12


@dataclass(frozen=True)
class Shape:
    vocabulary: int = 32_000
    width: int = 512
    heads: int = 8
    layers: int = 6
    length: int = 512
    dropout: float = 0.1

    def as_json(self) -> dict:
        return asdict(self)


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.head_width = shape.heads, shape.width // shape.heads
        self.before_attention = nn.LayerNorm(shape.width)
        self.query = nn.Linear(shape.width, shape.width)
        self.key = nn.Linear(shape.width, shape.width)
        self.value = nn.Linear(shape.width, shape.width)
        self.mixed = nn.Linear(shape.width, shape.width)
        self.before_feed = nn.LayerNorm(shape.width)
        self.up = nn.Linear(shape.width, 4 * shape.width)
        self.down = nn.Linear(4 * shape.width, shape.width)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = x + self.dropout(self.attend(self.before_attention(x), bias))
        return x + self.dropout(self.down(F.gelu(self.up(self.before_feed(x)))))

    def attend(self, x: Tensor, bias: Tensor) -> Tensor:
        batch, length, width = x.shape

        def split(y: Tensor) -> Tensor:
            return y.view(batch, length, self.heads, self.head_width).transpose(1, 2)

        query, key, value = split(self.query(x)), split(self.key(x)), split(self.value(x))
        if torch.onnx.is_in_onnx_export() or torch.jit.is_tracing():
            scores = query @ key.transpose(-1, -2) * self.head_width**-0.5 + bias
            mixed = scores.softmax(-1) @ value
        else:
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.mixed(mixed.transpose(1, 2).reshape(batch, length, width))


class Reviewer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.tokens = nn.Embedding(shape.vocabulary, shape.width, padding_idx=0)
        self.positions = nn.Embedding(shape.length, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.dropout = nn.Dropout(shape.dropout)
        self.heads = nn.Linear(2 * shape.width, 1 + SEVERITIES + CATEGORIES)
        self.line = nn.Linear(shape.width, 1)
        self.apply(self._initial)

    @staticmethod
    def _initial(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)

    def encode(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = self.dropout(self.tokens(input_ids) + self.positions(positions))
        bias = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * -1e4
        for block in self.blocks:
            x = block(x, bias)
        return self.norm(x)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = self.encode(input_ids, attention_mask)
        weight = attention_mask[:, :, None].to(x.dtype)
        mean = (x * weight).sum(1) / weight.sum(1).clamp(min=1.0)
        logits = self.heads(torch.cat([x[:, 0], mean], -1))
        needs, severity, category = logits.split([1, SEVERITIES, CATEGORIES], -1)
        return needs.squeeze(-1), severity, category, self.line(x).squeeze(-1)
