"""From what a user types to prompts: a path, a workspace name, a sample or a hub id; and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from probe import formats
from probe.live import LivePrompt
from probe.notes import note
from probe.paths import at_home
from probe.prompt import AnyPrompt
from probe.requests import ConvertRequest, takes
from probe.requests.base import is_object
from probe.requests.sources import PromptSource
from probe.store import Library, Workspace

_NAMED = 3
"""At most so many missing parts are named."""


def load(
    source: PromptSource,
    *,
    revision: str | None = None,
    adapter: str | None = None,
    tokenizer: Any = None,
    workspace: Workspace | None = None,
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
