"""From what a user types to prompts: a path, a workspace name, a sample or a hub id; and back."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

from probe import formats
from probe.errors import NotDecodableError, PromptFormatError
from probe.notes import note
from probe.prompt import AnyPrompt, PromptPair
from probe.requests import ConvertRequest, takes
from probe.requests.sources import PromptSource
from probe.store import Workspace
from probe.suggestions import did_you_mean
from probe.texts import counted
from probe.verbs.shipped import sample_facts, sample_folders

_LOG = logging.getLogger(__name__)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(#.+)?", re.ASCII)


def load(
    source: str | Path, *, revision: str | None = None, workspace: Workspace | None = None
) -> list[AnyPrompt]:
    """Every prompt of a source.

    Args:
        source: the first that exists of: a file or folder (`PATH#name` picks one of its prompts),
            a workspace prompt (`name`, `name@version`), a sample prompt, a hub id.
        revision: branch, tag or commit of a hub id.
        workspace: where names are looked up; the default workspace when None.

    Raises:
        PromptFormatError: the source is none of these, or cannot be read.
        WorkspaceError: the workspace has the name but not that version, or its card is damaged.
    """
    workspace = workspace or Workspace()
    if isinstance(source, Path) or _is_path(source):
        return formats.load(_at_home(source))
    if source.partition("@")[0] in workspace.prompts.names():
        return [workspace.get(source)]
    if (sample := sample_folders().get(source)) is not None:
        return [with_facts(prompt, source) for prompt in formats.load(sample)]
    if _HUB_ID.fullmatch(source):
        return formats.load(source, revision=revision)
    raise PromptFormatError(_unknown(source, workspace))


def load_one(source: str | Path, *, workspace: Workspace | None = None) -> AnyPrompt:
    """The prompt of a source that holds one, or one trained prompt beside untrained rows.

    Raises:
        PromptFormatError: the source cannot be read, or one of its prompts must be named.
    """
    prompts = load(source, workspace=workspace)
    chosen = prompts if len(prompts) == 1 else [p for p in prompts if p.trained]
    if len(chosen) != 1:
        names = ", ".join(f"{source}#{prompt.name}" for prompt in prompts)
        raise PromptFormatError(
            f"{source} holds {counted(len(prompts), 'prompt')}: name one of {names}"
        )
    for prompt in prompts:
        if prompt is not chosen[0]:
            _LOG.info("left out %s: its rows were never trained", prompt.name)
    return chosen[0]


def single_prompt(source: PromptSource, workspace: Workspace) -> AnyPrompt:
    """The prompt given, or that of a source, where it is no pair.

    Raises:
        PromptFormatError: the source cannot be read, or one of its prompts must be named.
        NotDecodableError: it is the pair of an encoder's and a decoder's prompt.
    """
    if isinstance(source, PromptPair):
        raise NotDecodableError("expected one prompt, found a pair: take its encoder or decoder")
    return load_one(source, workspace=workspace) if isinstance(source, str | Path) else source


def with_facts(prompt: AnyPrompt, sample: str) -> AnyPrompt:
    """A sample prompt with what the manifest says and its file does not: task and wording."""
    fact = sample_facts().get(sample, {})
    wording = {key: fact[key] for key in ("template", "label_words") if key in fact}
    return dataclasses.replace(
        prompt, task=prompt.task or fact.get("task"), config=wording | dict(prompt.config)
    )


def known_names(workspace: Workspace) -> Sequence[str]:
    """Names of workspace and sample prompts."""
    return [*sorted(workspace.prompts.ids()), *sample_folders()]


def _is_path(source: str) -> bool:
    path, mark, _ = source.rpartition("#")
    looks_like_one = source.startswith(("/", "./", "../", "~", "\\")) or Path(source).is_absolute()
    return looks_like_one or _exists(source) or (bool(mark) and _exists(path))


def _exists(path: str) -> bool:
    return bool(path) and os.path.exists(_at_home(path))


def _at_home(path: str | Path) -> str:
    """The path with its `~` spelt out."""
    try:
        return os.path.expanduser(path)
    except ValueError:  # a null byte; what reads the path says that nothing is there
        return str(path)


def _unknown(source: str, workspace: Workspace) -> str:
    hint = did_you_mean(source, known_names(workspace)) or "; see `probe library` for names"
    return (
        f"no prompt {source!r}: expected a file or folder, a workspace or sample name, or a hub id "
        f"like owner/name{hint}"
    )


_NAMED = 3


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
    prompt = single_prompt(asked.prompt, Workspace(asked.workspace))
    path = formats.save(prompt, Path(asked.dest).expanduser(), to=asked.to)
    if missing := missing_parts(prompt):
        note(f"{prompt.name} is written without {missing}, which it was trained with")
    return path
