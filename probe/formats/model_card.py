"""The `README.md` beside an adapter: PEFT writes its base model there too, and people edit it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from probe.formats.build import text
from probe.formats.content import Content
from probe.formats.refusal import shown

_FILE = "README.md"
_CHARACTERS = 20_000
"""Read at most; what matters stands at the head."""
_BASE_MODEL = re.compile(r"\A---\n(?:(?!---).*\n)*?base_model:[ \t]*(?:\n- )?(?P<name>\S+)[ \t]*\n")


def model_card_notes(content: Content, config: Mapping[str, Any]) -> tuple[str, ...]:
    """A line where the model card names another base model than the adapter's configuration."""
    said, named = text(config, "base_model_name_or_path"), _base_model(content)
    if said is None or named is None or _last_part(named) == _last_part(said):
        return ()
    return (
        f"{_FILE} names base model {shown(named)}, adapter_config.json {shown(said)}: the latter "
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
