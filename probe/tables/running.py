"""Embedding layers that do more than multiply: run on ids, over a table that stays on disk.

Some norm the rows they look up (Inkling, Muse), one has a token of its own (T5Gemma 2).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from probe.arrays import Float32Array, IntArray
from probe.tables.multiplier import answer_of
from probe.tables.span import Table

if TYPE_CHECKING:
    from torch import Tensor


class RunningLayer:
    """A layer of a model that was never built whole, in the precision its table is stored in.

    Args:
        layer: the layer, its buffers filled (see `bring_to_life`).
        table: [V, H].
        others: its other parameters, by their names in the layer.
    """

    def __init__(self, layer: Any, table: Table, others: Mapping[str, Table]) -> None:
        import torch

        weight = _tensor(table)
        self._layer = layer.to(weight.dtype)
        self._layer.weight = torch.nn.Parameter(weight, requires_grad=False)
        parameters = dict(layer.named_parameters())
        digest = hashlib.sha256(type(layer).__name__.encode())
        with torch.no_grad():
            for name, values in sorted(others.items()):
                parameters[name].copy_(_tensor(values))
                digest.update(name.encode() + np.ascontiguousarray(values.values).tobytes())
        self.digest = digest.hexdigest()

    def answers(self, ids: IntArray) -> Float32Array:
        """What the layer makes of token ids, [..., H]."""
        import torch

        with torch.no_grad():
            found = answer_of(self._layer, torch.from_numpy(ids)).float()
        rows: Float32Array = found.numpy()
        return rows


def _tensor(table: Table) -> Tensor:
    """The same numbers, not copied."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        tensor = torch.from_numpy(table.values)
    return tensor.view(torch.bfloat16) if table.dtype == "BF16" else tensor
