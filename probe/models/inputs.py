"""Tensors a causal model runs: sequences packed into one sequence, or padded row by row."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from probe.models.embedding import look_up
from probe.models.frozen import FrozenModel
from probe.models.injection import Injection
from probe.models.packing import Packing
from probe.models.prefixes import prefilled, used_prefixes
from probe.models.ragged import ragged
from probe.models.sequences import TokenSequence

Inputs = tuple[dict[str, Any], NDArray[np.int64]]
"""Arguments of the model, and the place of each sequence's first item among all hidden states."""


def packed_inputs(
    model: FrozenModel, injection: Injection, sequences: Sequence[TokenSequence]
) -> Inputs:
    """One sequence: the prompts in use that stand ahead, then every sequence, nothing padded."""
    device = model.device
    used = sorted({sequence.prompt for sequence in sequences if sequence.ahead and sequence.length})
    inline = not all(sequence.ahead or not sequence.length for sequence in sequences)
    unprompted = inline or any(not sequence.length for sequence in sequences)
    groups = [*used, *([-1] if unprompted and used else [])]
    lengths = [0 if k < 0 else injection.lengths[k] for k in groups]
    items = [sequence.items for sequence in sequences]
    texts = ragged([len(row) for row in items], device)
    inside = sum(lengths) if injection.key_values is None else 0
    choice = [sequence.prompt for sequence in sequences]
    parts = [mixed_embeddings(model.embed, injection.embeddings, choice, items)]
    if inside and injection.embeddings is not None:
        prompts = injection.embeddings.float()
        parts = [prompts[k, : injection.lengths[k]].to(device) for k in used] + parts
    positions = [p for sequence in sequences for p in sequence.positions]
    if inside:
        positions = [j for length in lengths for j in range(length)] + positions
    of = [groups.index(s.prompt if s.ahead and s.length else -1) for s in sequences] if used else []
    packing = Packing(
        prompts=ragged(lengths, device) if inside else None,
        texts=texts,
        which=torch.tensor(of, device=device) if len(groups) > 1 else None,
        prompt_positions=number_table([range(length) for length in lengths or [0]], device),
        text_positions=number_table([sequence.positions for sequence in sequences], device),
        branches=number_table([s.segments for s in sequences], device)
        if any(sequence.branched for sequence in sequences)
        else None,
        key_values=used_prefixes(injection, groups) if used and not inside else None,
    )
    starts = inside + np.cumsum([0, *map(len, items)])[:-1]
    arguments = {
        "inputs_embeds": torch.cat(parts)[None],
        "position_ids": torch.tensor([positions], device=device),
        "attention_mask": torch.zeros(1, 1, 1, 1, device=device),  # 4-D: left alone, never read
        "packing": packing,
        "use_cache": False,
    }
    return arguments, starts


def takes_positions(model: Any) -> bool:
    """Whether a transformers model takes `position_ids`; others count by the mask."""
    return "position_ids" in inspect.signature(model.forward).parameters


def plain_inputs(
    model: FrozenModel,
    injection: Injection,
    sequences: Sequence[TokenSequence],
    *,
    left: bool = False,
) -> Inputs:
    """A batch of padded rows, each with its own copy of the prompt.

    Args:
        model: where they will run.
        injection: K prompts.
        sequences: rows, each with one branch at most.
        left: pad on the left, as generation needs it; the caller then gives the positions.
    """
    device = model.device
    inside = injection.key_values is None
    items = [
        [*range(-1, -1 - s.length, -1), *s.items] if s.ahead and inside else s.items
        for s in sequences
    ]
    longest = max(map(len, items))
    choice = [sequence.prompt for sequence in sequences]
    embeddings, mask = padded(model.embed, injection.embeddings, choice, items, left=left)
    arguments: dict[str, Any] = {
        "inputs_embeds": embeddings,
        "attention_mask": mask,
        "use_cache": False,
    }
    if not inside:
        cache, present = prefilled(injection, choice, model.model.config)
        arguments["past_key_values"] = cache
        arguments["attention_mask"] = torch.cat([present.to(device), mask], 1)
        arguments["use_cache"] = True  # the model reads the cache only then
        if takes_positions(model.model):
            ahead = torch.tensor([sequence.length for sequence in sequences], device=device)
            arguments["position_ids"] = ahead[:, None] + torch.arange(longest, device=device)
    starts = longest * np.arange(len(items))
    starts += [s.length if s.ahead and inside else 0 for s in sequences]
    return arguments, starts


def equal_lengths(items: Sequence[Sequence[int]]) -> list[list[int]]:
    """Numbers of the rows of each length, for models to which padding is not nothing."""
    groups: dict[int, list[int]] = {}
    for number, row in enumerate(items):
        groups.setdefault(len(row), []).append(number)
    return list(groups.values())


def number_table(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Rows of numbers as [G, longest], -1 behind shorter ones."""
    longest = max(map(len, rows), default=0)
    table = np.full((len(rows), longest), -1, dtype=np.int64)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return torch.from_numpy(table).to(device)


def mixed_embeddings(
    table: nn.Module,
    prompts: Tensor | None,
    choice: Sequence[int],
    items: Sequence[Sequence[int]],
) -> Tensor:
    """Embeddings [M, H] of all items of all rows, float32; prompt rows carry gradients.

    Args:
        table: the embedding module, as the model applies it.
        prompts: [K, P, H].
        choice: [B] prompt of each row.
        items: B rows of ids, and -1 - j for row j of the prompt.
    """
    device = next(table.parameters()).device
    flat = np.concatenate([np.asarray(row, dtype=np.int64) for row in items])
    # No `no_grad`: a frozen table has none, and a copy that is fine-tuned whole needs its own.
    embeddings = look_up(table, torch.from_numpy(flat.clip(min=0)).to(device)).float()
    places = np.flatnonzero(flat < 0)
    if prompts is None or not len(places):
        return embeddings
    owners = np.repeat(np.asarray(choice), [len(row) for row in items])
    rows = owners[places] * prompts.shape[1] - 1 - flat[places]
    source = prompts.float().flatten(0, 1)
    chosen = source.index_select(0, torch.from_numpy(rows).to(source.device))
    return embeddings.index_copy(0, torch.from_numpy(places).to(device), chosen.to(device))


def padded(
    table: nn.Module,
    prompts: Tensor | None,
    choice: Sequence[int],
    items: Sequence[Sequence[int]],
    *,
    left: bool = False,
) -> tuple[Tensor, Tensor]:
    """Rows padded on the right, or the left: embeddings [B, S, H] and mask [B, S].

    The other arguments are those of `mixed_embeddings`.
    """
    flat = mixed_embeddings(table, prompts, choice, items)
    lengths = [len(row) for row in items]
    mask = number_table([[1] * length for length in lengths], flat.device).clamp(min=0)
    mask = mask.flip(1) if left else mask
    return ragged(lengths, flat.device, left=left).rows(flat), mask
