"""Pretrain `builtin`, or one of the smaller models of the size study, on prepared tokens.

    python -m recipes.builtin.pretrain --tokens build/tokens --out build/full --minutes 60

Muon trains the matrices of the layers and AdamW the embeddings and norms. The rate rises, stays,
and falls linearly to zero over the last part of the run. Run the same command again to go on after
a pause, Ctrl-C or a kill: with `--steps`, on a CPU, to the same weights bit by bit.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from recipes.builtin.data import Windows
from recipes.builtin.model import SIZES, Size, from_folder, new_model, save_half


@dataclass(frozen=True)
class Plan:
    """One run; what decides its weights."""

    tokens: Path
    """Folder of prepared tokens and their tokenizer."""
    out: Path
    """Where the checkpoint and, at the end, the model go."""
    size: Size = "full"
    init: Path | None = None
    """Folder of a model to go on from; then `size` says nothing."""
    steps: int | None = None
    """Updates; give these or minutes."""
    minutes: float | None = None
    """Minutes of training, pauses not counted."""
    batch_size: int = 16
    """Windows per update."""
    matrix_rate: float = 0.02
    """Highest rate of Muon."""
    other_rate: float = 0.003
    """Highest rate of AdamW."""
    weight_decay: float = 0.01
    """Decoupled, of the matrices."""
    warmup: float = 0.01
    """Share of the run in which the rates rise."""
    decay: float = 0.5
    """Share of the run in which the rates fall."""
    seed: int = 0
    device: str = "cpu"
    compile: bool = False
    """Let torch compile the model: pays on a GPU, and on a CPU where a compiler is found."""
    float32: bool = False
    """Multiply in float32, not bfloat16, with AdamW alone: for a CPU without bfloat16."""
    checkpoint_every: int = 500
    """Updates between checkpoints."""

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("expected either steps or minutes: give one of them")


@dataclass(frozen=True)
class Record:
    """What one update did."""

    step: int
    """From 1."""
    progress: float
    """Share of the run that is done."""
    loss_nats: float
    """Mean over the tokens of the batch, before the update."""
    tokens_per_s: float


def rate_share(progress: float, warmup: float, decay: float) -> float:
    """The share of the highest rate: a rise, a plateau, and a fall to zero at progress 1."""
    rise = progress / warmup if warmup else 1.0
    fall = (1 - progress) / decay if decay else 1.0
    return max(0.0, min(1.0, rise, fall))


class Pretraining:
    """An open loop over the updates of a plan; goes on from its checkpoint if there is one."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(
            plan.tokens, trust_remote_code=False
        )
        self.model = _first_model(plan, self.tokenizer).to(plan.device).train()
        self.optimisers = _optimisers(self.model, plan)
        self.windows = Windows(plan.tokens, plan.batch_size, plan.seed)
        self.step, self.elapsed_s = 0, 0.0
        if self._checkpoint.exists():
            self._restore()
        self._losses = torch.compile(_losses) if plan.compile else _losses

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        if self.plan.steps is not None:
            return self.step / self.plan.steps
        assert self.plan.minutes is not None
        return self.elapsed_s / (60 * self.plan.minutes)

    def __iter__(self) -> Iterator[Record]:
        """Train to the end of the plan, then write the model."""
        while self.progress < 1:
            record = self._update()
            if self.step % self.plan.checkpoint_every == 0:
                self.save()
            yield record
        self.save()
        save_half(self.model, self.tokenizer, self.plan.out)

    def save(self) -> None:
        """Write a checkpoint aside, then put it in place."""
        state = {
            "plan": _comparable(self.plan),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }
        self.plan.out.mkdir(parents=True, exist_ok=True)
        aside = self._checkpoint.with_suffix(".partial")
        torch.save(state, aside)
        os.replace(aside, self._checkpoint)

    @property
    def _checkpoint(self) -> Path:
        return self.plan.out / "checkpoint.pt"

    def _restore(self) -> None:
        state = torch.load(self._checkpoint, map_location=self.plan.device, weights_only=True)
        if state["plan"] != _comparable(self.plan):
            raise ValueError(
                f"{self._checkpoint} was made with {state['plan']}: go on with the same plan, or "
                "choose another folder"
            )
        self.model.load_state_dict(state["model"])
        for optimiser, then in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(then)
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]

    def _update(self) -> Record:
        began = time.perf_counter()
        share = rate_share(self._middle, self.plan.warmup, self.plan.decay)
        batch = torch.from_numpy(self.windows.at(self.step)).to(self.plan.device)
        loss = self._losses(self.model, batch, float32=self.plan.float32)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["highest_rate"] * share
            optimiser.step()
            optimiser.zero_grad()
        loss_nats = loss.item()  # waits for the device
        seconds = time.perf_counter() - began
        self.step, self.elapsed_s = self.step + 1, self.elapsed_s + seconds
        return Record(self.step, self.progress, loss_nats, batch[:, 1:].numel() / seconds)

    @property
    def _middle(self) -> float:
        """Progress in the middle of the coming update, so that no rate is zero."""
        steps = self.plan.steps
        return self.progress + 0.5 / steps if steps else self.progress


def _first_model(plan: Plan, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    torch.manual_seed(plan.seed)
    return from_folder(plan.init, tokenizer) if plan.init else new_model(plan.size, tokenizer)


def _optimisers(model: LlamaForCausalLM, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers; AdamW for norms and the embeddings, tied to the head.

    In float32 AdamW trains the matrices too, at its own rate: torch's Muon multiplies in bfloat16.
    """
    matrices = [weight for weight in model.model.layers.parameters() if weight.ndim == 2]
    known = set() if plan.float32 else {id(weight) for weight in matrices}
    others = [weight for weight in model.parameters() if id(weight) not in known]
    adamw = torch.optim.AdamW(others, lr=plan.other_rate, betas=(0.9, 0.95), weight_decay=0.0)
    optimisers: list[torch.optim.Optimizer] = [adamw]
    if not plan.float32:
        optimisers.insert(
            0, torch.optim.Muon(matrices, lr=plan.matrix_rate, weight_decay=plan.weight_decay)
        )
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["highest_rate"] = group["lr"]
    return optimisers


def _losses(model: LlamaForCausalLM, batch: Tensor, *, float32: bool) -> Tensor:
    """Mean loss in nats of a batch [B, WINDOW + 1], multiplied in bfloat16 or float32."""
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=not float32):
        logits = model(input_ids=batch[:, :-1], use_cache=False).logits
    return cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())


def _comparable(plan: Plan) -> dict[str, Any]:
    """What of a plan must not change over a pause: not where its files and its device are."""
    places = ("tokens", "out", "device", "compile", "checkpoint_every")
    return {
        key: str(value) if isinstance(value, Path) else value
        for key, value in asdict(plan).items()
        if key not in places
    }


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tokens", type=Path, required=True, help="folder of prepared tokens")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run and the model")
    parser.add_argument("--size", choices=SIZES, default=Plan.size)
    parser.add_argument("--init", type=Path, help="go on from the weights of this folder")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int)
    length.add_argument("--minutes", type=float)
    parser.add_argument("--batch-size", type=int, default=Plan.batch_size, help="windows")
    parser.add_argument("--matrix-rate", type=float, default=Plan.matrix_rate)
    parser.add_argument("--other-rate", type=float, default=Plan.other_rate)
    parser.add_argument("--weight-decay", type=float, default=Plan.weight_decay)
    parser.add_argument("--warmup", type=float, default=Plan.warmup, help="share of the run")
    parser.add_argument("--decay", type=float, default=Plan.decay, help="share of the run")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true", help="pays on a GPU")
    parser.add_argument("--float32", action="store_true", help="for a CPU without bfloat16")
    parser.add_argument("--checkpoint-every", type=int, default=Plan.checkpoint_every)
    parser.add_argument("--pause-after", type=float, help="minutes after which to save and leave")
    return parser.parse_args()


def main() -> None:
    """Train, with a line per 50 updates on the screen and in `log.jsonl`."""
    options = vars(_parsed())
    pause_after = options.pop("pause_after")
    training = Pretraining(Plan(**options))
    training.plan.out.mkdir(parents=True, exist_ok=True)
    began, asked_to_stop = time.monotonic(), threading.Event()
    signal.signal(signal.SIGINT, lambda *_: asked_to_stop.set())  # never within an update
    with (training.plan.out / "log.jsonl").open("a", buffering=1) as log:
        for record in training:
            if record.step % 50 == 0 or record.progress >= 1:
                line = json.dumps(asdict(record))
                print(line, flush=True)
                log.write(line + "\n")
            paused = pause_after and time.monotonic() - began > 60 * pause_after
            if paused or asked_to_stop.is_set():
                break
    training.save()


if __name__ == "__main__":
    main()
