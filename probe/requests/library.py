"""What is asked of the places where prompts are kept."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from probe.requests.base import Option
from probe.requests.shared import OfPrompt, OfPrompts
from probe.requests.sources import ModelName, Place


@dataclass(frozen=True)
class ConvertRequest(OfPrompt):
    """Write a prompt in another layout. Nothing is overwritten."""

    dest: Annotated[Place, Option(positional=True, metavar="DEST")]
    """A new file, or a new folder for peft."""
    _: KW_ONLY
    to: Annotated[str, Option(complete="layout")]
    """Layout to write."""


@dataclass(frozen=True)
class AddToLibraryRequest(OfPrompts):
    """Keep every trained prompt of the sources. A name that exists gets its next version."""

    _: KW_ONLY
    tag: tuple[str, ...] = ()
    """Tag what is added, repeatable."""
    note: str = ""
    """A note to keep with it."""
    model: Annotated[ModelName | None, Option(complete="model")] = None
    """Base model to record where a source does not say."""
