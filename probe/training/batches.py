"""Which examples a step sees: shuffled by the seed, gathered by length, and resumable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_POOL = 32
"""Batches whose rows are sorted by length together: enough to pad little, few enough to mix."""


class Batches:
    """An endless order over n rows, whose state is two numbers.

    Each epoch shuffles all rows, cuts them into pools of 32 batches, sorts each pool by length
    and cuts it into batches. In which order a pool's batches come depends on the epoch alone:
    prompts that train together on one task then meet short batches at the same time, whatever
    their seeds.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths = np.asarray(lengths)
        self._size = min(batch_size, len(lengths))
        self._seed = seed
        self._epoch = 0
        self._taken = 0
        self._order = self._epoch_order()

    def next(self) -> NDArray[np.int64]:
        """Row numbers of the next batch; the rows that fill no batch are left to later epochs."""
        if self._taken == len(self._order):
            self._epoch, self._taken = self._epoch + 1, 0
            self._order = self._epoch_order()
        self._taken += 1
        batch: NDArray[np.int64] = self._order[self._taken - 1]
        return batch

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as a JSON document."""
        return {"epoch": self._epoch, "taken": self._taken}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._epoch, self._taken = state["epoch"], state["taken"]
        self._order = self._epoch_order()

    def _epoch_order(self) -> NDArray[np.int64]:
        """Row numbers, [batches, batch size]."""
        rows = np.random.default_rng([self._seed, self._epoch]).permutation(len(self._lengths))
        whole = len(rows) // self._size * self._size
        visits = np.random.default_rng(self._epoch)
        pools = []
        for start in range(0, whole, _POOL * self._size):
            pool = rows[start : min(start + _POOL * self._size, whole)]
            by_length = pool[np.argsort(self._lengths[pool], kind="stable")]
            pools.append(visits.permutation(by_length.reshape(-1, self._size)))
        return np.concatenate(pools)
