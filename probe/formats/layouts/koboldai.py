"""KoboldAI: `.zip` of `tensor.npy` and `meta.json`, and the trainer's `.mkusp`.

Limits and dtypes (float16, float32, `V2` for bfloat16; fewer than 2048 rows) are those of
`checksp` in KoboldAI-Client/fileops.py; `prompt_tuner.py` writes both files.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from probe.errors import PromptFormatError
from probe.formats.build import Card, soft_prompt, text
from probe.formats.containers.json_yaml import read_json
from probe.formats.containers.safetensors_npy import read_npy
from probe.formats.content import Content, opened
from probe.formats.weights import left_out
from probe.prompt import AnyPrompt, SoftPrompt
from probe.texts import as_json, counted

_READER = "koboldai"
_MOST_ROWS = 2047
_TRAINER_KEYS = {"step", "loss", "tensor", "opt_state"}


def read(content: Content) -> list[AnyPrompt] | None:
    """The prompt of a `.zip` or `.mkusp`, None for any other file."""
    members = content.value
    if not isinstance(members, Mapping):
        return None
    if content.container == "zip" and "tensor.npy" in members:
        return [_from_zip(content, members)]
    if members.keys() >= _TRAINER_KEYS and isinstance(members["tensor"], np.ndarray):
        metrics = {key: members[key] for key in ("step", "loss") if _is_number(members[key])}
        rest = left_out(content.tensors, ["tensor"])
        card = Card(content.name, _READER, method="prompt_tuning", metrics=metrics, left_out=rest)
        return [soft_prompt(content, members["tensor"], card)]
    return None


def _from_zip(content: Content, members: Mapping[str, bytes]) -> SoftPrompt:
    rows = opened(content.path, read_npy, members["tensor.npy"])
    meta = opened(content.path, read_json, members.get("meta.json", b"{}"))
    config: Mapping[str, Any] = meta if isinstance(meta, Mapping) else {}
    card = Card(
        name=text(config, "name") or content.name,
        reader=_READER,
        method="prompt_tuning",
        config=config,  # `supported` lists model families in free text: no base-model id
    )
    return soft_prompt(content.inside(rows), rows, card)


def write(prompt: SoftPrompt, path: Path) -> None:
    """A `.zip` that KoboldAI loads: float32 rows, LZMA, the prompt's name and base model.

    Raises:
        PromptFormatError: more rows than KoboldAI accepts.
    """
    if len(prompt) > _MOST_ROWS:
        raise PromptFormatError(
            f"{prompt.name!r} has {counted(len(prompt), 'row')}, KoboldAI accepts at most "
            f"{_MOST_ROWS}"
        )
    author, description = text(prompt.config, "author"), text(prompt.config, "description")
    supported = prompt.config.get("supported")
    meta = {
        "name": prompt.name,
        "supported": supported or ([prompt.base_model] if prompt.base_model else []),
        "description": description or "",
    } | ({"author": author} if author else {})
    tensor = io.BytesIO()
    np.save(tensor, prompt.embeddings, allow_pickle=False)
    with zipfile.ZipFile(path, "w", compression=zipfile.ZIP_LZMA) as archive:
        archive.writestr("tensor.npy", tensor.getvalue())
        archive.writestr("meta.json", json.dumps(as_json(meta), indent=2))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
