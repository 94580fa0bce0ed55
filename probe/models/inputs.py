"""Tensors a causal model runs: sequences packed into one sequence, or padded row by row."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from probe.models.embedding import table_of, takes
from probe.models.frozen import FrozenModel
from probe.models.injection import Injection
from probe.models.packing import Packing
from probe.models.prefixes import prefilled, used_prefixes
from probe.models.sequences import TokenSequence, ragged
from probe.tables.embedding_layers import answer_of

Inputs = tuple[dict[str, Any], NDArray[np.int64]]
"""Arguments of the model, and the place of each sequence's first item among all hidden states."""

_padded: ContextVar[Sequence[Sequence[int]]] = ContextVar("padded", default=())
"""In this thread; attention functions know it from here, since models pass nothing on."""


def packed_inputs(
    model: FrozenModel, injection: Injection, sequences: Sequence[TokenSequence]
) -> Inputs:
    """One sequence [1, N]: the prompts in use that stand ahead, then B texts, nothing padded."""
    device = model.device
    prompts, which = _group_prompts(sequences)
    lengths = [injection.lengths[k] if k >= 0 else 0 for k in prompts]
    inside = lengths if injection.key_values is None else []
    items = [sequence.items for sequence in sequences]
    choice = [sequence.prompt for sequence in sequences]
    texts = mixed_embeddings(model.embed, injection.embeddings, choice, items)
    packing = _packing(injection, prompts, which, sequences, device)
    arguments = {
        "inputs_embeds": torch.cat([*_prompt_rows(injection, prompts, device), texts])[None],
        "position_ids": _positions(inside, sequences, device),
        "attention_mask": torch.zeros(1, 1, 1, 1, device=device),  # 4-D: left alone, never read
        "packing": packing,
        "use_cache": False,
    }
    return arguments, sum(inside) + np.cumsum([0, *map(len, items)])[:-1]


def _group_prompts(sequences: Sequence[TokenSequence]) -> tuple[list[int], list[int]]:
    """The prompts that stand ahead of texts, [G], -1 for none, and the place of each text's, [B].

    A prompt inside a text is no prompt here: its rows are items of the text.
    """
    ahead = [one.prompt if one.ahead and one.length else -1 for one in sequences]
    prompts = sorted(set(ahead), key=lambda k: (k < 0, k))
    return prompts, [prompts.index(k) for k in ahead]


def _prompt_rows(
    injection: Injection, prompts: Sequence[int], device: torch.device
) -> list[Tensor]:
    """Rows [P, H] of each prompt that stands ahead, float32; none of key/value prefixes."""
    if injection.embeddings is None:
        return []
    rows = injection.embeddings.float()
    return [rows[k, : injection.lengths[k]].to(device) for k in prompts if k >= 0]


def _positions(
    lengths: Sequence[int], sequences: Sequence[TokenSequence], device: torch.device
) -> Tensor:
    """Positions [1, N] of the prompts inside the sequence, of these lengths, and of the texts."""
    prompts = [position for length in lengths for position in range(length)]
    texts = [position for sequence in sequences for position in sequence.positions]
    return torch.tensor([prompts + texts], device=device)


def _packing(
    injection: Injection,
    prompts: Sequence[int],
    which: Sequence[int],
    sequences: Sequence[TokenSequence],
    device: torch.device,
) -> Packing:
    """Who attends to whom among G prompts and B texts.

    Args:
        injection: K prompts or prefixes.
        prompts: [G] those that stand ahead of texts; -1 for none.
        which: [B] place of each text's prompt among them.
        sequences: B texts.
        device: where they run.
    """
    lengths = [injection.lengths[k] if k >= 0 else 0 for k in prompts]
    prefixes = injection.key_values is not None
    branched = any(sequence.branched for sequence in sequences)
    return Packing(
        prompts=ragged(lengths, device) if any(lengths) and not prefixes else None,
        texts=ragged([len(sequence.items) for sequence in sequences], device),
        which=torch.tensor(which, device=device) if len(prompts) > 1 else None,
        prompt_positions=number_table([range(length) for length in lengths], device),
        text_positions=number_table([sequence.positions for sequence in sequences], device),
        branches=number_table([one.segments for one in sequences], device) if branched else None,
        key_values=used_prefixes(injection, prompts) if any(lengths) and prefixes else None,
    )


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
        if takes(model.model, "position_ids"):
            ahead = torch.tensor([sequence.length for sequence in sequences], device=device)
            arguments["position_ids"] = ahead[:, None] + torch.arange(longest, device=device)
    starts = longest * np.arange(len(items))
    starts += [s.length if s.ahead and inside else 0 for s in sequences]
    return arguments, starts


def grouped(keys: Iterable[Hashable]) -> list[list[int]]:
    """Numbers of the rows of each key, in the order in which the keys come."""
    groups: dict[Hashable, list[int]] = {}
    for number, key in enumerate(keys):
        groups.setdefault(key, []).append(number)
    return list(groups.values())


def number_table(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Rows of numbers as [G, longest], -1 behind shorter ones."""
    longest = max(map(len, rows), default=0)
    table = np.full((len(rows), longest), -1, dtype=np.int64)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return torch.from_numpy(table).to(device)


def mixed_embeddings(
    table: nn.Module, prompts: Tensor | None, choice: Sequence[int], items: Sequence[Sequence[int]]
) -> Tensor:
    """Embeddings [M, H] of all items of all rows, float32; prompt rows carry gradients.

    Args:
        table: the embedding module, as the model applies it.
        prompts: [K, P, H].
        choice: [B] prompt of each row.
        items: B rows of ids, and -1 - j for row j of the prompt.
    """
    device = table_of(table).device
    flat = np.concatenate([np.asarray(row, dtype=np.int64) for row in items])
    # No `no_grad`: a frozen table has none, and a copy that is fine-tuned whole needs its own.
    embeddings = answer_of(table, torch.from_numpy(flat.clip(min=0)).to(device)).float()
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
    _padded.set(items)
    flat = mixed_embeddings(table, prompts, choice, items)
    lengths = [len(row) for row in items]
    mask = number_table([[1] * length for length in lengths], flat.device).clamp(min=0)
    mask = mask.flip(1) if left else mask
    return ragged(lengths, flat.device, left=left).rows(flat), mask


def last_padded() -> Sequence[Sequence[int]]:
    """The items of the rows that were padded last: those of the pass that runs."""
    return _padded.get()
