"""The sample prompts that come with `probe`: they are read, and never changed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from probe import formats
from probe.paths import shipped
from probe.prompt import AnyPrompt
from probe.store.card import Card, card_of


def sample_folders() -> dict[str, Path]:
    """The sample prompts by name, sorted."""
    root = shipped("sample_prompts")
    return {} if root is None else _folders(root)


def sample_facts() -> dict[str, dict[str, Any]]:
    """What the manifest says of each sample prompt: task, how it was made, what it scores."""
    root = shipped("sample_prompts")
    return {} if root is None else _manifest(root / "manifest.json")


@cache
def _folders(root: Path) -> dict[str, Path]:
    """Looked for once: what is shipped does not change."""
    return {path.name: path for path in sorted(root.iterdir()) if _holds_prompt(path)}


@cache
def _manifest(path: Path) -> dict[str, dict[str, Any]]:
    """By name; read once, likewise."""
    if not path.is_file():
        return {}
    entries = json.loads(path.read_text(encoding="utf-8"))["prompts"]
    return {entry["name"]: entry for entry in entries}


def load_sample(name: str) -> list[AnyPrompt]:
    """A sample with what the manifest says and its file does not: task and wording.

    Raises:
        PromptFormatError: its file cannot be read.
    """
    fact = sample_facts().get(name, {})
    wording = {key: fact[key] for key in ("template", "label_words") if key in fact}
    return [
        dataclasses.replace(
            prompt,
            task=prompt.task or fact.get("task"),
            config=wording | dict(prompt.config),
        )
        for prompt in formats.load(sample_folders()[name])
    ]


def sample_card(name: str, prompt: AnyPrompt) -> Card:
    """The card of a sample, with its scores and how it was made."""
    fact = sample_facts().get(name, {})
    card = card_of(prompt, name=name, version=1, created="")
    return dataclasses.replace(
        card,
        task=fact.get("task", card.task),
        metrics=fact.get("metrics", card.metrics),
        note=fact.get("how_made", card.note),
    )


def sample_cards(names: Sequence[str] | None = None) -> list[Card]:
    """The cards of these samples; of all when None."""
    named = sample_folders() if names is None else names
    return [sample_card(name, prompt) for name in named for prompt in load_sample(name)]


def _holds_prompt(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("adapter_config.json", "prompt.safetensors"))
