"""A training run in slices: one that was stopped goes on from its checkpoint as if it had not been.

Every step has its own seed and its own batch, both a function of the run's seed and the step's number alone. So what a
step does depends on nothing but the weights and the optimizer, which are the checkpoint.
"""

import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .data import Piece, batches
from .model import Reviewer

# Pieces of one step where the encoder stays as it is, and the weight decay that this little data asks for.
FROZEN_BATCH, FROZEN_DECAY = 512, 1.0


@dataclass
class Run:
    """One run of many steps, and how far it is."""

    model: Reviewer
    optimizer: torch.optim.Optimizer
    # The highest learning rate of each of the optimizer's groups.
    rates: list[float]
    # The batch of each step.
    plan: list[list]
    seed: int
    checkpoint: Path
    bf16: bool = False
    step: int = 0

    def resume(self) -> None:
        if self.checkpoint.exists():
            state = torch.load(self.checkpoint, map_location=self.model.device)
            self.model.load_state_dict(state["weights"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
            print(f"goes on at step {self.step}", flush=True)

    def save(self) -> None:
        state = {"weights": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        beside = self.checkpoint.with_suffix(".new")
        torch.save(state, beside)
        beside.replace(self.checkpoint)

    def train(self, loss_of: Callable[[list], dict[str, Tensor]], log: Path, minutes: float = math.inf) -> bool:
        """Takes steps until the plan or the time is over; tells whether the plan is."""
        started, recent, saved = time.time(), [], time.time()
        self.model.train()
        with log.open("a", encoding="utf-8") as losses_file:
            while self.step < len(self.plan):
                recent.append(self.take_step(loss_of))
                if len(recent) == 100 or self.step == len(self.plan):
                    row = {name: round(float(np.mean([each.get(name, np.nan) for each in recent])), 4) for name in recent[0]}
                    print(f"step {self.step}/{len(self.plan)} {row} {time.time() - started:.0f} s", flush=True)
                    losses_file.write(json.dumps({"step": self.step} | row) + "\n")
                    losses_file.flush()
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

    def take_step(self, loss_of: Callable[[list], dict[str, Tensor]]) -> dict[str, float]:
        torch.manual_seed(self.seed * 1_000_003 + self.step)
        warm_up = max(1, len(self.plan) // 20)
        share = min((self.step + 1) / warm_up, 0.5 + 0.5 * math.cos(math.pi * self.step / len(self.plan)))
        for group, rate in zip(self.optimizer.param_groups, self.rates):
            group["lr"] = rate * share
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.bf16):
            losses = loss_of(self.plan[self.step])
        self.optimizer.zero_grad(set_to_none=True)
        sum(losses.values(), torch.tensor(0.0)).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return {name: float(loss.detach()) for name, loss in losses.items()}


def optimizer_of(groups: list[list[nn.Parameter]], decay: float = 0.01) -> torch.optim.Optimizer:
    return torch.optim.AdamW([{"params": group} for group in groups], lr=0.0, weight_decay=decay, betas=(0.9, 0.98), fused=True)


def plan_of_pieces(pieces: list[Piece], epochs: int, tokens: int, seed: int) -> list[list[Piece]]:
    return [batch for epoch in range(epochs) for batch in batches(pieces, tokens, random.Random(seed * 1009 + epoch))]


def plan_of_rows(rows: list[int], epochs: int, seed: int, batch: int = FROZEN_BATCH) -> list[list[int]]:
    plan = []
    for epoch in range(epochs):
        order = random.Random(seed * 1009 + epoch).sample(rows, len(rows))
        plan += [order[start : start + batch] for start in range(0, len(order), batch)]
    return plan
