"""AdapterHub adapters that are prompts: prompt tuning, and prefix tuning (ejected or not).

Keys are those of `prompt_tunings.<name>.prompt_embedding.weight` and
`prefix_tunings.<name>.<place>.{wte,control_trans}` (adapters/methods/prompt_tuning.py and
prefix_tuning.py). The configuration file shares PEFT's name but not its fields. It tells neither
how many heads there are, so a prefix is given with its heads joined, [L, 1, P, H], nor how wide
they are, which need not be the hidden size. The model's `config.json` beside it tells both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from probe.errors import PromptFormatError
from probe.formats.build import Card, fitting, kv_prefix, soft_prompt, split_joined, text
from probe.formats.content import Content, below, document_beside
from probe.formats.layouts.openprompt import JOINED_HEADS
from probe.formats.layouts.p_tuning_v2 import MODEL_CONFIG, geometry
from probe.formats.layouts.reparametrise import Activation, mlp
from probe.formats.weights import brief, left_out
from probe.prompt import AnyPrompt, KVPrefix, Submodule

CONFIG_FILE = "adapter_config.json"
WEIGHT_FILES = ("adapter.safetensors", "pytorch_adapter.bin")

_PROMPT = re.compile(r"(?:^|\.)prompt_tunings\.(?P<name>.+)\.prompt_embedding\.weight$")
_PREFIX = re.compile(
    r"(?:^|\.)prefix_tunings\.(?P<name>.+)\.(?P<place>[^.]+_prefix)\."
    r"(?P<leaf>wte\.weight|control_trans(?:\.\d+\.(?:weight|bias))?)$"
)
_OF_OTHER_WIDTHS = ("t5", "mt5", "llama", "mistral")
"""Kinds of models with heads of a width of their own, or keys that several heads share."""
_AS_WIDE = re.compile(
    r"(google-t5/)?t5-(small|base|large)|(meta-llama/)?Llama-2-(7|13)b(-chat)?(-hf)?"
)
"""Those of them whose keys are as wide as the model."""
_ACTIVATIONS: dict[str, Activation] = {"tanh": "tanh", "relu": "relu"}


def read(content: Content) -> list[AnyPrompt] | None:
    """Prompts of an adapter, None for any other file.

    Raises:
        PromptFormatError: the adapter is of another kind, or its prefix does not fit together.
    """
    used = [key for key in content.tensors if _PROMPT.search(key) or _PREFIX.search(key)]
    if not used and content.path.name not in WEIGHT_FILES:
        return None
    document = _document(content)
    card = Card(
        name=text(document, "name") or content.name,
        reader="adapterhub",
        base_model=text(document, "model_name"),
        config=document,
        left_out=left_out(content.tensors, used, trained=content.path.name in WEIGHT_FILES),
    )
    prompts: list[AnyPrompt] = []
    for key, rows in content.tensors.items():
        if match := _PROMPT.search(key):
            tuned = replace(card, name=match["name"], method="prompt_tuning")
            prompts.append(soft_prompt(content, rows, tuned))
    prompts += _prefixes(content, card)
    if not prompts and document:
        kind = text(_architecture(document), "architecture") or "bottleneck"
        raise PromptFormatError(
            f"{content.path}: this is a {brief(kind)} adapter, not a soft prompt"
        )
    return prompts or None


def _prefixes(content: Content, card: Card) -> list[KVPrefix]:
    groups: dict[tuple[str, str], dict[str, NDArray[Any]]] = {}
    for key, array in content.tensors.items():
        if match := _PREFIX.search(key):
            groups.setdefault((match["name"], match["place"]), {})[match["leaf"]] = array
    two_sided = any("encoder_prefix" in place for _, place in groups)
    return [
        _prefix(content, leaves, _placed(card, name, place, len(groups), two_sided=two_sided))
        for (name, place), leaves in groups.items()
    ]


def _placed(card: Card, name: str, place: str, groups: int, *, two_sided: bool) -> Card:
    """The card of one place; a model with an encoder's prefix has its other places behind it."""
    half: Submodule | None = None
    if two_sided or "cross" in place:
        half = "encoder" if "encoder_prefix" in place else "decoder"
    return replace(card, name=name if groups == 1 else f"{name}-{place}", submodule=half)


def _prefix(content: Content, leaves: Mapping[str, NDArray[Any]], card: Card) -> KVPrefix:
    heads, width = _heads_and_width(content, card)
    with fitting(content, "the prefix"):
        architecture = _architecture(card.config)
        if "control_trans" in leaves:
            flat = leaves["control_trans"].reshape(architecture["prefix_length"], -1)
            hidden = card.config["hidden_size"]
        else:
            rows, network = leaves["wte.weight"], below(leaves, "control_trans")
            activation = _ACTIVATIONS[text(architecture, "non_linearity") or "tanh"]
            flat = mlp(rows, network, activation, content.budget)
            hidden = rows.shape[1]
        keys, values = split_joined(flat, width or hidden, heads or 1)
    if not heads:
        card = replace(card, config={**card.config, **JOINED_HEADS})
    return kv_prefix(content, keys, values, card)


def _heads_and_width(content: Content, card: Card) -> tuple[int, int]:
    """Heads of a layer's keys, and their numbers together; 0 where they are the hidden size."""
    _, heads, head_dim = geometry(document_beside(content, MODEL_CONFIG))
    if head_dim:
        return heads, heads * head_dim
    kind, named = text(card.config, "model_type"), _AS_WIDE.fullmatch(card.base_model or "")
    if kind in _OF_OTHER_WIDTHS and not named:
        raise PromptFormatError(
            f"{content.path}: the keys of {kind} models need not be as wide as the model, and the "
            f"file does not say how wide: put the model's {MODEL_CONFIG} beside it"
        )
    return 0, 0


def _architecture(document: Mapping[str, Any]) -> Mapping[str, Any]:
    section = document.get("config")
    return section if isinstance(section, Mapping) else {}


def _document(content: Content) -> Mapping[str, Any]:
    """AdapterHub's configuration; empty without one, or when it is PEFT's."""
    document = document_beside(content, CONFIG_FILE)
    return {} if "peft_type" in document else document
