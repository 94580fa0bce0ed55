"""What an embedding layer makes of the rows it looks up: a multiple, or what running it answers."""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from probe.arrays import Float32Array, IntArray, multiplied, round_to_bfloat16, to_float32
from probe.tables.span import Table
from probe.vocabulary import TableDtype

if TYPE_CHECKING:
    from torch import Tensor, nn

_TRIED_ROWS = 4


@dataclass(frozen=True)
class Multiplier:
    """A factor of rows, and whether the layer rounds it to its weights' precision first."""

    factor: float
    rounded: bool

    def at(self, dtype: TableDtype) -> float:
        """The factor that a layer with weights of this precision multiplies by."""
        single = np.float32(self.factor)
        if self.rounded and dtype == "BF16":
            return float(round_to_bfloat16(np.array([self.factor], np.float32))[0])
        if self.rounded and dtype == "F16":
            return float(np.float16(single))
        return float(single)


UNCHANGED = Multiplier(1.0, rounded=False)


def by_root_of_width(width: int, *, rounded: bool = False) -> Multiplier:
    """The root of H, with which most layers that multiply bring rows to a norm near it."""
    return Multiplier(float(width**0.5), rounded)


def learn_multiplier(layer: Any) -> Multiplier | None:
    """What a layer multiplies by, found by giving it a few rows and running it.

    Returns:
        None where it does something other than multiplying every row by one number.
    """
    import torch

    if type(layer) is torch.nn.Embedding:
        return UNCHANGED
    if len(list(layer.parameters())) > 1:  # rows or weights of its own beside the table
        return None
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(_TRIED_ROWS, int(layer.weight.shape[1]), generator=generator)
    factor = float(_answers(layer, torch.ones_like(rows))[0, 0])
    for rounded in (False, True):
        found = Multiplier(factor, rounded)
        if all(_agrees(found, layer, rows.to(dtype)) for dtype in (torch.float32, torch.bfloat16)):
            return found
    return None


def bring_to_life(model: Any, layer: Any) -> None:
    """Give a layer on the meta device a few rows, its buffers what the model fills them with."""
    import torch

    if type(layer) is torch.nn.Embedding:
        return
    layer.weight = torch.nn.Parameter(
        torch.empty(_TRIED_ROWS, layer.weight.shape[1]), requires_grad=False
    )
    layer.padding_idx = None  # it may lie beyond the few rows
    layer.to_empty(device="cpu")
    _owner(model, layer)._init_weights(layer)  # transformers' way for buffers that no file holds


def _owner(model: Any, layer: nn.Module) -> Any:
    """The innermost model that the layer belongs to, which alone knows its kind."""
    from transformers import PreTrainedModel

    models = [part for part in model.modules() if isinstance(part, PreTrainedModel)]
    return next(part for part in reversed(models) if any(layer is m for m in part.modules()))


def _agrees(multiplier: Multiplier, layer: nn.Module, rows: Tensor) -> bool:
    """Whether the layer answers with exactly the products, rounded as it rounds them."""
    import torch

    factor = multiplier.at("BF16" if rows.dtype == torch.bfloat16 else "F32")
    return torch.equal(_answers(layer, rows), (rows.float() * factor).to(rows.dtype))


def _answers(layer: Any, rows: Tensor) -> Tensor:
    """What the layer makes of rows [n, H] that it holds, in their precision."""
    import torch

    held = copy.deepcopy(layer).to(rows.dtype)  # its buffers are rounded for good
    with torch.no_grad():
        held.weight.copy_(rows)
        return answer_of(held, torch.arange(len(rows)))


def answer_of(layer: nn.Module, ids: Tensor) -> Tensor:
    """What a layer answers to ids; I-BERT's adds the scale of its quantisation."""
    answer: Tensor | tuple[Tensor, ...] = layer(ids)
    return answer[0] if isinstance(answer, tuple) else answer


@dataclass(frozen=True, eq=False)
class Float32Products:
    """A layer that runs, and multiplies, in float32 whatever its table is stored in."""

    table: Table

    digest = "in float32"

    def answers(self, ids: IntArray) -> Float32Array:
        """Rows of token ids times the table's factor, [..., H]."""
        return multiplied(to_float32(self.table.values[ids]), self.table.factor)


class RunningLayer:
    """A layer that does more than multiply, run on ids over a table that stays on disk.

    Some norm the rows they look up (Inkling, Muse), one has a token of its own (T5Gemma 2). It
    computes in the precision its table is stored in.

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
