"""The library: prompts kept in the workspace, and the samples that come with `probe`."""

from __future__ import annotations

import dataclasses
import logging
from os import PathLike
from typing import Any

from probe.digests import noted_digests
from probe.errors import PromptFormatError
from probe.prompt import AnyPrompt
from probe.requests import AddToLibraryRequest, takes
from probe.requests.sources import PromptSource
from probe.results import Rows
from probe.store import Card, Library, Workspace, sample_cards, sample_folders
from probe.verbs.checks import place_of_model

_LOG = logging.getLogger(__name__)


def library(
    search: str | None = None,
    *,
    tag: str | None = None,
    samples: bool = True,
    workspace: str | PathLike[str] | None = None,
) -> Rows[dict[str, Any]]:
    """One row per prompt of the workspace, then of the samples.

    Args:
        search: words that must all occur in name, task, base model, method, tags or note.
        tag: only prompts that carry it; samples carry none.
        samples: whether to list the sample prompts too.
        workspace: its folder, or itself; the default one when None.
    """
    workspace = Workspace(workspace)
    cards = [(card, "workspace") for card in workspace.list(tag)]
    for id_, why in workspace.damaged():
        _LOG.warning("left out %s, which is damaged: %s", id_, why)
    if samples and tag is None:
        cards += [(card, "sample") for card in sample_cards()]
    found = [(c, where) for c, where in cards if search is None or c.matches(search)]
    return Rows((library_row(card, where=where) for card, where in found), "store.prompts")


@takes(AddToLibraryRequest)
def add_to_library(asked: AddToLibraryRequest) -> list[Card]:
    """Keep every trained prompt of the sources; all are read before any is written.

    Raises:
        PromptFormatError: a source cannot be read.
        WorkspaceError: the workspace cannot be written.
    """
    workspace = Workspace(asked.workspace)
    prompts: list[AnyPrompt] = []
    for source in asked.prompts:
        every = Library(workspace).load(source)
        trained = [prompt for prompt in every if prompt.trained]
        if not trained:
            raise PromptFormatError(f"{_shown(source)}: none of its rows was ever trained")
        for prompt in every:
            if not prompt.trained:
                _LOG.info("left out %s: its rows were never trained", prompt.name)
        prompts += [_on_model(prompt, place_of_model(asked.model)) for prompt in trained]
    return [workspace.save(prompt, tags=asked.tag, note=asked.note) for prompt in prompts]


def prompt_log(name: str, *, workspace: str | PathLike[str] | None = None) -> list[dict[str, Any]]:
    """Every version of a prompt, oldest first: where it came from and what it has scored since.

    Args:
        name: a workspace prompt, with or without a version, or a sample, which has no history.
        workspace: its folder, or itself; the default one when None.

    Returns:
        The rows of `library`, each with `run` (that trained it, or None), `stored_sha256` (of the
        vectors as they are kept) and `evaluations` (what `evaluate(record=True)` wrote).

    Raises:
        WorkspaceError: there is no such prompt, or a card or a history is damaged.
    """
    workspace = Workspace(workspace)
    if name.partition("@")[0] not in workspace.prompts.names() and name in sample_folders():
        unknown: dict[str, Any] = {"run": None, "stored_sha256": None, "evaluations": []}
        return [library_row(card, where="sample") | unknown for card in sample_cards([name])]
    return [
        library_row(card)
        | {
            "run": _run_of(card, workspace),
            "stored_sha256": _stored_digest(card, workspace),
            "evaluations": [one.to_json() for one in workspace.prompts.history(card.id)],
        }
        for card in workspace.history(name)
    ]


def _run_of(card: Card, workspace: Workspace) -> str | None:
    try:
        run = workspace.prompts.load(card.id).config.get("run")
    except PromptFormatError as error:
        _LOG.warning("%s", error)
        return None
    return run if isinstance(run, str) else None


def _stored_digest(card: Card, workspace: Workspace) -> str | None:
    noted = noted_digests(workspace.prompts.root / card.id)
    return next((digest for name, digest in noted.items() if name.endswith(".safetensors")), None)


def library_row(card: Card, *, where: str = "workspace") -> dict[str, Any]:
    """A card as `probe library --json` prints it."""
    row = {"id": card.id, "where": where, **card.to_json()}
    if where == "sample":
        row |= {"id": card.name, "version": None, "created": None}
    return row


def _shown(source: PromptSource) -> str:
    return source.name if isinstance(source, AnyPrompt) else str(source)


def _on_model(prompt: AnyPrompt, model: str | None) -> AnyPrompt:
    return dataclasses.replace(prompt, base_model=prompt.base_model or model)
