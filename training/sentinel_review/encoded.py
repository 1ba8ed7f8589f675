"""What a frozen encoder makes of all pieces, computed once and kept."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .data import Piece, batches, tensors
from .model import Representation, Reviewer, lines_of


@dataclass
class EncodedPieces:
    """The representations of all pieces, in half precision. They hold for as long as the encoder stays as it is."""

    # [pieces, ...], as in Representation
    read: Tensor
    counted: Tensor
    # [added lines of all pieces, ...], and where those of each piece begin: [pieces + 1]
    lines: Tensor
    begins: Tensor

    @classmethod
    def at(cls, path: Path, model: Reviewer, pieces: list[Piece], bf16: bool) -> "EncodedPieces":
        """From the file at `path`; computed now and kept there, where there is none."""
        if not path.exists():
            torch.save(vars(cls.of(model, pieces, bf16)), path)
        return cls(**torch.load(path))

    @classmethod
    @torch.no_grad()
    def of(cls, model: Reviewer, pieces: list[Piece], bf16: bool) -> "EncodedPieces":
        model.eval()
        at = {id(piece): row for row, piece in enumerate(pieces)}
        read = torch.zeros(len(pieces), 4 * model.shape.width, dtype=torch.float16)
        counted = torch.zeros(len(pieces), model.counts.width, dtype=torch.float16)
        begins = torch.tensor([0] + [len(piece.added_at) for piece in pieces]).cumsum(0)
        lines = torch.zeros(int(begins[-1]), 2 * model.shape.width + model.counts.line_width, dtype=torch.float16)
        started, done = time.time(), 0
        for batch in batches(pieces, 16384, None):
            ids, mask = tensors(batch, model.device)
            with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
                where = lines_of(ids, mask)
                representation = model.represent(ids, mask, where, model.counts.raw(ids, where))
            for row, piece in enumerate(batch):
                to = at[id(piece)]
                read[to], counted[to] = representation.read[row].cpu(), representation.counted[row].cpu()
                # The added lines, in the order of their marks.
                lines[begins[to] : begins[to + 1]] = representation.lines[row][where.kind[row, :, 0] > 0].cpu().half()
            done += len(batch)
            if done // 8192 > (done - len(batch)) // 8192:
                print(f"encoded {done}/{len(pieces)} {time.time() - started:.0f} s", flush=True)
        return cls(read, counted, lines, begins)

    def representation(self, rows: list[int], device: torch.device) -> tuple[Representation, list[int]]:
        """Of these pieces. Their added lines stand one after the other; the numbers are how many each has."""
        spans = [range(int(self.begins[row]), int(self.begins[row + 1])) for row in rows]
        lines = self.lines[[line for span in spans for line in span]]
        parts = [part.float().to(device) for part in (self.read[rows], self.counted[rows], lines)]
        return Representation(*parts), [len(span) for span in spans]
