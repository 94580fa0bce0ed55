"""What analyses ask of a frozen model: scores of labels, logits, values' outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from probe.models.causal import CausalModel
from probe.models.frozen import FrozenModel
from probe.models.injection import Injection, InjectionError
from probe.models.prepare import prepare
from probe.models.rows import Objective, Row
from probe.models.shortcuts import layer_list
from probe.models.tracing import shared_weight_copy
from probe.prompt import AnyPrompt
from probe.protocols import ModelPrompt, ProjectValues, Score, Slopes, Unembed
from probe.task import Example, Task

_BATCH = 256
"""States per pass."""


def scorer(
    model: FrozenModel, task: Task, *, objective: Objective = "full", batch_size: int = 32
) -> Score:
    """A function from a prompt and examples to log-likelihoods of labels in nats, [n, labels].

    Rows of similar length share a batch.
    """

    @torch.no_grad()
    def score(prompt: ModelPrompt, examples: Sequence[Example]) -> NDArray[np.float64]:
        injection = model.injection_of([prompt])
        length = injection.longest
        rows = prepare(model, task, examples, objective=objective, prompt_length=length)
        scores = np.empty((len(rows), len(task.label_words)))
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            found = model.label_scores(injection, [rows[i] for i in batch])
            scores[batch] = found.double().cpu().numpy()
        return scores

    return score


def unembedder(model: FrozenModel) -> Unembed:
    """A function from hidden states [n, H] to logits [n, V]: last norm, projection, head, capping.

    It runs a copy of the model on the same weights, with one layer, whose output the states
    replace; so what happens behind the layers is the model's own, whatever it is.

    Raises:
        InjectionError: the model has no unembedding for the states a trace gives.
    """
    if model.labels != "in_text":
        raise InjectionError(
            f"{model.name} ({model.family}) has no unembedding for its hidden states: use a "
            "causal or masked language model"
        )
    other = shared_weight_copy(model.model)
    layers = layer_list(other)
    del layers[1:]
    other.config.get_text_config().num_hidden_layers = 1
    replacement = _Replacement(layers[0])

    @torch.no_grad()
    def unembed(states: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = torch.split(torch.from_numpy(np.ascontiguousarray(states, np.float32)), _BATCH)
        logits = []
        for part in parts:
            replacement.states = part[:, None].to(model.device)
            nothing = part.new_zeros(len(part), 1, model.width).to(model.device)
            with model.precision():
                output: Any = other(inputs_embeds=nothing)
            logits.append(output.logits[:, 0].float().cpu().numpy())
        return np.concatenate(logits)

    return unembed


class _Replacement:
    """Puts states in place of a layer's output."""

    def __init__(self, layer: nn.Module) -> None:
        self.states = torch.empty(0)
        layer.register_forward_hook(self._replace)

    def _replace(self, _: nn.Module, __: Any, output: Any) -> Any:
        return self.states if isinstance(output, Tensor) else (self.states, *output[1:])


_ATTENTION = {"self_attn", "attn", "attention", "self_attention"}
_OUTPUT = {"o_proj", "c_proj", "out_proj", "dense"}
"""What transformers calls the attention of a layer and its output matrix."""


def value_projector(model: FrozenModel) -> ProjectValues:
    """A function from values [L, key/value heads, P, head_dim] to [L, heads, P, H].

    A head's part of the output is its slice of the layer's output matrix times the value (Elhage
    et al. 2021, "A Mathematical Framework for Transformer Circuits"); the bias belongs to no head.
    With grouped queries a value is read by several heads, neighbours of each other, each with a
    slice of its own.

    Raises:
        InjectionError: the model takes no key/value prefixes, or does not add its attention's
            output to the stream as it is.
    """
    if not isinstance(model, CausalModel) or model.kv_shape is None:
        raise InjectionError(
            f"{model.name} ({model.family}) reads no key/value prefixes in one stack of layers: "
            "use the causal model the prefix was trained on"
        )
    layers, groups, width = model.kv_shape
    matrices = [_output_of(model, layer) for layer in layer_list(model.model)]
    heads = int(model.config.num_attention_heads)

    @torch.no_grad()
    def project(values: NDArray[np.float32]) -> NDArray[np.float32]:
        if (found := (values.shape[0], values.shape[1], values.shape[3])) != model.kv_shape:
            raise InjectionError(
                f"{model.name} reads prefixes of (layers, heads, head_dim) "
                f"{(layers, groups, width)}, found {found}: use the model the prefix was trained on"
            )
        return np.stack(
            [
                _by_head(model, matrix, np.repeat(layer, heads // groups, axis=0))
                for matrix, layer in zip(matrices, values, strict=True)
            ]
        )

    return project


def _by_head(
    model: FrozenModel, matrix: nn.Module, values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """[heads, P, head_dim] → [heads, P, H], each value alone in its head's slice."""
    heads, length, width = values.shape
    given = torch.from_numpy(np.ascontiguousarray(values))
    placed = torch.zeros(heads, length, heads, width)
    index = torch.arange(heads)
    placed[index, :, index] = given
    inputs = placed.reshape(heads * length, heads * width).to(next(matrix.parameters()).device)
    with model.precision():
        added: Any = matrix(inputs) - matrix(torch.zeros_like(inputs[:1]))
    out: NDArray[np.float32] = added.float().cpu().numpy().reshape(heads, length, -1)
    return out


def _output_of(model: FrozenModel, layer: nn.Module) -> nn.Module:
    """The output matrix of a layer's attention."""
    if hasattr(layer, "pre_feedforward_layernorm"):
        raise InjectionError(
            f"{model.name} normalises what attention adds, so one head's part of it is not "
            "defined: use a model that adds it as it is"
        )
    modules: dict[str, nn.Module] = dict(layer.named_modules())
    for name, module in modules.items():
        path = name.split(".")
        if len(path) > 1 and path[-2] in _ATTENTION and path[-1] in _OUTPUT:
            return module
    raise InjectionError(
        f"{type(layer).__name__} of {model.name} keeps its attention's output matrix in no known "
        "place: expected a GPT-2, Llama, OPT, NeoX, BLOOM, Phi or Falcon kind of layer"
    )


_ROWS_AT_ONCE = 16


def slopes_of(
    model: FrozenModel, task: Task, examples: Sequence[Example], *, objective: Objective = "full"
) -> Slopes:
    """A function from a prompt and a direction to losses [n] and parts of their slopes, [n, P].

    The loss is minus the log-likelihood of the right label. Every example reads a copy of the
    prompt of its own, so that one backward pass gives the gradient of each.
    """

    def slopes(
        prompt: AnyPrompt, direction: AnyPrompt
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        rows = prepare(model, task, examples, objective=objective, prompt_length=len(prompt))
        found = [
            _batch(model, prompt, direction, rows[start : start + _ROWS_AT_ONCE])
            for start in range(0, len(rows), _ROWS_AT_ONCE)
        ]
        losses, parts = zip(*found, strict=True)
        return np.concatenate(losses), np.concatenate(parts)

    return slopes


def _batch(
    model: FrozenModel, prompt: AnyPrompt, direction: AnyPrompt, rows: Sequence[Row]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    copies = model.injection_of([prompt] * len(rows))
    way = model.injection_of([direction])
    given, injection = _with_gradients(copies)
    scores = model.label_scores(injection, rows, torch.arange(len(rows)))
    labels = torch.tensor([row.label for row in rows], device=scores.device)
    losses = -scores.gather(1, labels[:, None])[:, 0]
    gradients = torch.autograd.grad(losses.sum(), given, allow_unused=True)
    parts = [
        (gradient.double() * along.double()).flatten(2).sum(2)
        if gradient.ndim == 3
        # keys and values, [B, heads, P, d]
        else (gradient.double() * along.double()).sum((1, 3))
        for gradient, along in zip(gradients, _tensors(way), strict=True)
        if gradient is not None
    ]
    return losses.detach().double().cpu().numpy(), torch.stack(parts).sum(0).cpu().numpy()


def _tensors(injection: Injection) -> list[Tensor]:
    """Rows [K, P, H] of each half, or keys and values [K, heads, P, d] of every layer."""
    if injection.key_values is not None:
        return [one for pair in injection.key_values for one in pair]
    halves = (injection.embeddings, injection.decoder_embeddings)
    return [half for half in halves if half is not None]


def _with_gradients(injection: Injection) -> tuple[list[Tensor], Injection]:
    given = [tensor.detach().requires_grad_() for tensor in _tensors(injection)]
    if injection.key_values is not None:
        pairs = list(zip(given[::2], given[1::2], strict=True))
        return given, Injection(None, injection.lengths, pairs)
    if injection.embeddings is None:
        return given, Injection(None, injection.lengths, None, given[0], injection.decoder_lengths)
    return given, Injection(given[0], injection.lengths)
