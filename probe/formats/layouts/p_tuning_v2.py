"""P-tuning v2 and ChatGLM: keys and values of every layer, as rows of one embedding.

A checkpoint holds `…prefix_encoder.embedding.weight` [P, 2·L·heads·head_dim], or, with
`prefix_projection`, an embedding and the network `prefix_encoder.trans` that makes such rows of it
(THUDM/P-tuning-v2, model/prefix_encoder.py; ChatGLM's modeling_chatglm.py, `PrefixEncoder` and
`get_prompt`). Only the model's `config.json` beside it tells layers and heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.errors import PromptFormatError
from probe.formats.build import Card, fitting, kv_prefix, split_prefix, text
from probe.formats.content import Content, below, document_beside, ends_with
from probe.formats.layouts.reparametrise import mlp
from probe.formats.weights import left_out
from probe.prompt import AnyPrompt
from probe.texts import counted

MODEL_CONFIG = "config.json"
_READER = "p_tuning_v2"
_ROWS = "embedding.weight"


def read(content: Content) -> list[AnyPrompt] | None:
    """The prefix of a checkpoint, or of a bare embedding beside its model's configuration.

    Raises:
        PromptFormatError: nothing tells layers and heads, or they do not fit the rows.
    """
    tensors = content.tensors
    key = next((key for key in tensors if ends_with(key, f"prefix_encoder.{_ROWS}")), None)
    if key is None:
        return _bare(content)
    place, rows = key.removesuffix(_ROWS), tensors[key]
    used = [key for key in tensors if key.startswith(place)]
    leaves = {key.removeprefix(place): tensors[key] for key in used}
    if network := below(leaves, "trans"):
        with fitting(content, "the prefix encoder"):
            rows = mlp(rows, network, "tanh", content.budget)
    config = document_beside(content, MODEL_CONFIG)
    card = Card(
        content.name,
        _READER,
        base_model=text(config, "_name_or_path"),
        method="prefix_tuning",
        config=config,
        left_out=left_out(tensors, used),
    )
    return [_prefix(content, rows, card)]


def _prefix(content: Content, rows: NDArray[Any], card: Card) -> AnyPrompt:
    layers, heads, head_dim = geometry(card.config)
    if not layers or not rows.size or rows.ndim != 2:
        raise PromptFormatError(
            f"{content.path}: rows {rows.shape} of a prefix encoder are keys and values of every "
            "layer (P-tuning v2, ChatGLM), not a soft prompt: put the model's config.json beside "
            "the file, which says how many layers and heads they are for"
        )
    width = rows.shape[1]
    if width % (2 * layers * heads) or (head_dim and width != 2 * layers * heads * head_dim):
        raise PromptFormatError(
            f"{content.path}: {MODEL_CONFIG} says 2 × {counted(layers, 'layer')} × "
            f"{counted(heads, 'head')}"
            + (f" × {counted(head_dim, 'number')}" if head_dim else "")
            + f", which rows of {counted(width, 'number')} do not split into: is it this model's?"
        )
    keys, values = split_prefix(rows, layers=layers, heads=heads)
    return kv_prefix(content, keys, values, card)


def _bare(content: Content) -> list[AnyPrompt] | None:
    """The embedding's rows alone, where the model's configuration beside them fits them."""
    rows = content.value
    if not isinstance(rows, np.ndarray) or rows.ndim != 2:
        return None
    try:
        config = document_beside(content, MODEL_CONFIG)
    except PromptFormatError:  # whatever it is, it need not have to do with these rows
        return None
    layers, heads, head_dim = geometry(config)
    if "pre_seq_len" not in config or rows.shape[1] != 2 * layers * heads * head_dim:
        return None
    card = Card(content.name, _READER, base_model=text(config, "_name_or_path"), config=config)
    return [_prefix(content, rows, replace(card, method="prefix_tuning"))]


def geometry(config: Mapping[str, Any]) -> tuple[int, int, int]:
    """Layers, heads of keys and values, and numbers in a head; 0 for what is not told.

    ChatGLM names them otherwise than transformers, and shares heads among queries only where
    `multi_query_attention` says so.
    """
    layers = _first(config, "num_layers", "num_hidden_layers", "n_layer")
    queries = _first(config, "num_attention_heads", "n_head", "num_heads")
    grouped = _first(config, "num_key_value_heads")
    if config.get("multi_query_attention"):
        grouped = _first(config, "multi_query_group_num") or grouped
    hidden = _first(config, "hidden_size", "n_embd", "d_model")
    head_dim = _first(config, "kv_channels", "head_dim", "d_kv")
    if not head_dim and queries:
        head_dim = hidden // queries
    return layers, grouped or queries or 1, head_dim


def _first(config: Mapping[str, Any], *names: str) -> int:
    """The first of the fields that holds a whole number ≥ 1, else 0."""
    found = (config.get(name) for name in names)
    return next((value for value in found if type(value) is int and value >= 1), 0)
