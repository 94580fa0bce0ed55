"""Write a prompt in another layout."""

from __future__ import annotations

from pathlib import Path

from probe import formats
from probe.notes import note
from probe.prompt import AnyPrompt
from probe.store import Workspace
from probe.verbs.loading import load_one
from probe.verbs.parts import missing_parts


def convert(
    prompt: AnyPrompt | str | Path,
    dest: str | Path,
    *,
    to: str,
    workspace: Workspace | None = None,
) -> Path:
    """Write a prompt where nothing is yet; returns the path written.

    Args:
        prompt: a prompt, or anything `load` takes that holds one.
        dest: a new file, or a new folder for `peft`.
        to: the layout.
        workspace: where names are looked up; the default workspace when None.

    Raises:
        PromptFormatError: the prompt cannot be read or expressed in that layout, or `dest` exists.
    """
    if isinstance(prompt, str | Path):
        prompt = load_one(prompt, workspace=workspace)
    path = formats.save(prompt, Path(dest).expanduser(), to=to)
    if missing := missing_parts(prompt):
        note(f"{prompt.name} is written without {missing}, which it was trained with")
    return path
