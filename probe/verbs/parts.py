"""What a prompt was trained with and comes without."""

from __future__ import annotations

from probe.prompt import AnyPrompt

_NAMED = 3


def missing_parts(prompt: AnyPrompt) -> str:
    """What its answers depend on beside the prompt itself, in words; empty where nothing."""
    kinds = {one.why: one.name for one in prompt.left_out if one.changes_answers}
    named = [f"{why} ({name})" for why, name in list(kinds.items())[:_NAMED]]
    return ", ".join(named) + (", …" if len(kinds) > _NAMED else "")
