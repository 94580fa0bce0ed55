"""What an embedding layer multiplies the rows it looks up by, if it does more than look up."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from probe.vocabulary import TableDtype, round_to_bfloat16

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


def learn_multiplier(model: Any, layer: Any) -> Multiplier:
    """What a layer on the meta device multiplies by, found by giving it a few rows and running it.

    Args:
        model: the transformers model the layer belongs to; it fills the layer's buffers.
        layer: its embedding layer; its tensors are replaced.

    Raises:
        ValueError: the layer does something other than multiplying by one number.
    """
    import torch

    if type(layer) is torch.nn.Embedding:
        return UNCHANGED
    _bring_to_life(model, layer)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(_TRIED_ROWS, int(layer.weight.shape[1]), generator=generator)
    factor = float(_answers(layer, torch.ones_like(rows))[0, 0])
    for rounded in (False, True):
        found = Multiplier(factor, rounded)
        if all(_agrees(found, layer, rows.to(dtype)) for dtype in (torch.float32, torch.bfloat16)):
            return found
    raise ValueError(f"a {type(layer).__name__} does not multiply its rows by one number")


def _bring_to_life(model: Any, layer: Any) -> None:
    """Give a meta layer a few rows, and its buffers what the model fills them with."""
    import torch

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
        answer: Tensor | tuple[Tensor, ...] = held(torch.arange(len(rows)))
    return answer[0] if isinstance(answer, tuple) else answer  # I-BERT's come with their scale
