"""What the workspace knows of a prompt: `card.json`, beside its vectors."""

from __future__ import annotations

import dataclasses
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from probe.errors import WorkspaceError
from probe.formats.layouts.probe_file import CARD_FILE as CARD_FILE
from probe.notes import note
from probe.prompt import AnyPrompt, KVPrefix, trained_method
from probe.results import Result
from probe.store.files import require_kinds
from probe.texts import as_json

Kind = Literal["soft_prompt", "kv_prefix"]

_MAX_NAME = 100
"""Bytes: a folder's name has room for 255."""
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("name", "created", "kind", "method", "note", "tags"), (str,)),
    **dict.fromkeys(
        ("base_model", "task", "submodule", "sha256", "format", "origin"), (str, type(None))
    ),
    **dict.fromkeys(("version", "shape"), (int,)),
    "trained": (bool,),
    "metrics": (dict,),
}


@dataclass(frozen=True)
class Card(Result):
    """A stored prompt without its vectors."""

    name: str
    version: int
    created: str
    """When it was saved, ISO 8601 in UTC."""
    kind: Kind
    method: str
    shape: tuple[int, ...]
    """[P, H], or [L, heads, P, head_dim] of a prefix."""
    base_model: str | None
    task: str | None
    submodule: str | None
    trained: bool
    sha256: str | None
    """Digest of the file the vectors were first read from, where they came from a file."""
    format: str | None
    """Reader of that file."""
    origin: str | None
    """Path or hub id of that file."""
    metrics: dict[str, Any]
    tags: tuple[str, ...] = ()
    note: str = ""

    @property
    def id(self) -> str:
        """The prompt's folder and exact name, `name@version`."""
        return f"{self.name}@{self.version}"

    def matches(self, words: str) -> bool:
        """Whether every word occurs in the card, in any letter case."""
        parts = (self.id, self.method, self.base_model, self.task, self.note, *self.tags)
        text = "\n".join(part for part in parts if part).casefold()
        return all(word in text for word in words.casefold().split())


def card_of(prompt: AnyPrompt, *, name: str, version: int, created: str) -> Card:
    """The card of a prompt about to be stored under a name and version, at an ISO 8601 time."""
    prefix = isinstance(prompt, KVPrefix)
    source = prompt.provenance
    return Card(
        name=name,
        version=version,
        created=created,
        kind="kv_prefix" if prefix else "soft_prompt",
        method=trained_method(prompt),
        shape=shape_of(prompt),
        base_model=prompt.base_model,
        task=prompt.task,
        submodule=prompt.submodule,
        trained=prompt.trained,
        sha256=source.sha256 if source else None,
        format=source.format if source else None,
        origin=source.path if source else None,
        metrics=as_json(prompt.metrics),
    )


def shape_of(prompt: AnyPrompt) -> tuple[int, ...]:
    """[P, H] of a soft prompt, [L, heads, P, head_dim] of a prefix."""
    array = prompt.keys if isinstance(prompt, KVPrefix) else prompt.embeddings
    return tuple(int(n) for n in array.shape)


def parse_card(text: str, where: Path | str) -> Card:
    """The card a document holds.

    Raises:
        WorkspaceError: the document is not a card.
    """
    try:
        document = json.loads(text)
        known = {field.name for field in fields(Card)}
        if unknown := set(document) - known:
            raise ValueError(f"unknown fields {sorted(unknown)}")
        document["shape"] = tuple(document["shape"])
        document["tags"] = tuple(document["tags"])
        card = Card(**document)
        require_kinds(card, _KINDS)
        return dataclasses.replace(card, metrics=as_json(card.metrics))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise WorkspaceError(
            f"{where} is no prompt card ({str(error)[:120]}): "
            "`probe library remove` it and add the prompt again"
        ) from error


def workspace_name(name: str) -> str:
    """A name that is safe as a folder and on a command line: letters, digits, `._-`.

    `@` and `#` separate versions and prompts of a file, so they cannot stay either; saving a
    prompt that was read as `name@2` makes the next version of `name`.
    """
    without_version = re.sub(r"@\d+$", "", unicodedata.normalize("NFC", name))
    folded = re.sub(r"[^\w.-]+", "-", without_version)
    short = folded.strip("-.").encode()[:_MAX_NAME].decode(errors="ignore")
    return short.rstrip("-.") or "prompt"


def name_note(name: str) -> str | None:
    """What to say of a name that is kept as another; None where it is kept as it is."""
    kept = workspace_name(name)
    if kept in (name, unicodedata.normalize("NFC", name).partition("@")[0]):
        return None
    return f"{_brief(name)} is kept as {kept!r}: a name holds letters, digits and ._- alone"


def kept_name(name: str) -> str:
    """The name something is kept under; that it is another than was asked for is noted."""
    if line := name_note(name):
        note(line)
    return workspace_name(name)


def _brief(name: str) -> str:
    return repr(name if len(name) <= _MAX_NAME else f"{name[:_MAX_NAME]}…")


def clean_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags without blanks around them, each once, sorted.

    Raises:
        WorkspaceError: a tag is empty or holds a character that cannot be seen.
    """
    clean = {tag.strip() for tag in tags}
    if bad := sorted(tag for tag in clean if not tag or not tag.isprintable()):
        raise WorkspaceError(f"a tag must be visible text, found {bad[0]!r}")
    return tuple(sorted(clean))
