"""Prompts on their way into a model: K of them at once, as tensors that carry gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from probe.errors import ProbeError
from probe.models.rows import Row
from probe.prompt import KVPrefix, PromptPair, SoftPrompt
from probe.protocols import ModelPrompt
from probe.texts import counted

KeyValues = list[tuple[Tensor, Tensor]]
"""One (keys, values) pair per layer, each [K, heads, P, head_dim]."""


_MIXED = (
    "one batch reads either embeddings or key/value prefixes, found both: run the two kinds in "
    "separate batches"
)


class InjectionError(ProbeError):
    """Prompts do not fit the model, the rows or each other."""


@dataclass(frozen=True, eq=False)
class Injection:
    """K prompts for one frozen model; every row of a batch names the one it reads.

    Where a prompt goes is the row's business: before the text (after the first special token of
    an encoder), or at the `{prompt:n}` slots of its template.
    """

    embeddings: Tensor | None
    """[K, P, H], shorter prompts padded on the right with anything finite; None for prefixes."""
    lengths: Sequence[int]
    """[K] positions each prompt really has; 0 is the model alone."""
    key_values: KeyValues | None = None
    """Prefix tuning: keys and values of every layer, padded on the right likewise."""
    decoder_embeddings: Tensor | None = None
    """[K, P, H] read before the decoder's own input (encoder–decoder models only)."""
    decoder_lengths: Sequence[int] = ()

    def __post_init__(self) -> None:
        """Check that the tensors hold K prompts of the lengths given.

        Raises:
            InjectionError: they do not, or embeddings and prefixes are mixed.
        """
        if self.embeddings is not None and self.key_values is not None:
            raise InjectionError(_MIXED)
        _check_lengths("embeddings", self.embeddings, 1, self.lengths)
        for keys, values in self.key_values or ():
            _check_lengths("keys", keys, 2, self.lengths)
            _check_lengths("values", values, 2, self.lengths)
        _check_lengths("decoder_embeddings", self.decoder_embeddings, 1, self.decoder_lengths)
        if self.embeddings is None and self.key_values is None and any(self.lengths):
            raise InjectionError(f"lengths are {list(self.lengths)}, but no prompt was given")

    def __len__(self) -> int:
        """Number of prompts, K."""
        return len(self.lengths)

    @cached_property
    def longest(self) -> int:
        """Positions of the longest prompt."""
        return max(self.lengths, default=0)


@dataclass(frozen=True, eq=False)
class Batch:
    """B rows with the prompts that they read."""

    injection: Injection
    rows: Sequence[Row]
    choice: Sequence[int]
    """[B] the prompt of each row."""

    def part(self, which: Sequence[int]) -> Batch:
        """Some of the rows, by number."""
        return Batch(self.injection, [self.rows[i] for i in which], [self.choice[i] for i in which])


def no_prompt() -> Injection:
    """The model alone, as an injection of one empty prompt."""
    return Injection(None, (0,))


def _check_lengths(name: str, tensor: Tensor | None, axis: int, lengths: Sequence[int]) -> None:
    if tensor is None:
        return
    if tensor.shape[0] != len(lengths) or tensor.shape[axis] < max(lengths, default=0):
        raise InjectionError(
            f"{name} of shape {tuple(tensor.shape)} cannot hold {counted(len(lengths), 'prompt')} "
            f"of lengths {list(lengths)}"
        )


def stack_prompts(prompts: Sequence[ModelPrompt], device: torch.device) -> Injection:
    """Prompts as one injection on a device, shorter ones padded with zeros.

    Raises:
        InjectionError: soft prompts and key/value prefixes are mixed, or their widths differ.
    """
    if not prompts:
        raise InjectionError("no prompts were given: pass None for the model alone")
    given = [prompt for prompt in prompts if prompt is not None]
    prefixes = [prompt for prompt in given if isinstance(prompt, KVPrefix)]
    if prefixes and len(prefixes) < len(given):
        raise InjectionError(_MIXED)
    if prefixes:
        return _stack_prefixes(prompts, prefixes[0], device)
    halves = [_halves(prompt) for prompt in prompts]
    embeddings, lengths = _stack_embeddings([half[0] for half in halves], device)
    decoder, decoder_lengths = _stack_embeddings([half[1] for half in halves], device)
    if decoder is None:
        return Injection(embeddings, lengths)
    return Injection(embeddings, lengths, None, decoder, decoder_lengths)


def _halves(prompt: Any) -> tuple[SoftPrompt | None, SoftPrompt | None]:
    if isinstance(prompt, PromptPair):
        return prompt.encoder, prompt.decoder
    if prompt is not None and prompt.submodule == "decoder":
        return None, prompt
    return prompt, None


def _stack_embeddings(
    prompts: Sequence[SoftPrompt | None], device: torch.device
) -> tuple[Tensor | None, list[int]]:
    lengths = [0 if prompt is None else len(prompt) for prompt in prompts]
    widths = {prompt.width for prompt in prompts if prompt is not None}
    if not widths:
        return None, lengths
    if len(widths) > 1:
        raise InjectionError(f"prompts of one batch need one width, found {sorted(widths)}")
    stacked = torch.zeros(len(prompts), max(lengths), widths.pop())
    for slot, prompt in zip(stacked, prompts, strict=True):
        if prompt is not None:
            slot[: len(prompt)] = torch.from_numpy(prompt.embeddings.copy())
    return stacked.to(device), lengths


def _stack_prefixes(
    prompts: Sequence[ModelPrompt], first: KVPrefix, device: torch.device
) -> Injection:
    lengths = [len(prompt) if isinstance(prompt, KVPrefix) else 0 for prompt in prompts]
    layers, heads, _, width = first.keys.shape
    stacked = torch.zeros(2, layers, len(prompts), heads, max(lengths), width)
    for index, prompt in enumerate(prompts):
        if not isinstance(prompt, KVPrefix):
            continue
        if (found := prompt.keys.shape)[:2] + found[3:] != (layers, heads, width):
            raise InjectionError(
                f"prefixes of one batch need one [L, heads, P, head_dim], found "
                f"{first.keys.shape} and {found}"
            )
        stacked[0, :, index, :, : len(prompt)] = torch.from_numpy(prompt.keys.copy())
        stacked[1, :, index, :, : len(prompt)] = torch.from_numpy(prompt.values.copy())
    stacked = stacked.to(device)
    return Injection(None, lengths, [(stacked[0, i], stacked[1, i]) for i in range(layers)])
