"""What a model's own files say of it, so that a bad request is refused before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from probe.tables.files import Files

_ENCODERS = ("ForMaskedLM", "ForPreTraining")


@dataclass(frozen=True)
class ModelFacts:
    """A model that is there, and what it can do."""

    name: str
    writes: bool
    """Whether it may continue texts; encoders only label them."""
    positions: int | None
    """Most positions it can read, T; None where its configuration names no limit."""


def read_facts(name: str, files: Files, config: dict[str, Any]) -> ModelFacts:
    """The facts of a model.

    Args:
        name: as the user named it.
        files: of the model.
        config: its `config.json`.
    """
    architectures = config.get("architectures")
    first = str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    limit = config.get("max_position_embeddings")
    encoder = first.endswith(_ENCODERS) or files.size("modules.json") is not None
    return ModelFacts(
        name=name,
        writes=not encoder,
        positions=limit if isinstance(limit, int) and limit > 0 else None,
    )
