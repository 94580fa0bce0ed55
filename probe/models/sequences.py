"""A batch of rows as causal models run it: sequences of tokens, and the tokens that are scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from probe.models.injection import Batch, Injection, InjectionError
from probe.models.rows import Row


@dataclass(frozen=True, eq=False)
class Ragged:
    """G sequences that lie one behind the other, [M, …], and as a padded batch, [G, S, …]."""

    places: Tensor | None
    """[M] of the flat G·S places; None when no sequence is shorter than S."""
    count: int
    """G"""
    longest: int
    """S"""
    total: int
    """M"""

    def rows(self, flat: Tensor) -> Tensor:
        """[M, …] as [G, S, …], zeros behind shorter sequences."""
        if self.places is not None:
            flat = spread(flat, self.places, self.count * self.longest)
        return flat.reshape(self.count, self.longest, *flat.shape[1:])

    def pad(self, flat: Tensor) -> Tensor:
        """[M, heads, d] as [G, heads, S, d]."""
        return self.rows(flat).transpose(1, 2)

    def flatten(self, padded: Tensor) -> Tensor:
        """[G, heads, S, d] as [M, heads, d]."""
        flat = padded.transpose(1, 2).flatten(0, 1)
        return flat if self.places is None else collect(flat, self.places)


def ragged(lengths: Sequence[int], device: torch.device, *, left: bool = False) -> Ragged:
    """Sequences of these lengths, one behind the other; `left` pads in front of shorter ones."""
    longest, total = max(lengths), sum(lengths)
    if min(lengths) == longest:
        return Ragged(None, len(lengths), longest, total)
    sizes = np.asarray(lengths)
    shift = np.arange(len(sizes)) * longest - (np.cumsum(sizes) - sizes)
    shift += longest - sizes if left else 0
    places = np.repeat(shift, sizes) + np.arange(total)
    return Ragged(torch.from_numpy(places).to(device), len(lengths), longest, total)


def spread(rows: Tensor, places: Tensor, size: int) -> Tensor:
    """Rows [M, …] at different places of a longer array of zeros, [size, …]."""
    spread_out: Tensor = _Spread.apply(rows, places, size)  # type: ignore[no-untyped-call]
    return spread_out


def collect(rows: Tensor, places: Tensor) -> Tensor:
    """Rows [M, …] from different places of an array [size, …]."""
    collected: Tensor = _Collect.apply(rows, places)  # type: ignore[no-untyped-call]
    return collected


class _Spread(torch.autograd.Function):
    """Places differ, so the gradient is a look-up, where torch's own would add up row by row."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, places: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(places)
        return rows.new_zeros(size, *rows.shape[1:]).index_copy_(0, places, rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient.index_select(0, ctx.saved_tensors[0]), None, None


class _Collect(torch.autograd.Function):
    """The reverse of `_Spread`."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.size = rows.shape[0]
        return rows.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        whole = gradient.new_zeros(ctx.size, *gradient.shape[1:])
        return whole.index_copy_(0, ctx.saved_tensors[0], gradient), None


@dataclass(frozen=True)
class TokenSequence:
    """One row to run: a trunk, and branches that each continue it on their own."""

    prompt: int
    """Index of its prompt."""
    length: int
    """Rows of that prompt."""
    ahead: bool
    """Whether the prompt stands in front of the trunk, outside it."""
    trunk: list[int]
    """Ids, and -1 - j for row j of the prompt."""
    branches: list[list[int]]

    @property
    def items(self) -> list[int]:
        """Trunk and branches one after another."""
        return [*self.trunk, *(item for branch in self.branches for item in branch)]

    @property
    def positions(self) -> list[int]:
        """Position of every item; branches all begin where the trunk ends."""
        start = self.length if self.ahead else 0
        behind = [len(self.trunk) + j for branch in self.branches for j in range(len(branch))]
        return [start + j for j in [*range(len(self.trunk)), *behind]]

    @property
    def segments(self) -> list[int]:
        """0 for the trunk, else the branch, per item."""
        return [0] * len(self.trunk) + [
            number for number, branch in enumerate(self.branches, 1) for _ in branch
        ]

    @property
    def branched(self) -> bool:
        """Whether two branches must not see each other."""
        return sum(map(bool, self.branches)) > 1


@dataclass
class ScoredTokens:
    """M tokens whose likelihood is computed."""

    sequences: list[int] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    """Item of the sequence that predicts the token."""
    targets: list[int] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    """What the likelihood counts for."""


def sequences_of(
    batch: Batch, picks: Sequence[Sequence[int]]
) -> tuple[list[TokenSequence], ScoredTokens]:
    """One sequence per row with the picked options as branches.

    Raises:
        InjectionError: a prefix is asked to stand inside the text.
    """
    most = max(map(len, picks))
    sequences, scored = [], ScoredTokens()
    every = zip(batch.rows, batch.choice, picks, strict=True)
    for index, (row, prompt, picked) in enumerate(every):
        options = [row.options[pick] for pick in picked]
        sequence = sequence_of(batch.injection, row, prompt, [option[:-1] for option in options])
        start = len(sequence.trunk)
        for number, option in enumerate(options):
            indices = [len(sequence.trunk) - 1, *range(start, start + len(option) - 1)]
            scored.sequences += [index] * len(option)
            scored.indices += indices
            scored.targets += option
            scored.owners += [index * most + number] * len(option)
            start += len(option) - 1
        sequences.append(sequence)
    return sequences, scored


def sequence_of(
    injection: Injection, row: Row, prompt: int, branches: Sequence[Sequence[int]] = ()
) -> TokenSequence:
    """One row with its prompt.

    Raises:
        InjectionError: a prefix is asked to stand inside the text.
    """
    length = injection.lengths[prompt]
    ahead = row.prompt_first or injection.key_values is not None
    if ahead and length and not row.prompt_first:
        raise InjectionError(
            "a key/value prefix stands before the text: remove the {prompt:n} slots of the template"
        )
    trunk = row.items(0 if ahead else length)
    return TokenSequence(prompt, length, ahead, trunk, [list(branch) for branch in branches])


def unbranched(
    sequences: Sequence[TokenSequence], scored: ScoredTokens
) -> tuple[list[TokenSequence], ScoredTokens]:
    """The same with one branch per sequence at most, trunks repeated, for the plain pass."""
    flat: list[TokenSequence] = []
    where: list[list[tuple[int, int]]] = []  # per sequence and item: new sequence and item
    for sequence in sequences:
        first, size = len(flat), len(sequence.trunk)
        branches = [branch for branch in sequence.branches if branch] or [[]]
        flat += [
            TokenSequence(
                sequence.prompt, sequence.length, sequence.ahead, sequence.trunk, [branch]
            )
            for branch in branches
        ]
        moved = [(first, j) for j in range(size)]
        moved += [
            (first + number, size + j)
            for number, branch in enumerate(branches)
            for j in range(len(branch))
        ]
        where.append(moved)
    new = [where[s][p] for s, p in zip(scored.sequences, scored.indices, strict=True)]
    return flat, ScoredTokens(
        [s for s, _ in new], [p for _, p in new], scored.targets, scored.owners
    )
