"""Continuations that always read their prompts, many different ones in a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from probe.models.shortcuts import logits_at

Step = Callable[[Tensor | None], Tensor]
"""Next-token logits [B, V] after the last ids [B], or after prompt and text when None."""


Pick = Callable[[Tensor], Tensor]
"""The next ids [B] from logits [B, V]."""


def most_likely(logits: Tensor) -> Tensor:
    """The likeliest token of every row, [B]: greedy decoding."""
    return logits.argmax(-1)


def sampling(seed: int) -> Pick:
    """Draw every token by its probability, the same for the same seed.

    The numbers that choose are drawn on the CPU, whose generators give the same ones everywhere.
    """
    randomness = torch.Generator().manual_seed(seed)

    def pick(logits: Tensor) -> Tensor:
        cumulative = torch.softmax(logits.float(), -1).cumsum(-1)
        drawn = torch.rand(len(logits), 1, generator=randomness).to(logits.device)
        chosen = torch.searchsorted(cumulative, drawn * cumulative[:, -1:], right=True)
        return chosen[:, 0].clamp(max=logits.shape[-1] - 1)

    return pick


def continuations(
    step: Step, stops: Sequence[int], max_new_tokens: int, pick: Pick = most_likely
) -> list[list[int]]:
    """The picked next token again and again, until every row has stopped.

    Args:
        step: the model with its cache.
        stops: ids that end a text; they are not returned.
        max_new_tokens: the longest continuation, 1 or more.
        pick: chooses among the next tokens.
    """
    last = pick(step(None))
    ends = torch.tensor(stops, dtype=last.dtype, device=last.device)
    running = ~torch.isin(last, ends)
    written = [last.where(running, -1)]
    while running.any() and len(written) < max_new_tokens:
        last = pick(step(last))
        running &= ~torch.isin(last, ends)
        written.append(last.where(running, -1))
    rows: list[list[int]] = torch.stack(written, 1).tolist()
    return [[i for i in row if i >= 0] for row in rows]


@dataclass(eq=False)
class CausalStep:
    """A causal model over rows padded on the left, positions read off the mask.

    Columns have no hole between prompt and text: sliding windows count columns.
    """

    model: Any
    """Of transformers."""
    embed: Callable[[Tensor], Tensor]
    """From ids to float32 embeddings."""
    embeddings: Tensor
    """[B, S, H], prompts and texts."""
    mask: Tensor
    """[B, C + S], where C columns are in the cache already."""
    cache: Any
    """May hold key/value prefixes."""
    positions: bool = field(kw_only=True)
    """Whether the model takes `position_ids`; others count by the mask."""

    def __call__(self, last: Tensor | None) -> Tensor:
        """Next-token logits [B, V]."""
        if last is None:
            embeddings = self.embeddings
        else:
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(last), 1)], 1)
            embeddings = self.embed(last[:, None])
        length = embeddings.shape[1]
        arguments: dict[str, Any] = {"inputs_embeds": embeddings}
        if self.positions:
            arguments["position_ids"] = (self.mask.cumsum(1) - 1).clamp(min=0)[:, -length:]
        arguments |= {"attention_mask": self.mask, "past_key_values": self.cache, "use_cache": True}
        return last_logits(self.model, len(self.mask), length, arguments)


@dataclass(eq=False)
class DecoderStep:
    """The decoder of an encoder–decoder model, rows of one length."""

    model: Any
    """Of transformers."""
    arguments: dict[str, Any]
    """Encoder states, masks and cache."""
    embeddings: Tensor
    """[B, S, H], decoder prompts and the start token."""

    def __call__(self, last: Tensor | None) -> Tensor:
        """Next-token logits [B, V]."""
        if last is None:
            inputs, length = {"decoder_inputs_embeds": self.embeddings}, self.embeddings.shape[1]
        else:
            inputs, length = {"decoder_input_ids": last[:, None]}, 1
            if (mask := self.arguments.get("decoder_attention_mask")) is not None:
                grown = torch.cat([mask, mask.new_ones(len(last), 1)], 1)
                self.arguments["decoder_attention_mask"] = grown
        return last_logits(self.model, len(self.embeddings), length, self.arguments | inputs)


class Anew:
    """Everything again for every token: right for any model, and slower the longer the text."""

    def __init__(self, run: Callable[[Sequence[Sequence[int]]], Tensor], rows: int) -> None:
        """Take what gives logits [B, V] behind the ids that B rows have written so far."""
        self.run = run
        self.written: list[list[int]] = [[] for _ in range(rows)]

    def __call__(self, last: Tensor | None) -> Tensor:
        """Next-token logits [B, V]."""
        for ids, token in zip(self.written, [] if last is None else last.tolist(), strict=False):
            ids.append(token)
        return self.run(self.written)


Pace = Literal["together", "by length", "anew"]
"""How texts are continued: all in one batch with a cache; only texts of one length in a batch,
where padding on the left moves positions (BART's decoder); without the cache, where the model keeps
another (Mamba, RWKV) or counts positions otherwise (RoBERTa)."""

_SAME = 0.02
"""Relative difference of logits below which they are the same, in half precision too."""


def pace_of(quick: Callable[[list[int]], Step], anew: Callable[[list[int]], Step]) -> Pace:
    """The quickest way that gives the numbers of the slowest, tried on a few tokens.

    Args:
        quick: steps with a cache over some of two texts of different lengths, named 0 and 1.
        anew: steps without.
    """
    both = [0, 1]
    expected = _first_logits(anew(both))
    ways: tuple[tuple[Pace, list[list[int]]], ...] = (
        ("together", [both]),
        ("by length", [[0], [1]]),
    )
    for pace, groups in ways:
        try:
            found = torch.cat([_first_logits(quick(group)) for group in groups], 1)
        except torch.OutOfMemoryError:
            raise
        except Exception:  # noqa: S112 - transformers' own code answers a foreign cache with any
            continue
        if (found - expected).norm() <= _SAME * expected.norm():
            return pace
    return "anew"


def _first_logits(step: Step) -> Tensor:
    """Logits of three steps, [3, B, V], centred: what is common to all tokens tells nothing."""
    first = step(None)
    forced = torch.full((len(first),), first.shape[-1] // 2, device=first.device)
    logits = torch.stack([first, step(forced), step(forced + 1)]).float()
    return logits - logits.mean(-1, keepdim=True)


def last_logits(model: Any, rows: int, length: int, arguments: dict[str, Any]) -> Tensor:
    """Logits [B, V] at the last of the positions run."""
    places = torch.arange(rows) * length + length - 1
    return logits_at(model, places, arguments)
