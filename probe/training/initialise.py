"""Where a prompt starts: words, label words, vocabulary tokens, noise, or another prompt.

The choices are those of Lester et al. 2021, §3.2 and Li & Liang 2021, §4.3 and §7.4, but for label
words of several tokens: here each token is a row, there their mean is one. A prefix starts at the
keys and values that the same rows cause in the frozen model.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from probe.analysis.mixing import strength_note
from probe.errors import TrainingError
from probe.formats import load
from probe.models import FrozenModel
from probe.notes import note
from probe.prompt import KVPrefix, SoftPrompt
from probe.requests.train_config import DEFAULT_LENGTH, TrainConfig
from probe.requests.train_methods import METHODS, name_methods
from probe.task import Task
from probe.template import every_word
from probe.texts import require_unicode
from probe.training.checks import asked_length, require_label_words, require_one_length
from probe.training.nearest import NearestTokens

_NOISE_STD = 0.02
"""Keys this small give every position the same attention; values this small disturb no text."""


@dataclass(frozen=True)
class Start:
    """Where one prompt starts."""

    rows: Tensor | None
    """[P, H] float32; None for a prefix."""
    prefix: Tensor | None
    """[L, 2, heads, P, head_dim] float32, keys then values; None for rows."""
    token_ids: tuple[int, ...] | None
    """The vocabulary ids the rows are embeddings of, where they are."""
    nearest_ids: tuple[int, ...] | None = None
    """Of rows that another prompt left, the nearest tokens by cosine."""


def rows_of(start: Start) -> Tensor:
    """The rows [P, H] of a start.

    Raises:
        TrainingError: it is a prefix.
    """
    if start.rows is None:
        raise TrainingError("expected rows to start from, found keys and values")
    return start.rows


def start_of(model: FrozenModel, task: Task, config: TrainConfig) -> Start:
    """The start a configuration asks for.

    Raises:
        TrainingError: the start has another length or width than the prompt, or none at all.
    """
    rng = np.random.default_rng([config.seed, 0, 1])
    length = resolved_length(model, config)
    if METHODS[config.method].injects == "prefix":
        return Start(None, _prefix(model, task, config, length, rng), None)
    kind, _, argument = config.init.partition(":")
    if kind == "random":
        return Start(_noise_rows(model, length, rng), None, None)
    if kind == "prompt":
        prompt = _rows_prompt(model, argument, length)
        rows = torch.tensor(prompt.embeddings)
        # Not the tokens that prompt had begun at: what moves now moves from its rows.
        return Start(rows, None, None, tuple(NearestTokens(model).ids(rows).tolist()))
    ids = _token_ids(model, task, config, length, rng)
    return Start(embedded(model, ids), None, ids)


def resolved_length(model: FrozenModel, config: TrainConfig) -> int:
    """Virtual tokens of the prompt, where the configuration leaves them open too.

    Raises:
        TrainingError: the configuration asks for two lengths at once.
    """
    kind, _, argument = config.init.partition(":")
    asked = {"length": asked_length(config)}
    if config.target is not None:
        asked["target"] = len(text_ids(model, config.target))
    given = require_one_length(asked)
    if given is not None:
        return given
    if kind == "text":
        return len(text_ids(model, argument))
    return len(_one_prompt(argument)) if kind == "prompt" else DEFAULT_LENGTH


def text_ids(model: FrozenModel, text: str) -> tuple[int, ...]:
    """Token ids of a text without special tokens.

    Raises:
        TrainingError: the text has none.
    """
    ids = model.tokenizer(require_unicode(text), add_special_tokens=False)["input_ids"]
    if not ids:
        raise TrainingError(f"expected a text with at least one token, found {text!r}")
    return tuple(ids)


def embedded(model: FrozenModel, ids: Sequence[int]) -> Tensor:
    """What the embedding layer makes of ids, [n, H] float32 on the CPU."""
    return model.embed_ids(torch.tensor(ids)).cpu()


def ordinary_tokens(model: FrozenModel) -> NDArray[np.int64]:
    """Ids of all tokens that are not special, ascending, [n]."""
    size = min(len(model.tokenizer), model.vocabulary_size)
    return np.setdiff1d(np.arange(size), model.tokenizer.all_special_ids)


def table_spread(model: FrozenModel) -> float:
    """Standard deviation of the numbers of the embedding table, over a thousand tokens of it."""
    tokens = ordinary_tokens(model)
    return float(embedded(model, tokens[:: max(1, len(tokens) // 1000)].tolist()).std())


def _token_ids(
    model: FrozenModel, task: Task, config: TrainConfig, length: int, rng: np.random.Generator
) -> tuple[int, ...]:
    kind, _, argument = config.init.partition(":")
    if kind == "text":  # a shorter text is repeated and a longer one cut, as in PEFT
        return tuple(itertools.islice(itertools.cycle(text_ids(model, argument)), length))
    pool = ordinary_tokens(model)
    if kind == "vocab" and argument:
        pool = pool[: int(argument)]
    drawn = tuple(int(i) for i in rng.choice(pool, length, replace=len(pool) < length))
    if kind == "vocab":
        return drawn
    require_label_words(task)
    words = [i for word in every_word(task) for i in text_ids(model, f" {word}")]
    return (*words[:length], *drawn[len(words) :])


def _noise_rows(model: FrozenModel, length: int, rng: np.random.Generator) -> Tensor:
    """Normal noise of the table's own spread, [P, H]: other tables differ a hundredfold."""
    shape = (length, model.width)
    return torch.tensor(rng.normal(0, table_spread(model), shape), dtype=torch.float32)


def _prefix(
    model: FrozenModel, task: Task, config: TrainConfig, length: int, rng: np.random.Generator
) -> Tensor:
    kind, _, argument = config.init.partition(":")
    if model.kv_shape is None:
        raise TrainingError(
            f"{model.name} is a {model.family} model, prefix tuning needs a causal or "
            f"encoder–decoder one: choose {name_methods('rows')}"
        )
    if kind == "random":
        return _prefix_noise(model.kv_shape, length, rng)
    if kind != "prompt":
        return cached_states(model, embedded(model, _token_ids(model, task, config, length, rng)))
    prompt = _one_prompt(argument)
    if isinstance(prompt, SoftPrompt):
        return cached_states(model, torch.tensor(_rows_prompt(model, argument, length).embeddings))
    layers, heads, head_dim = model.kv_shape
    if prompt.keys.shape != (layers, heads, length, head_dim):
        raise TrainingError(
            f"{argument} holds keys {prompt.keys.shape}, {model.name} with length {length} takes "
            f"{(layers, heads, length, head_dim)}"
        )
    return torch.stack([torch.tensor(prompt.keys), torch.tensor(prompt.values)], dim=1)


def _prefix_noise(kv_shape: tuple[int, int, int], length: int, rng: np.random.Generator) -> Tensor:
    """Small normal noise, [L, 2, heads, P, head_dim]."""
    layers, heads, head_dim = kv_shape
    shape = (layers, 2, heads, length, head_dim)
    return torch.tensor(rng.normal(0, _NOISE_STD, shape), dtype=torch.float32)


@torch.no_grad()
def cached_states(model: FrozenModel, rows: Tensor) -> Tensor:
    """What rows [P, H] leave in the model's cache: a prefix that acts as the rows themselves.

    For an encoder–decoder model, what they leave in the decoder's self-attention when both
    halves read them.
    """
    lm = model.model
    inputs = rows[None].to(model.device)
    with model.precision():
        if model.two_stacks:
            output = lm(inputs_embeds=inputs, decoder_inputs_embeds=inputs, use_cache=True)
            cache = output.past_key_values.self_attention_cache
        else:
            cache = DynamicCache()  # without the config: a sliding window would drop columns
            lm.base_model(inputs_embeds=inputs, past_key_values=cache, use_cache=True)
    pairs = [torch.stack([at.keys[0], at.values[0]]) for at in cache.layers]
    return torch.stack([pair.float().cpu() for pair in pairs])


def _rows_prompt(model: FrozenModel, source: str, length: int) -> SoftPrompt:
    prompt = _one_prompt(source)
    if isinstance(prompt, KVPrefix):
        raise TrainingError(
            f"{source} is a prefix of keys and values, expected rows: choose "
            f"{name_methods('prefix')}"
        )
    if prompt.embeddings.shape != (length, model.width):
        raise TrainingError(
            f"{source} has rows {prompt.embeddings.shape}, {model.name} with length {length} takes "
            f"{(length, model.width)}"
        )
    if doubt := strength_note(prompt, model.scale):
        note(doubt)
    return prompt


def _one_prompt(source: str) -> SoftPrompt | KVPrefix:
    """The single trained prompt of a file; an encoder–decoder file may hold a dead half too."""
    found = load(os.path.expanduser(source))
    trained = [prompt for prompt in found if prompt.trained] or found
    if len(trained) != 1:
        names = ", ".join(prompt.name for prompt in trained[:20])
        raise TrainingError(f"{source} holds {names}: pick one as prompt:{source}#NAME")
    return trained[0]
