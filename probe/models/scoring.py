"""What analyses ask of a frozen model: scores of labels, continuations, logits of hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from probe.models.frozen import FrozenModel
from probe.models.injection import InjectionError
from probe.models.prepare import prepare
from probe.models.recording import shared_weight_copy
from probe.models.rows import Objective
from probe.models.shortcuts import layer_list
from probe.protocols import Generate, ModelPrompt, Score, Unembed
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


def generator(model: FrozenModel, *, max_new_tokens: int = 32, batch_size: int = 16) -> Generate:
    """A function from a prompt and texts to one greedy continuation per text."""

    def generate(prompt: ModelPrompt, texts: Sequence[str]) -> list[str]:
        injection = model.injection_of([prompt])
        batches = [texts[i : i + batch_size] for i in range(0, len(texts), batch_size)]
        return [
            written
            for batch in batches
            for written in model.generate(injection, batch, max_new_tokens=max_new_tokens)
        ]

    return generate


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
