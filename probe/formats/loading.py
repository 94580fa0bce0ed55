"""From what a user names to prompts: a path, one prompt of it, or a hub repository."""

from __future__ import annotations

import os
from pathlib import Path

from probe.errors import PromptFormatError
from probe.formats.hub import is_hub_id, read_hub
from probe.formats.reading import read_path
from probe.prompt import AnyPrompt
from probe.suggestions import did_you_mean


def load(source: str | Path, *, revision: str | None = None) -> list[AnyPrompt]:
    """Every prompt of a file, a folder or a hub repository.

    Args:
        source: a path or a hub id `owner/name`; `PATH#name` picks one prompt, or one folder, of it.
        revision: branch, tag or commit of a hub repository.

    Raises:
        PromptFormatError: nothing is there, it holds no prompt, or a damaged or unsafe one.
    """
    whole = str(source)
    if os.path.exists(whole):
        return read_path(Path(whole))
    base, _, wanted = whole.rpartition("#")
    if base and wanted and os.path.exists(base):
        return _picked(Path(base), wanted)
    if is_hub_id(base or whole) and not Path(base or whole).parent.is_dir():
        return _from_hub(base or whole, revision, wanted if base else "")
    raise PromptFormatError(
        f"{whole}: expected a file, a folder or a hub id like owner/name, found nothing there"
    )


def _picked(path: Path, wanted: str) -> list[AnyPrompt]:
    """One prompt of a path, or those of one folder in it (PEFT keeps further adapters so)."""
    if wanted not in (".", "..") and (path / wanted).is_dir():
        return read_path(path / wanted)
    return [_named(read_path(path), wanted, str(path))]


def _from_hub(repository: str, revision: str | None, wanted: str) -> list[AnyPrompt]:
    if not wanted:
        return read_hub(repository, revision)
    try:
        return read_hub(repository, revision, wanted)
    except PromptFormatError:  # no such folder, so it names a prompt
        return [_named(read_hub(repository, revision), wanted, repository)]


def _named(prompts: list[AnyPrompt], wanted: str, source: str) -> AnyPrompt:
    exact = [prompt for prompt in prompts if prompt.name == wanted]
    found = exact or [prompt for prompt in prompts if prompt.name.endswith(f"-{wanted}")]
    if len(found) != 1:
        names = ", ".join(repr(prompt.name) for prompt in prompts[:20])
        hint = "" if found else did_you_mean(wanted, [prompt.name for prompt in prompts])
        raise PromptFormatError(f"{source} has no single prompt {wanted!r}, it holds {names}{hint}")
    return found[0]
