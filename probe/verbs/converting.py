"""Write a prompt in another layout."""

from __future__ import annotations

from pathlib import Path

from probe import formats
from probe.notes import note
from probe.requests import ConvertRequest, takes
from probe.store import Workspace
from probe.verbs.loading import missing_parts, single_prompt


@takes(ConvertRequest)
def convert(asked: ConvertRequest) -> Path:
    """Write a prompt where nothing is yet; returns the path written.

    Raises:
        PromptFormatError: the prompt cannot be read or expressed in that layout, or the place is
            taken.
    """
    prompt = single_prompt(asked.prompt, Workspace(asked.workspace))
    path = formats.save(prompt, Path(asked.dest).expanduser(), to=asked.to)
    if missing := missing_parts(prompt):
        note(f"{prompt.name} is written without {missing}, which it was trained with")
    return path
