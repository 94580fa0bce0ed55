"""Writing a prompt: beside its place first, then renamed, never over something that is there."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from probe.atomic import folder_aside, is_full, settle, sync_folder
from probe.errors import PromptFormatError
from probe.formats.layouts import koboldai, peft_writer, probe_file
from probe.prompt import AnyPrompt, KVPrefix
from probe.suggestions import did_you_mean

WriteFormat = Literal["peft", "npy", "safetensors", "koboldai"]

_FOR_PREFIXES = ("peft", "safetensors")


def save(prompt: AnyPrompt, dest: str | Path, *, to: WriteFormat) -> Path:
    """Write a prompt and say where; PEFT makes a folder, the others one file.

    Args:
        prompt: what to write.
        dest: a path that is not there yet; its parent folders are made.
        to: the layout.

    Raises:
        PromptFormatError: `dest` is there already, cannot be written, or the layout cannot hold
            the prompt.
    """
    dest = Path(dest)
    _require_layout(prompt, to)
    if os.path.lexists(dest):
        raise PromptFormatError(f"{dest} is there already: choose another destination or remove it")
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with folder_aside(dest.parent) as aside:
            made = _fill(prompt, aside / dest.name, to)
            settle(aside)
            made.rename(dest)
        sync_folder(dest.parent)
    except OSError as error:
        why = "disk full" if is_full(error) else error.strerror
        raise PromptFormatError(f"{dest} cannot be written ({why})") from error
    return dest


def _require_layout(prompt: AnyPrompt, to: str) -> None:
    known = get_args(WriteFormat)
    if to not in known:
        raise PromptFormatError(
            f"expected one of {', '.join(known)} to write, found {to!r}{did_you_mean(to, known)}"
        )
    if isinstance(prompt, KVPrefix) and to not in _FOR_PREFIXES:
        raise PromptFormatError(
            f"{prompt.name!r} is a prefix of keys and values in every layer, which {to} cannot "
            f"hold: convert it to {' or '.join(_FOR_PREFIXES)}"
        )


def _fill(prompt: AnyPrompt, path: Path, to: str) -> Path:
    if to == "peft":
        path.mkdir()
        peft_writer.write(prompt, path)
    elif to == "safetensors" or isinstance(prompt, KVPrefix):
        path.write_bytes(probe_file.to_bytes(prompt))
    elif to == "koboldai":
        path.write_bytes(koboldai.to_bytes(prompt))
    else:
        array = io.BytesIO()
        np.save(array, prompt.embeddings, allow_pickle=False)
        path.write_bytes(array.getvalue())
    return path
