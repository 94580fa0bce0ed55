"""The inside of a pass: hidden states, attention to the prompt and feed-forward activations."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad

from probe.models.embedding import carry_factors, takes
from probe.models.frozen import FrozenModel
from probe.models.injection import Injection
from probe.models.inputs import number_table, padded
from probe.models.prefixes import prefilled
from probe.models.prepare import prepare
from probe.models.rows import Objective, Row
from probe.models.shortcuts import layer_list
from probe.protocols import ModelPrompt, Trace, TraceResult
from probe.task import Example, Task

_ACTIVATIONS = ("act", "act_fn", "activation_fn", "intermediate_act_fn", "gelu_impl")
"""What transformers calls the activation of a feed-forward block; SwiGLU's is its gate."""


def shared_weight_copy(model: Any) -> Any:
    """A second model on the same weights, with attention that shows its weights.

    Only its modules and configuration are copies, so that switching the attention implementation
    and hanging hooks on it cannot disturb a pass of the first.
    """
    tensors = [*model.parameters(), *model.buffers()]
    other = copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})
    for module in other.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    carry_factors(other)
    other.set_attn_implementation("eager")
    return other


@dataclass
class Recorder:
    """What hooks see during one pass."""

    states: list[Tensor] = field(default_factory=list)
    """Input of the first layer, then every layer's output, each [B, S, H]."""
    activations: list[Tensor] = field(default_factory=list)
    """[B, S, F] per layer."""

    @contextmanager
    def on(self, layers: Sequence[nn.Module]) -> Iterator[None]:
        """Watch these layers within the block."""
        with ExitStack() as hooks:
            enter = layers[0].register_forward_pre_hook(self._enter, with_kwargs=True)
            hooks.enter_context(enter)
            for layer in layers:
                hooks.enter_context(layer.register_forward_hook(self._leave))
                if (activation := _activation(layer)) is not None:
                    hooks.enter_context(activation.register_forward_hook(self._activate))
            yield

    def _enter(self, _: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        self.states.append(inputs[0] if inputs else named["hidden_states"])

    def _leave(self, _: nn.Module, __: Any, output: Any) -> None:
        self.states.append(output if isinstance(output, Tensor) else output[0])

    def _activate(self, _: nn.Module, __: Any, output: Tensor) -> None:
        self.activations.append(output)


def _activation(layer: nn.Module) -> nn.Module | None:
    found = (
        module for name, module in layer.named_modules() if name.rpartition(".")[2] in _ACTIVATIONS
    )
    return next(found, None)


_BATCH = 8
"""Rows per pass: attention weights of every layer are kept, [L, B, heads, S, S]."""


def tracer(model: FrozenModel, task: Task | None = None, *, objective: Objective = "full") -> Trace:
    """A function that runs examples under a prompt and keeps what happened inside.

    Args:
        model: any family; of encoder–decoder models the encoder is traced.
        task: its template is put around the texts; without one they are read as they are.
        objective: for which the prompt was trained, which tells what stands in front of it.

    Returns:
        A `Trace`. Its hidden states have the prompt's rows first, wherever the prompt stood, then
        the text padded with zeros; a key/value prefix has no hidden states, only attention.
    """
    task = task or Task("trace", "generation")
    other = shared_weight_copy(model.model)
    body = model.traced_stack(other)

    def trace(prompt: ModelPrompt, examples: Sequence[Example]) -> TraceResult:
        injection = model.injection_of([prompt])
        rows = prepare(model, task, examples, objective=objective, prompt_length=injection.longest)
        inside = injection.key_values is None
        items = [_items(model, row, injection.longest if inside else 0) for row in rows]
        longest = max(map(len, items))
        parts = [
            _run(model, body, injection, rows[i : i + _BATCH], items[i : i + _BATCH], longest)
            for i in range(0, len(rows), _BATCH)
        ]
        return TraceResult(*(np.concatenate(arrays, 1) for arrays in zip(*parts, strict=True)))

    return trace


def _items(model: FrozenModel, row: Row, length: int) -> list[int]:
    """What is run: the row without its label, a mask in its place where masks are read."""
    items = row.items(length, model.label_placeholder)
    if items[-1:] and items[-1] >= 0:
        return items
    # After a bare prompt something has to be read: the token that begins or ends texts.
    special = (model.tokenizer.bos_token_id, model.tokenizer.eos_token_id)
    return [*items, next(int(i) for i in special if i is not None)]


@torch.no_grad()
def _run(
    model: FrozenModel,
    body: Any,
    injection: Injection,
    rows: Sequence[Row],
    items: Sequence[Sequence[int]],
    longest: int,
) -> tuple[NDArray[np.float32], ...]:
    """Hidden states, attention to the prompt and activations of one batch."""
    embeddings, mask = padded(model.embed, injection.embeddings, [0] * len(rows), items)
    arguments: dict[str, Any] = {"inputs_embeds": embeddings, "attention_mask": mask}
    if injection.key_values is not None:
        cache, present = prefilled(injection, [0] * len(rows), model.model.config)
        arguments["past_key_values"] = cache
        arguments["attention_mask"] = torch.cat([present, mask], 1)
        arguments["use_cache"] = True
        if takes(body, "position_ids"):
            columns = torch.arange(mask.shape[1], device=mask.device)
            arguments["position_ids"] = (columns + injection.longest).expand(len(rows), -1)
    recorder = Recorder()
    with recorder.on(list(layer_list(body))), model.precision():
        output = body(**arguments, output_attentions=True)
    table = number_table(items, mask.device)
    weights = [layer.float() for layer in output.attentions]
    return (
        _hidden(recorder.states, table, mask, longest),
        _attention([layer.mean(1) for layer in weights], table, mask, injection),
        _activations(recorder.activations, rows, items, injection),
        _attention([_spread_evenly(layer) for layer in weights], table, mask, injection),
    )


def _prompt_first(table: Tensor, mask: Tensor) -> Tensor:
    """[B, S]: the columns that hold a prompt row, then the others, in their order."""
    is_prompt = (table < 0) & (mask > 0)
    return (~is_prompt).long().argsort(dim=1, stable=True)


def _hidden(
    states: Sequence[Tensor], table: Tensor, mask: Tensor, longest: int
) -> NDArray[np.float32]:
    """[L + 1, B, longest, H], prompt rows first, zeros behind the text."""
    stacked = torch.stack([state.float() * mask[..., None] for state in states])
    index = _prompt_first(table, mask)[None, :, :, None].expand_as(stacked)
    ordered = stacked.gather(2, index)
    return pad(ordered, (0, 0, 0, longest - ordered.shape[2])).cpu().numpy()


def _attention(
    weights: Sequence[Tensor], table: Tensor, mask: Tensor, injection: Injection
) -> NDArray[np.float32]:
    """[L, B, P]: mean over text positions of what they give prompt positions, from [B, S, C]."""
    length = injection.longest
    text = ((table >= 0) & (mask > 0)).float()
    share = text / text.sum(1, keepdim=True)
    means = torch.stack([(layer * share[:, :, None]).sum(1) for layer in weights])
    if injection.key_values is not None:
        return means[:, :, :length].cpu().numpy()
    ordered = means.gather(2, _prompt_first(table, mask).expand_as(means))
    return ordered[:, :, :length].cpu().numpy()


def _spread_evenly(weights: Tensor) -> Tensor:
    """[B, S, C]: equal weights on every column some head gives any; hidden ones get exactly 0."""
    seen = (weights.amax(1) > 0).float()
    return seen / seen.sum(-1, keepdim=True).clamp(min=1)


def _activations(
    recorded: Sequence[Tensor],
    rows: Sequence[Row],
    items: Sequence[Sequence[int]],
    injection: Injection,
) -> NDArray[np.float32]:
    """[L, B, F] at the first position behind the prompt."""
    places = []
    for row, line in zip(rows, items, strict=True):
        prompt = [place for place, item in enumerate(line) if item < 0]
        start = prompt[-1] + 1 if prompt else row.slots[-1].index
        places.append(min(start, len(line) - 1) if injection.key_values is None else 0)
    index = torch.arange(len(rows))
    lines = [layer.reshape(len(rows), -1, layer.shape[-1])[index, places] for layer in recorded]
    if not lines:
        return np.zeros((0, len(rows), 0), np.float32)
    return torch.stack([line.float() for line in lines]).cpu().numpy()
