"""What one prompt is, in the row `probe inspect` prints."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from probe.analysis.mixing import strength_note
from probe.errors import ProbeError
from probe.prompt import AnyPrompt, KVPrefix, SoftPrompt, Submodule
from probe.requests import InspectRequest, takes
from probe.results import Rows
from probe.store import Library, shape_of
from probe.tables import load_vocabulary, place_on_disk
from probe.vocabulary import EmbeddingScale


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
