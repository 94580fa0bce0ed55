"""What each position is worth: how the loss changes when its row is removed, levelled or moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from probe.arrays import Float64Array, IntArray
from probe.bootstrap import RESAMPLES, Bootstrap, Estimate
from probe.prompt import AnyPrompt, KVPrefix, with_arrays
from probe.protocols import Score
from probe.results import Result
from probe.task import Example

Kind = Literal["removed", "mean", "swapped"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The position is left out; its row becomes the mean of the prompt's rows; its row trades places
with another one's."""


@dataclass(frozen=True)
class PositionAblation:
    """One position: the rise of the loss in nats at each change, paired over the examples.

    Above 0 the prompt was better as it was; None where the change was not made.
    """

    position: int
    removed: Estimate | None
    mean: Estimate | None
    swapped: Estimate | None
    partner: int | None
    """Whose row it was swapped with."""


@dataclass(frozen=True)
class Ablation(Result):
    """How much a prompt's positions matter, one at a time."""

    _left_out: ClassVar[frozenset[str]] = frozenset({"by_example"})
    prompt: str
    n: int
    """Examples."""
    seed: int
    """Of the partners and the resamples."""
    resamples: int
    loss_nats: float
    """Of the whole prompt: minus the log-likelihood of the right label, mean over the examples."""
    without_prompt: Estimate
    """The change when all positions are removed."""
    positions: tuple[PositionAblation, ...]
    by_example: Mapping[Kind, Float64Array] = field(default_factory=dict, compare=False, repr=False)
    """[n, P] of each kind of change that was made."""

    def clear(self, kind: Kind) -> int:
        """Positions whose interval leaves out 0; one in twenty would without any effect."""
        changes = [getattr(one, kind) for one in self.positions]
        return sum(change is not None and change.clear for change in changes)

    def _rows(self) -> list[dict[str, Any]]:
        """One row per position and kind of change."""
        return [
            {
                "prompt": self.prompt,
                "position": one.position,
                "kind": kind,
                "partner": one.partner if kind == "swapped" else None,
                "loss_change_nats": change.value,
                **dict(zip(("low", "high"), change.ends, strict=True)),
            }
            for one in self.positions
            for kind in KINDS
            if (change := getattr(one, kind)) is not None
        ]

    def _document(self) -> dict[str, Any]:
        changed = [
            vars(one) | {kind: _json_of(getattr(one, kind)) for kind in KINDS}
            for one in self.positions
        ]
        whole = {"without_prompt": _json_of(self.without_prompt), "positions": changed}
        return {**super()._document(), **whole}


def ablate(
    prompt: AnyPrompt,
    score: Score,
    examples: Sequence[Example],
    *,
    kinds: Sequence[Kind] = KINDS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Ablation:
    """Change one position after another and score the examples again.

    Removing a row also moves the rows behind it up by one. Rows of a key/value prefix are not
    swapped: attention reads keys and values as a set, so it would change nothing.

    Args:
        prompt: P positions.
        score: of a model and a task.
        examples: n, with labels.
        kinds: of changes.
        resamples: of the paired bootstrap over examples (Efron 1979).
        seed: of the partners and the resamples.

    Raises:
        ValueError: there are no examples, or one has no label.
    """
    labels = [example.label for example in examples]
    if not labels or None in labels:
        raise ValueError("ablation needs examples with labels, found none or one without")
    rows = np.arange(len(labels))
    partners = _partners(len(prompt), np.random.default_rng(seed))
    made = {kind: _variants(prompt, kind, partners) for kind in KINDS if kind in kinds}

    def losses(one: AnyPrompt | None) -> Float64Array:
        right: Float64Array = score(one, examples)[rows, np.array(labels)]
        return -right

    bootstrap = Bootstrap(len(labels), resamples, seed)
    whole, alone = losses(prompt), losses(None)
    columns: dict[Kind, Float64Array] = {
        kind: np.stack([alone if one is None else losses(one) for one in variants], 1)
        - whole[:, None]
        for kind, variants in made.items()
        if variants
    }
    changes = {kind: bootstrap.estimates(found) for kind, found in columns.items()}
    return Ablation(
        prompt=prompt.name,
        n=len(labels),
        seed=seed,
        resamples=resamples,
        loss_nats=float(whole.mean()),
        without_prompt=bootstrap.estimates((alone - whole)[:, None])[0],
        positions=tuple(
            _position(i, changes, partners if changes.get("swapped") else None)
            for i in range(len(prompt))
        ),
        by_example=columns,
    )


def _partners(length: int, rng: np.random.Generator) -> IntArray:
    """Another position for each, [P]; itself where it is alone."""
    steps = rng.integers(1, max(length, 2), size=length)
    return np.asarray((np.arange(length) + steps) % length, dtype=np.int64)


def _variants(prompt: AnyPrompt, kind: Kind, partners: IntArray) -> list[AnyPrompt | None]:
    """The prompt changed at each position; none where the change makes no sense."""
    length = len(prompt)
    order = np.arange(length)
    if kind == "removed":
        return [_rows(prompt, np.delete(order, i)) if length > 1 else None for i in order]
    if kind == "mean":
        return [_levelled(prompt, int(i)) for i in order]
    if isinstance(prompt, KVPrefix) or length == 1:
        return []
    swapped: list[AnyPrompt | None] = []
    for i, other in enumerate(partners):
        moved = order.copy()
        moved[[i, other]] = moved[[other, i]]
        swapped.append(_rows(prompt, moved))
    return swapped


def _rows(prompt: AnyPrompt, order: IntArray) -> AnyPrompt:
    return with_arrays(prompt, lambda axis, array: array.take(order, axis))


def _levelled(prompt: AnyPrompt, position: int) -> AnyPrompt:
    """The prompt with the mean of all its rows at one position."""

    def level(axis: int, array: Any) -> Any:
        changed = array.copy()
        np.moveaxis(changed, axis, 0)[position] = array.mean(axis)
        return changed

    return with_arrays(prompt, level)


def _position(
    position: int, changes: dict[Kind, list[Estimate]], partners: IntArray | None
) -> PositionAblation:
    own = {kind: found[position] if found else None for kind, found in changes.items()}
    return PositionAblation(
        position=position,
        removed=own.get("removed"),
        mean=own.get("mean"),
        swapped=own.get("swapped"),
        partner=None if partners is None else int(partners[position]),
    )


def _json_of(change: Estimate | None) -> dict[str, Any] | None:
    return None if change is None else {"nats": change.value, "interval": change.interval}
