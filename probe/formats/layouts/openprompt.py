"""OpenPrompt templates, saved as `torch.save(prompt_model.template.state_dict())`.

The dictionary also holds `raw_embedding.weight`, the model's own word embeddings, which is no
prompt. P-tuning keeps its encoder, so the network runs here (openprompt/prompts/ptuning_prompts.py:
LSTM of two bidirectional layers where there is one, then Linear, ReLU, Linear); prefix tuning keeps
`wte` and `control_trans`, for the decoder as `decoder_…` (prefix_tuning_template.py). No file tells
the number of heads, so a prefix is given with its heads joined: [L, 1, P, H].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from probe.formats.build import Card, fitting, kv_prefix, soft_prompt, split_joined
from probe.formats.content import Content, below, one
from probe.formats.layouts.reparametrise import bidirectional_lstm, mlp
from probe.formats.weights import left_out
from probe.prompt import AnyPrompt, KVPrefix, Submodule

_USED = re.compile(
    r"(?:^|\.)(?:new_embedding\.weight|new_(?:lstm|mlp)_head\..+|soft_embedding\.weight|soft_embeds"
    r"|(?:decoder_)?wte\.weight|(?:decoder_)?control_trans\..+)$"
)
JOINED_HEADS = {"heads": "joined: the file does not say how many"}


def read(content: Content) -> list[AnyPrompt] | None:
    """Prompts of a template's state dict, None for any other file.

    Raises:
        PromptFormatError: an encoder's network is incomplete or does not fit together.
    """
    tensors = content.tensors
    matches = {key: match for key in tensors if (match := _USED.search(key))}
    places = {key: key[: match.start()] for key, match in matches.items()}
    used = [key for key, place in places.items() if place == next(iter(places.values()))]
    card = Card(
        content.name, "openprompt", method="prompt_tuning", left_out=left_out(tensors, used)
    )
    if prefixes := _prefixes(content, card):
        return prefixes
    rows = one(tensors, "new_embedding.weight")
    if rows is not None:
        return [_p_tuned(content, rows, replace(card, method="p_tuning"))]
    mixed = one(tensors, "soft_embedding.weight")
    if mixed is not None:
        rows = mixed[1:] if mixed.ndim else mixed  # id 0 stands for "not a soft token"
        return [soft_prompt(content, rows, card)]
    soft = one(tensors, "soft_embeds")
    if soft is not None and not any("soft_prompt_layer" in key for key in tensors):
        return [soft_prompt(content, soft, card)]
    return None


def _p_tuned(content: Content, rows: NDArray[Any], card: Card) -> AnyPrompt:
    with fitting(content, "the template's prompt encoder"):
        lstm = below(content.tensors, "new_lstm_head")
        through = bidirectional_lstm(rows, lstm, content.budget) if lstm else rows
        made = mlp(through, below(content.tensors, "new_mlp_head"), "relu", content.budget)
    return soft_prompt(content, made, card)


def _prefixes(content: Content, card: Card) -> list[AnyPrompt]:
    """The encoder's prefix and the decoder's; a template with one of them leaves its half open."""
    networks = {
        prefix: below(content.tensors, f"{prefix}control_trans") for prefix in ("", "decoder_")
    }
    halves: dict[str, Submodule] = {"": "encoder", "decoder_": "decoder"}
    found = {prefix: network for prefix, network in networks.items() if network}
    prompts: list[AnyPrompt] = []
    for prefix, network in found.items():
        of_half = card
        if len(found) == 2:
            half = halves[prefix]
            of_half = replace(card, name=f"{card.name}-{half}", submodule=half)
        prompts.append(_prefix(content, f"{prefix}wte.weight", network, of_half))
    return prompts


def _prefix(
    content: Content, embedding: str, network: Mapping[str, NDArray[Any]], card: Card
) -> KVPrefix:
    with fitting(content, "the template's prompt encoder"):
        rows = one(content.tensors, embedding)
        if rows is None:
            raise KeyError(embedding)
        keys, values = split_joined(mlp(rows, network, "tanh", content.budget), rows.shape[1])
    return kv_prefix(content, keys, values, replace(card, config=JOINED_HEADS))
