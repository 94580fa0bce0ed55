"""What an adapter says of itself, in three places: configuration, model card, weights' header.

PEFT writes the base model into `adapter_config.json` and into the YAML at the head of `README.md`,
`probe` keeps what PEFT has no place for in the header of the weights. People edit the first two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from probe.formats.build import Card, text
from probe.formats.content import Content
from probe.formats.layouts.probe_file import with_card
from probe.formats.refusal import shown
from probe.prompt import Method

CONFIG_FILE = "adapter_config.json"
_FILE = "README.md"
_CHARACTERS = 20_000
"""Read at most; what matters stands at the head."""
_BASE_MODEL = re.compile(r"\A---\n(?:(?!---).*\n)*?base_model:[ \t]*(?:\n- )?(?P<name>\S+)[ \t]*\n")
_FIELDS = {"base_model": "base_model_name_or_path", "revision": "revision"}
NO_CONFIG = (
    f"there is no {CONFIG_FILE}: the method is unknown, and a prefix of keys and values cannot be "
    "told from a soft prompt"
)


def carded(content: Content, card: Card) -> Card:
    """The card with what `probe` kept in the header; what the configuration says wins.

    The header is hidden and the configuration is not: whoever edits the one means it.
    """
    kept = with_card(card, content)
    notes = list(card.notes)
    for field in ("base_model", "revision"):
        said, hidden = getattr(card, field), getattr(kept, field)
        taken = said or hidden
        kept = replace(kept, **{field: taken})
        if hidden not in (None, said) and _FIELDS[field] in card.config:
            notes.append(
                f"{CONFIG_FILE} says {field.replace('_', ' ')} {shown(said)}, the weights' header "
                f"{shown(hidden)}: {shown(taken)} is taken"
            )
    if card.method in ("prompt_tuning", "p_tuning") and _written_as(kept.method) != card.method:
        notes.append(f"{CONFIG_FILE} says {card.method}, the weights' header {kept.method}")
        kept = replace(kept, method=card.method)
    return replace(
        kept,
        config={**kept.config, **card.config},
        left_out=tuple(dict.fromkeys((*kept.left_out, *card.left_out))),
        notes=tuple(notes),
    )


def _written_as(method: Method) -> Method:
    """The method that a configuration written by `probe` says, which PEFT must know."""
    return "p_tuning" if method == "p_tuning" else "prompt_tuning"


def model_card_notes(content: Content, config: Mapping[str, Any]) -> tuple[str, ...]:
    """A line where the model card names another base model than the adapter's configuration."""
    said, named = text(config, "base_model_name_or_path"), _base_model(content)
    if said is None or named is None or _last_part(named) == _last_part(said):
        return ()
    return (
        f"{_FILE} names base model {shown(named)}, {CONFIG_FILE} {shown(said)}: the latter "
        "is taken",
    )


def _base_model(content: Content) -> str | None:
    path = content.beside(_FILE)
    if path is None:
        return None
    with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
        if found := _BASE_MODEL.search(file.read(_CHARACTERS)):
            return found["name"].strip("\"'")
    return None


def _last_part(name: str) -> str:
    """What stays of a model's name wherever it is kept."""
    return name.rstrip("/").rpartition("/")[2].casefold()
