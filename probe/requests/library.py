"""What is asked of the places where prompts are kept."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from probe.requests.base import Option, Request
from probe.requests.shared import OfPrompt, OfPrompts
from probe.requests.sources import ModelName, Place


@dataclass(frozen=True)
class ConvertRequest(OfPrompt):
    """Write a prompt in another layout. Nothing is overwritten."""

    dest: Annotated[Place, Option(positional=True)]
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


@dataclass(frozen=True)
class PushRequest(OfPrompt):
    """Publish a prompt on a hub, with a card that says what it is worth."""

    repository: Annotated[str, Option(positional=True, metavar="OWNER/NAME")]
    """Repository of the hub; it is made where there is none."""
    _: KW_ONLY
    private: Annotated[bool, Option(flag="--private/--public")] = True
    """Whether only you see a repository that is made."""
    licence: Annotated[str | None, Option(flag="--licence --license")] = None
    """Licence of the prompt, as the hub spells it: apache-2.0, cc-by-4.0, …"""
    model: Annotated[ModelName | None, Option(complete="model")] = None
    """Base model to decode and read it on. Default: the prompt's own."""


@dataclass(frozen=True)
class PullRequest(Request):
    """Keep a prompt of a hub in the workspace."""

    repository: Annotated[str, Option(positional=True, metavar="OWNER/NAME")]
    """Repository of the hub; OWNER/NAME#FOLDER picks one folder."""
    _: KW_ONLY
    revision: str | None = None
    """Branch, tag or commit. Default: the newest."""
    tag: tuple[str, ...] = ()
    """Tag what is kept, repeatable."""
    note: str = ""
    """A note to keep with it."""
