"""The layout of `probe` itself: safetensors whose header carries every field of a prompt."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as to_safetensors

from probe.errors import PromptFormatError
from probe.formats.build import Card, kv_prefix, soft_prompt
from probe.formats.containers.json_yaml import read_json
from probe.formats.content import Content, opened
from probe.prompt import AnyPrompt, KVPrefix, LeftOut
from probe.texts import as_json

FILE = "prompt.safetensors"
CARD_FILE = "card.json"
"""What a workspace keeps beside it."""
_READER = "safetensors"
CARD_KEY = "probe"
_OF_READING = ("reader", "notes")
_FIELDS = tuple(one.name for one in dataclasses.fields(Card) if one.name not in _OF_READING)


def read(content: Content) -> list[AnyPrompt] | None:
    """Prompts of a file that `probe` wrote, None for any other file."""
    tensors = content.tensors
    if CARD_KEY not in content.metadata or "prompt_embeddings" in tensors:
        return None  # the second is a PEFT adapter with our card
    card = with_card(Card(content.name, _READER), content)
    if "embeddings" in tensors:
        return [soft_prompt(content, tensors["embeddings"], card)]
    if "keys" in tensors and "values" in tensors:
        return [kv_prefix(content, tensors["keys"], tensors["values"], card)]
    return None


def write(prompt: AnyPrompt, path: Path) -> None:
    """Make the file."""
    path.write_bytes(to_bytes(prompt))


def to_bytes(prompt: AnyPrompt) -> bytes:
    """A safetensors file of a prompt: `embeddings`, or `keys` and `values`, and its card."""
    if isinstance(prompt, KVPrefix):
        arrays = {"keys": prompt.keys, "values": prompt.values}
    else:
        arrays = {"embeddings": prompt.embeddings}
    contiguous = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    return bytes(to_safetensors(contiguous, metadata=card_metadata(prompt)))


def card_metadata(prompt: AnyPrompt) -> dict[str, str]:
    """Header metadata that keeps what a format's own fields cannot.

    One entry only: safetensors writes several in random order, and the same prompt must give the
    same bytes.
    """
    card = {key: getattr(prompt, key) for key in _FIELDS if getattr(prompt, key, None) is not None}
    if not prompt.left_out:
        del card["left_out"]
    return {CARD_KEY: json.dumps(as_json(card))}


def with_card(card: Card, content: Content) -> Card:
    """A card completed by the one a file that `probe` wrote carries in its header.

    Raises:
        PromptFormatError: the header's card is not one that `probe` writes.
    """
    if CARD_KEY not in content.metadata:
        return card
    document = opened(content.path, read_json, content.metadata[CARD_KEY].encode())
    if not isinstance(document, Mapping):
        raise PromptFormatError(f"{content.path}: the header's card is not a JSON object")
    known = {key: value for key, value in document.items() if key in _FIELDS}
    _check(content, known)
    if ids := known.get("init_token_ids"):
        known["init_token_ids"] = tuple(ids)
    if "left_out" in known:
        known["left_out"] = tuple(_left_out(content, entry) for entry in known["left_out"])
    return dataclasses.replace(card, **known)


def _left_out(content: Content, entry: object) -> LeftOut:
    match entry:
        case {"name": str(name), "shape": shape, "why": str(why), "changes_answers": bool(changes)}:
            if shape is None or (isinstance(shape, list) and all(type(n) is int for n in shape)):
                return LeftOut(name, None if shape is None else tuple(shape), why, changes)
    raise PromptFormatError(
        f"{content.path}: left_out of the header's card must hold name, shape, why and "
        "changes_answers"
    )


def _check(content: Content, card: Mapping[str, Any]) -> None:
    kinds: dict[str, type] = dict.fromkeys(_FIELDS, str)
    kinds |= {"trained": bool, "metrics": dict, "config": dict}
    kinds |= {"init_token_ids": list, "left_out": list}
    for key, value in card.items():
        if not isinstance(value, kinds[key]):
            raise PromptFormatError(
                f"{content.path}: the header's card must hold a {kinds[key].__name__} as {key}, "
                f"found {type(value).__name__}"
            )
    if any(type(i) is not int for i in card.get("init_token_ids", ())):
        raise PromptFormatError(f"{content.path}: init_token_ids of the card must be integers")
