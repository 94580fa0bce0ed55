"""A batch of rows as causal models run it: strands of tokens, and the tokens asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from probe.models.injection import Injection, InjectionError
from probe.models.rows import Row


@dataclass(frozen=True)
class Strand:
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
class Wanted:
    """M tokens whose likelihood is asked for."""

    strands: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    """Item of the strand that predicts the token."""
    targets: list[int] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    """What the likelihood counts for."""


def strands_of(
    injection: Injection, rows: Sequence[Row], choice: Sequence[int], picks: Sequence[Sequence[int]]
) -> tuple[list[Strand], Wanted]:
    """One strand per row with the picked options as branches.

    Raises:
        InjectionError: a prefix is asked to stand inside the text.
    """
    most = max(map(len, picks))
    strands, wanted = [], Wanted()
    for index, (row, prompt, picked) in enumerate(zip(rows, choice, picks, strict=True)):
        options = [row.options[pick] for pick in picked]
        strand = strand_of(injection, row, prompt, [option[:-1] for option in options])
        start = len(strand.trunk)
        for number, option in enumerate(options):
            places = [len(strand.trunk) - 1, *range(start, start + len(option) - 1)]
            wanted.strands += [index] * len(option)
            wanted.places += places
            wanted.targets += option
            wanted.owners += [index * most + number] * len(option)
            start += len(option) - 1
        strands.append(strand)
    return strands, wanted


def strand_of(
    injection: Injection, row: Row, prompt: int, branches: Sequence[Sequence[int]] = ()
) -> Strand:
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
    return Strand(prompt, length, ahead, trunk, [list(branch) for branch in branches])


def unbranched(strands: Sequence[Strand], wanted: Wanted) -> tuple[list[Strand], Wanted]:
    """The same with one branch per strand at most, trunks repeated, for the plain pass."""
    flat: list[Strand] = []
    where: list[list[tuple[int, int]]] = []  # per strand and item: new strand and item
    for strand in strands:
        first, size = len(flat), len(strand.trunk)
        branches = [branch for branch in strand.branches if branch] or [[]]
        flat += [
            Strand(strand.prompt, strand.length, strand.ahead, strand.trunk, [branch])
            for branch in branches
        ]
        moved = [(first, j) for j in range(size)]
        moved += [
            (first + number, size + j)
            for number, branch in enumerate(branches)
            for j in range(len(branch))
        ]
        where.append(moved)
    new = [where[s][p] for s, p in zip(wanted.strands, wanted.places, strict=True)]
    return flat, Wanted([s for s, _ in new], [p for _, p in new], wanted.targets, wanted.owners)
