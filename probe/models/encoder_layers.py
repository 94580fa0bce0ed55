"""The layers of BERT and its kin, for texts under prompts that are pooled: no work nobody reads.

Attention runs both ways, so a prompt's states differ from row to row and cannot be shared as in
causal models, except before they have met a text: in the projections of the first layer. Tokens
have no gradient there, so nothing goes back through their projections. In the last layer only the
positions that are pooled ask and are transformed. Everything else is what transformers computes,
without padding; the modules are the model's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from probe.models.inputs import number_table
from probe.models.ragged import Ragged, collect, ragged

ARCHITECTURES = frozenset({"bert", "roberta"})
"""`model_type`s whose layers are tested against transformers' own; others run through it."""

_SHORT = 128
"""Rows up to so long attend by two matrix products on a CPU, where fused attention is slower."""


@dataclass(frozen=True, eq=False)
class Layout:
    """N positions of B rows, one row behind the other; M of them are the texts' own."""

    prompt_rows: Tensor
    """[U] rows of the flattened prompts [K · P, H] in use, once for each position they have."""
    prompt_positions: Tensor
    """[U]"""
    text_ids: Tensor
    """[M]"""
    text_positions: Tensor
    """[M]"""
    sources: Tensor
    """[N] where each position is found among U prompt rows and, behind them, M tokens."""
    own: Tensor
    """[M] where each token stands among N positions."""
    everything: Ragged
    """N positions of B rows."""
    texts: Ragged
    """M tokens of B rows."""
    bias: Tensor | None
    """[B, 1, 1, S]: 0 at positions that exist, else -inf; None where all do."""

    def gather(self, parts: Sequence[Tensor]) -> Tensor:
        """Prompt rows [U, …] and tokens [M, …] in their places, [N, …]."""
        return torch.cat(list(parts)).index_select(0, self.sources)

    def mean(self, states: Tensor) -> Tensor:
        """Means of states [M, H] over each text, [B, H]."""
        padded = self.texts.rows(states)
        if self.texts.places is None:
            return padded.mean(1)
        sizes = torch.bincount(self.texts.places // self.texts.longest, minlength=self.texts.count)
        return padded.sum(1) / sizes[:, None]


def layout(
    choice: Sequence[int], items: Sequence[Sequence[int]], longest: int, device: torch.device
) -> Layout:
    """Lay out B rows.

    Args:
        choice: [B] prompt of each row.
        items: B rows of ids, and -1 - j for row j of the prompt.
        longest: P, rows each prompt takes in the flattened prompts.
        device: where the rows will run.
    """
    lengths = [len(row) for row in items]
    flat = np.concatenate([np.asarray(row, dtype=np.int64) for row in items])
    positions = np.concatenate([np.arange(length) for length in lengths])
    owners = np.repeat(np.asarray(choice, dtype=np.int64), lengths)
    inside, own = np.flatnonzero(flat < 0), np.flatnonzero(flat >= 0)
    asked = np.stack([owners[inside] * longest - 1 - flat[inside], positions[inside]])
    different, which = np.unique(asked, axis=1, return_inverse=True)
    sources = np.empty_like(flat)
    sources[inside] = which.reshape(-1)
    sources[own] = different.shape[1] + np.arange(len(own))
    numbers = (different[0], different[1], flat[own], positions[own], sources, own)
    rows, row_positions, ids, id_positions, origins, places = (
        torch.from_numpy(one.copy()).to(device) for one in numbers
    )
    return Layout(
        prompt_rows=rows,
        prompt_positions=row_positions,
        text_ids=ids,
        text_positions=id_positions,
        sources=origins,
        own=places,
        everything=ragged(lengths, device),
        texts=ragged([sum(item >= 0 for item in row) for row in items], device),
        bias=_bias(lengths, device),
    )


def _bias(lengths: Sequence[int], device: torch.device) -> Tensor | None:
    if min(lengths) == max(lengths):
        return None
    table = number_table([[0] * length for length in lengths], device)
    return table.float().masked_fill(table < 0, -torch.inf)[:, None, None]


def pooled_states(model: Any, prompts: Tensor | None, batch: Layout) -> Tensor:
    """Means of the last states over the texts' own positions, [B, H], with gradients to prompts.

    Args:
        model: a transformers model of `ARCHITECTURES` without head, of two layers or more.
        prompts: [K, P, H]; None where no row has a prompt.
        batch: the rows.
    """
    first, *middle, last = model.encoder.layer
    parts = _first_rows(model.embeddings, prompts, batch)
    states, *projected = (
        batch.gather([project(part) for part in parts])
        for project in (nn.Identity(), *_projections(first))
    )
    states = _met(first, states, projected, batch.everything, batch)
    for layer in middle:
        projected = [project(states) for project in _projections(layer)]
        states = _met(layer, states, projected, batch.everything, batch)
    query, key, value = _projections(last)
    asking = collect(states, batch.own)
    projected = [query(asking), key(states), value(states)]
    return batch.mean(_met(last, asking, projected, batch.texts, batch).float())


def _first_rows(embeddings: Any, prompts: Tensor | None, batch: Layout) -> list[Tensor]:
    """What the first layer reads: prompt rows [U, H] if there are any, and tokens [M, H]."""
    tokens = embeddings.word_embeddings(batch.text_ids).float()
    parts = [_placed(embeddings, tokens, batch.text_positions)]
    if prompts is not None and len(batch.prompt_rows):
        rows = prompts.float().to(tokens.device).flatten(0, 1).index_select(0, batch.prompt_rows)
        parts.insert(0, _placed(embeddings, rows, batch.prompt_positions))
    return parts


def _placed(embeddings: Any, rows: Tensor, positions: Tensor) -> Tensor:
    """Rows [M, H] with their positions and the first segment, normalised."""
    start = first_position(embeddings.position_embeddings)
    placed = rows + embeddings.token_type_embeddings.weight[0]
    placed = placed + embeddings.position_embeddings(positions + start)
    normalised: Tensor = embeddings.LayerNorm(placed)
    return normalised


def first_position(table: Any) -> int:
    """Where a model starts counting positions: RoBERTa and its kin behind the padding's number."""
    padding = getattr(table, "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def _projections(layer: Any) -> tuple[nn.Module, nn.Module, nn.Module]:
    attention = layer.attention.self
    return attention.query, attention.key, attention.value


def _met(
    layer: Any, asking: Tensor, projected: Sequence[Tensor], askers: Ragged, batch: Layout
) -> Tensor:
    """States [M, H] of a layer's input after its attention and feed-forward block, [M, H].

    Args:
        layer: the layer.
        asking: states whose output is wanted.
        projected: queries [M, H] of these; keys and values [N, H] of everything.
        askers: where those that ask stand.
        batch: the rows.
    """
    attention = layer.attention.self
    heads = (-1, attention.num_attention_heads, attention.attention_head_size)
    query, key, value = (
        place.pad(states.view(heads))
        for place, states in zip((askers, *[batch.everything] * 2), projected, strict=True)
    )
    seen = askers.flatten(_attend(query, key, value, batch.bias, attention.scaling)).flatten(1)
    states: Tensor = layer.feed_forward_chunk(layer.attention.output(seen, asking))
    return states


def _attend(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scaling: float
) -> Tensor:
    """What B rows of queries see, [B, heads, Q, d]."""
    if query.device.type != "cpu" or key.shape[2] > _SHORT:
        bias = None if bias is None else bias.to(query.dtype)
        return scaled_dot_product_attention(query, key, value, bias, scale=scaling)
    scores = (query * scaling) @ key.transpose(2, 3)
    if bias is not None:
        scores = scores + bias
    return scores.softmax(-1).to(value.dtype) @ value
