"""Key/value prefixes in transformers' own cache, for the passes that are not packed.

The shape of the prefixes that a model reads is tried before it is believed: what two tokens leave
in a model's cache is a prefix that must act as these tokens do. It does not where layers keep
something else (Mamba), or count the positions behind it otherwise (RoBERTa).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from probe.models.frozen import FrozenModel
from probe.models.injection import Injection, KeyValues
from probe.models.rows import Row

Shape = tuple[int, int, int]
"""(layers, heads, head_dim)."""
Score = Callable[[Injection, Row], Tensor]
"""Log-likelihood in nats of a row's one option of one token, [1]."""

_TOLERANCE_NATS = {True: 0.1, False: 1e-3}
"""In half precision, and in whole."""


def prefilled(
    injection: Injection, choice: Sequence[int], config: Any
) -> tuple[DynamicCache, Tensor]:
    """A cache that holds each row's prefix, and the mask [B, P] of the columns it really has.

    Prefixes are padded on the left: sliding windows and relative positions count columns, so a
    hole between a prefix and its text would move them apart. A cache serves one forward pass:
    every pass writes to it.

    Args:
        injection: K prefixes.
        choice: [B] prefix of each row.
        config: the model's, which tells the cache which layers have a window; None for
            decoders that read an encoder, which have none.
    """
    sizes = [injection.lengths[k] for k in choice]
    layers = [
        (_left_padded(keys, choice, sizes), _left_padded(values, choice, sizes))
        for keys, values in injection.key_values or ()
    ]
    device = layers[0][0].device
    columns = torch.arange(max(sizes), device=device)
    lengths = torch.tensor(sizes, device=device)
    present = (columns >= max(sizes) - lengths[:, None]).long()
    return DynamicCache(layers, config=config), present


def _left_padded(states: Tensor, choice: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """[K, heads, P, d] padded on the right → [B, heads, P, d] padded on the left."""
    rows = [
        pad(states[k, :, :size], (0, 0, max(sizes) - size, 0))
        for k, size in zip(choice, sizes, strict=True)
    ]
    return torch.stack(rows)


def used_prefixes(injection: Injection, groups: Sequence[int]) -> KeyValues:
    """Keys and values of prefixes by index; -1 is the empty one and borrows some, to be masked."""
    longest = max(injection.lengths[k] for k in groups if k >= 0)
    index = torch.tensor([max(k, 0) for k in groups])
    return [
        (
            keys[:, :, :longest].index_select(0, index.to(keys.device)),
            values[:, :, :longest].index_select(0, index.to(values.device)),
        )
        for keys, values in injection.key_values or ()
    ]


def causal_prefix_shape(model: FrozenModel, score: Score, *, tested: bool) -> Shape | None:
    """The shape of prefixes of a causal model; None where it reads none.

    Args:
        model: a causal model.
        score: how it scores a row behind a prefix.
        tested: take the shape as it is: tests show that this architecture reads prefixes.
    """
    *text, target = _tokens(model)

    def tried() -> tuple[KeyValues, float]:
        cache = DynamicCache(config=model.model.config)
        run_ids(model, input_ids=text[:2], past_key_values=cache, use_cache=True)
        prefix: KeyValues = [(keys, values) for keys, values, *_ in cache]
        if tested:
            return prefix, 0.0
        found = score(Injection(None, [2], prefix), Row(tuple(text[2:]), ((target,),), 0))
        return prefix, _distance(found, run_ids(model, input_ids=text), target)

    return _shape(model, tried)


def decoder_prefix_shape(model: FrozenModel, score: Score, start: int) -> Shape | None:
    """The shape of prefixes for a decoder's self-attention; None where it reads none."""
    *text, first, second, target = _tokens(model)

    def tried() -> tuple[KeyValues, float]:
        output = run_ids(model, input_ids=text, decoder_input_ids=[first, second], use_cache=True)
        layers = output.past_key_values.self_attention_cache.layers
        prefix: KeyValues = [(layer.keys, layer.values) for layer in layers]
        found = score(Injection(None, [2], prefix), Row(tuple(text), ((target,),), 0))
        whole = run_ids(model, input_ids=text, decoder_input_ids=[first, second, start])
        return prefix, _distance(found, whole, target)

    return _shape(model, tried)


def _shape(model: FrozenModel, tried: Callable[[], tuple[KeyValues, float]]) -> Shape | None:
    try:
        with torch.no_grad(), model.precision():
            prefix, distance = tried()
    except torch.OutOfMemoryError:
        raise
    except Exception:  # transformers' own code answers a foreign cache with any
        return None
    shapes = {(keys.shape[1], keys.shape[3]) for keys, _ in prefix}
    if len(shapes) != 1 or not distance < _TOLERANCE_NATS[model.autocast]:
        return None
    heads, width = shapes.pop()
    return len(prefix), int(heads), int(width)


def _tokens(model: FrozenModel) -> list[int]:
    """Some ids from the middle of the vocabulary, where no special ones stand."""
    return list(range(model.vocabulary_size // 2, model.vocabulary_size))[:7]


def run_ids(model: FrozenModel, **arguments: Any) -> Any:
    """The output of transformers for lists of ids, each given by its argument's name."""
    tensors: dict[str, Sequence[int]] = {k: v for k, v in arguments.items() if isinstance(v, list)}
    ids = {name: torch.tensor([each], device=model.device) for name, each in tensors.items()}
    return model.model(**arguments | ids)


def _distance(found: Tensor, output: Any, target: int) -> float:
    """Nats between a score and what transformers' logits give the same token."""
    expected = output.logits[0, -1].float().log_softmax(-1)[target]
    return abs(float(found[0]) - float(expected))
