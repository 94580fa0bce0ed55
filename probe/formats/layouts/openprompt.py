"""OpenPrompt templates, saved as `torch.save(prompt_model.template.state_dict())`.

The dictionary also holds `raw_embedding.weight`, the model's own word embeddings, which is no
prompt. P-tuning keeps its encoder, so the network runs here (openprompt/prompts/ptuning_prompts.py:
LSTM of two bidirectional layers where there is one, then Linear, ReLU, Linear); prefix tuning keeps
`wte` and `control_trans`, for the decoder as `decoder_…` (prefix_tuning_template.py). No file tells
the number of heads, so a prefix is given with its heads joined: [L, 1, P, H].
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from probe.formats.build import Card, fitting, kv_prefix, soft_prompt, split_joined
from probe.formats.content import Content, Tensors, below
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
    matches = {key: match for key in content.tensors if (match := _USED.search(key))}
    places = {key: key[: match.start()] for key, match in matches.items()}
    for chosen in dict.fromkeys(places.values()):
        used = [key for key, place in places.items() if place == chosen]
        tensors = {matches[key][0].lstrip("."): content.tensors[key] for key in used}
        rest = left_out(content.tensors, used)
        card = Card(content.name, "openprompt", method="prompt_tuning", left_out=rest)
        if found := _of_template(content, tensors, card):
            return found
    return None


def _of_template(content: Content, tensors: Tensors, card: Card) -> list[AnyPrompt]:
    """What one template's tensors make; nothing where they are another module's."""
    if prefixes := _prefixes(content, tensors, card):
        return prefixes
    rows = tensors.get("new_embedding.weight")
    if rows is not None:
        return [_p_tuned(content, rows, tensors, replace(card, method="p_tuning"))]
    mixed = tensors.get("soft_embedding.weight")
    if mixed is not None:
        rows = mixed[1:] if mixed.ndim else mixed  # id 0 stands for "not a soft token"
        return [soft_prompt(content, rows, card)]
    soft = tensors.get("soft_embeds")
    if soft is not None and not any("soft_prompt_layer" in key for key in content.tensors):
        return [soft_prompt(content, soft, card)]
    return []


def _p_tuned(content: Content, rows: NDArray[Any], tensors: Tensors, card: Card) -> AnyPrompt:
    with fitting(content, "the template's prompt encoder"):
        lstm = below(tensors, "new_lstm_head")
        through = bidirectional_lstm(rows, lstm, content.budget) if lstm else rows
        made = mlp(through, below(tensors, "new_mlp_head"), "relu", content.budget)
    return soft_prompt(content, made, card)


def _prefixes(content: Content, tensors: Tensors, card: Card) -> list[AnyPrompt]:
    """The encoder's prefix and the decoder's; a template with one of them leaves its half open."""
    networks = {prefix: below(tensors, f"{prefix}control_trans") for prefix in ("", "decoder_")}
    halves: dict[str, Submodule] = {"": "encoder", "decoder_": "decoder"}
    found = {prefix: network for prefix, network in networks.items() if network}
    prompts: list[AnyPrompt] = []
    for prefix, network in found.items():
        of_half = card
        if len(found) == 2:
            half = halves[prefix]
            of_half = replace(card, name=f"{card.name}-{half}", submodule=half)
        rows = tensors.get(f"{prefix}wte.weight")
        prompts.append(_prefix(content, rows, network, of_half))
    return prompts


def _prefix(content: Content, rows: NDArray[Any] | None, network: Tensors, card: Card) -> KVPrefix:
    with fitting(content, "the template's prompt encoder"):
        if rows is None:
            raise KeyError("wte.weight")
        keys, values = split_joined(mlp(rows, network, "tanh", content.budget), rows.shape[1])
    return kv_prefix(content, keys, values, replace(card, config=JOINED_HEADS))
