"""From what a user types to prompts: what each is, and a prompt in another layout."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

from probe import formats
from probe.analysis.mixing import strength_note
from probe.errors import ProbeError
from probe.live import LivePrompt
from probe.notes import note
from probe.paths import at_home
from probe.prompt import AnyPrompt, KVPrefix, SoftPrompt, Submodule
from probe.requests import ConvertRequest, InspectRequest, takes
from probe.requests.base import is_object
from probe.requests.sources import PromptSource
from probe.results import Rows
from probe.store import Library, shape_of
from probe.tables import load_vocabulary, place_on_disk
from probe.vocabulary import EmbeddingScale

_NAMED = 3
"""At most so many missing parts are named."""


def load(
    source: PromptSource,
    *,
    revision: str | None = None,
    adapter: str | None = None,
    tokenizer: Any = None,
    workspace: str | PathLike[str] | None = None,
) -> list[AnyPrompt]:
    """Every prompt of a source, looked for as `Library.load` says.

    Args:
        source: a file or folder (`PATH#name` picks one of its prompts), a workspace prompt, a
            sample prompt or a hub id; or an object in memory: a PEFT model, a tensor, an array, a
            module or a state dict.
        revision: branch, tag or commit of a hub id.
        adapter: of a PEFT model in memory the only one to read; each of them when None.
        tokenizer: of a PEFT model's base model, for verbs that are given these prompts.
        workspace: where names are looked up; the default workspace when None.

    Raises:
        PromptFormatError: the source is none of these, or cannot be read.
        WorkspaceError: the workspace has the name but not that version, or its card is damaged.
    """
    if is_object(source):
        source = LivePrompt(source, adapter, tokenizer)
    return Library(workspace).load(source, revision=revision)


def missing_parts(prompt: AnyPrompt) -> str:
    """What its answers depend on beside the prompt itself, in words; empty where nothing."""
    kinds = {one.why: one.name for one in prompt.left_out if one.changes_answers}
    named = [f"{why} ({name})" for why, name in list(kinds.items())[:_NAMED]]
    return ", ".join(named) + (", …" if len(kinds) > _NAMED else "")


@takes(ConvertRequest)
def convert(asked: ConvertRequest) -> Path:
    """Write a prompt where nothing is yet; returns the path written.

    Raises:
        PromptFormatError: the prompt cannot be read or expressed in that layout, or the place is
            taken.
    """
    prompt = Library(asked.workspace).load_one(asked.prompt)
    path = formats.save(prompt, at_home(asked.dest), to=asked.to)
    if missing := missing_parts(prompt):
        note(f"{prompt.name} is written without {missing}, which it was trained with")
    return path


@takes(InspectRequest)
def inspect(asked: InspectRequest) -> Rows[dict[str, Any]]:
    """What each prompt is: the rows of `probe inspect --json`.

    Raises:
        ProbeError: a source cannot be read.
    """
    library = Library(asked.workspace)
    every = (one for source in asked.prompts for one in library.load(source))
    return Rows(map(describe, every), "store.prompts")


def describe(prompt: AnyPrompt) -> dict[str, Any]:
    """Name, format, shape, base model, digest and norms of a prompt, and what it came with.

    Where the base model is on this machine, also what its embedding layer multiplies rows by.
    """
    source = prompt.provenance
    scale = _scale(prompt)
    doubt = strength_note(prompt, scale) if scale else None
    reading = [f"{prompt.name}: {line}" for line in source.notes] if source else []
    return {
        "name": prompt.name,
        "kind": "kv_prefix" if isinstance(prompt, KVPrefix) else "soft_prompt",
        "format": source.format if source else None,
        "method": prompt.method,
        "shape": list(shape_of(prompt)),
        "base_model": prompt.base_model,
        "submodule": prompt.submodule,
        "trained": prompt.trained,
        "sha256": source.sha256 if source else None,
        "norms": [float(norm) for norm in prompt.norms],
        "embedding_factor": scale.factor if scale else None,
        "left_out": [
            asdict(one) | {"shape": None if one.shape is None else list(one.shape)}
            for one in prompt.left_out
        ],
        "notes": [*reading, *([doubt] if doubt else [])],
    }


def _scale(prompt: AnyPrompt) -> EmbeddingScale | None:
    """How long the rows are that the prompt's model feeds on, if the model is on this machine."""
    name = prompt.base_model
    # A file that is only looked at must not make this machine log in at a share it names.
    if not isinstance(prompt, SoftPrompt) or name is None or name.startswith(("//", "\\\\")):
        return None
    try:
        place = place_on_disk(name, prompt.revision)
        if place is None or not place.is_dir():  # a GGUF file's table would have to be unpacked
            return None
        scale, width = _scale_at(place.resolve(), prompt.submodule)
    except (ProbeError, OSError, RuntimeError):  # commands that need the model say what is wrong
        return None
    return scale if width == prompt.width else None


@lru_cache(maxsize=8)  # a folder of prompts mostly has one model
def _scale_at(place: Path, submodule: Submodule | None) -> tuple[EmbeddingScale, int]:
    """The scale of a model's table, and its width."""
    vocabulary = load_vocabulary(place, None, submodule or "input")
    return vocabulary.scale, vocabulary.width
