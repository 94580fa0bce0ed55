"""Writing a prompt: beside its place first, then renamed, never over something that is there."""

from __future__ import annotations

import os
from pathlib import Path

from probe.atomic import TAKEN, folder_aside, rename_new, settle, sync_folder
from probe.errors import PromptFormatError, is_full, words_of
from probe.formats.registry import FORMATS, writable_formats
from probe.prompt import AnyPrompt, KVPrefix
from probe.texts import did_you_mean


def save(prompt: AnyPrompt, dest: str | Path, *, to: str) -> Path:
    """Write a prompt and say where; PEFT makes a folder, the others one file.

    Args:
        prompt: what to write.
        dest: a path that is not there yet; its parent folders are made.
        to: the layout, one of those in `FORMATS` that are written.

    Raises:
        PromptFormatError: `dest` is there already, cannot be written, or the layout cannot hold
            the prompt.
    """
    dest = Path(dest)
    _require_layout(prompt, to)
    if os.path.lexists(dest):
        raise PromptFormatError(f"{dest} {TAKEN}")
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with folder_aside(dest.parent) as aside:
            made = aside / dest.name
            _write(prompt, made, to)
            settle(aside)
            rename_new(made, dest)
        sync_folder(dest.parent)
    except OSError as error:
        if isinstance(error, FileExistsError) and os.path.lexists(dest):  # it came meanwhile
            raise PromptFormatError(f"{dest} {TAKEN}") from error
        why = "disk full" if is_full(error) else error.strerror
        raise PromptFormatError(f"{dest} cannot be written ({why})") from error
    return dest


def _require_layout(prompt: AnyPrompt, to: str) -> None:
    known = writable_formats()
    if to not in known:
        raise PromptFormatError(
            f"expected one of {', '.join(known)} to write, found {to!r}{did_you_mean(to, known)}"
        )
    if isinstance(prompt, KVPrefix) and not known[to].holds_prefixes:
        others = [name for name, one in known.items() if one.holds_prefixes]
        raise PromptFormatError(
            f"{prompt.name!r} is a prefix of keys and values in every layer, which {to} cannot "
            f"hold: convert it to {' or '.join(others)}"
        )


def _write(prompt: AnyPrompt, path: Path, to: str) -> None:
    """Fill a path, by a function that may be another's."""
    write = FORMATS[to].writer
    assert write is not None  # _require_layout has asked
    try:
        write(prompt, path)
    except (PromptFormatError, OSError):
        raise
    except Exception as error:
        if to in FORMATS.builtin:
            raise
        raise PromptFormatError(
            f"the format {to}, which an installed distribution adds, failed: {words_of(error)}"
        ) from error
