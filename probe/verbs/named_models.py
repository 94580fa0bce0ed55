"""Base models as they are asked for: by name or place, or as objects in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from probe.errors import ModelNotFoundError
from probe.live import LiveModel, live_model
from probe.prompt import AnyPrompt
from probe.vocabulary import Vocabulary

if TYPE_CHECKING:
    from probe.requests.sources import ModelName, TableSource


def base_of(prompt: AnyPrompt) -> ModelName | None:
    """The base model a prompt is read on where none is named; None where it tells none."""
    return prompt.live_model or prompt.base_model


def place_of_model(model: TableSource | None) -> str | None:
    """What a kept prompt says of its base model: a name or a place; of one in memory its own."""
    named = named_model(model)
    return named.place if isinstance(named, LiveModel) else named


def named_model(model: TableSource | None) -> ModelName | None:
    """A base model as it was asked for: its name or place as text, or the object in memory.

    Raises:
        ModelNotFoundError: it is a table, which cannot be run.
    """
    if model is None or isinstance(model, LiveModel):
        return model
    if isinstance(model, Vocabulary):
        raise ModelNotFoundError(
            f"expected a model that can be run, found the vocabulary of {model.name} alone: give "
            "the model itself (model=)"
        )
    return str(model) if isinstance(model, str | Path) else live_model(model)
