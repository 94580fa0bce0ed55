"""The two classic faults of a prompt's training: nothing moves, or the prompt is not used."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from probe.formats.in_memory import without_dropout

if TYPE_CHECKING:
    from torch import Tensor

_NO_SCORE = ("epoch", "step", "total_flos", "num_input_tokens_seen")
_TIMES = ("_runtime", "_per_second", "_time")
UNUSED = (
    "the logits with the prompt equal those of the base model alone on the same batch: the prompt "
    "is not used. Evaluate the PEFT model, not its base model, and check that the adapter is active"
)


def unmoved_metrics(evaluations: Sequence[tuple[int, Mapping[str, float]]]) -> Iterator[str]:
    """What to say of metrics of the last evaluation that are as they have been from the first.

    Args:
        evaluations: by their step; there may be several at one, of other data sets and metrics.
    """
    for name in scores_of(evaluations[-1][1]) if evaluations else ():
        found = [(step, measured[name]) for step, measured in evaluations if name in measured]
        (first, before), (last, now) = found[0], found[-1]
        same = all(math.isclose(one, before, rel_tol=1e-7, abs_tol=1e-9) for _, one in found)
        if first < last and same and not _is_solved(name, before):
            yield (
                f"{name} is {now:.4g} at step {last} as at step {first}: it has not moved. "
                "Try a higher learning rate, and check the labels and that the optimizer has the "
                "prompt's parameters"
            )


def scores_of(metrics: Mapping[str, float]) -> list[str]:
    """The names of metrics that a training is to move: no times and no counts."""
    return [
        name
        for name in metrics
        if not name.endswith((*_TIMES, *_NO_SCORE)) and math.isfinite(metrics[name])
    ]


def _is_solved(name: str, value: float) -> bool:
    return "loss" not in name and value == 1.0


def equal_logits(with_prompt: Any, without: Any) -> bool:
    """Whether logits [B, P + T, V] or [B, T, V] say the same of the last T positions."""
    import torch

    ours, alone = (torch.as_tensor(one).detach().float().cpu() for one in (with_prompt, without))
    ours = ours[..., -alone.shape[-2] :, :] if ours.ndim >= 2 and alone.ndim >= 2 else ours
    return ours.shape == alone.shape and torch.allclose(ours, alone, rtol=1e-4, atol=1e-5)


def is_unused(model: Any, batch: Mapping[str, Any]) -> bool:
    """Whether a PEFT model answers a batch as its base model alone does.

    Both run without dropout and gradients; their modes come back.
    """
    import torch

    with torch.no_grad(), without_dropout(model):
        base = model.get_base_model()
        placed = {name: _placed(one, model.device) for name, one in batch.items()}
        alone = {name: one for name, one in placed.items() if name != "task_ids"}
        return equal_logits(_logits(model(**placed)), _logits(base(**alone)))


def _placed(value: Any, device: Any) -> Any:
    return value.to(device) if hasattr(value, "to") else value


def _logits(output: Any) -> Tensor:
    found: Tensor = output.logits if hasattr(output, "logits") else output[0]
    return found
