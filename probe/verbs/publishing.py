"""A prompt to a hub, with a card of what it is worth, and back into the workspace."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe import formats
from probe.errors import ProbeError, PromptFormatError, words_of
from probe.formats.layouts import probe_file
from probe.formats.reading import READ_FIRST
from probe.paths import is_hub_id
from probe.prompt import AnyPrompt
from probe.reports.model_card import model_card
from probe.requests import DecodeRequest, PullRequest, PushRequest, ReadRequest, takes
from probe.results import Result, Rows
from probe.store import Library, Workspace
from probe.verbs.decoding import decode
from probe.verbs.prompt_library import library_row
from probe.verbs.reading import read

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_CARD = "README.md"


@dataclass(frozen=True)
class Pushed(Result):
    """What `probe push` wrote to a hub, or would write."""

    repository: str
    files: tuple[str, ...]
    card: str
    url: str | None = None
    """Of the commit; None where nothing was written."""

    def headline(self) -> list[str]:
        """What was published, and where."""
        files = ", ".join(self.files)
        if self.url is None:
            return [f"{self.repository} would hold {files}; nothing was published."]
        return [f"Published {files}: {self.url}"]

    def _notebook_rows(self) -> list[dict[str, Any]]:
        """Its files; the card is no cell of a table."""
        return [{"files": name} for name in self.files]

    def _repr_html_(self) -> str:
        card = f'<pre style="white-space:pre-wrap">{escape(self.card)}</pre>'
        return super()._repr_html_() + card


@takes(PushRequest)
def push_plan(asked: PushRequest) -> Pushed:
    """The files and the card as `push` would write them; no hub is asked.

    Raises:
        PromptFormatError: the prompt cannot be read.
        ProbeError: the repository is no `owner/name`.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _written(asked, Path(folder))


@takes(PushRequest)
def push(asked: PushRequest) -> Pushed:
    """Publish a prompt: PEFT's files, the vectors as safetensors, and a model card, in one commit.

    The card holds base model, task, scores with intervals, nearest tokens beside their controls and
    the readings with their hit rate.

    Raises:
        PromptFormatError: the prompt cannot be read.
        ProbeError: the repository is no `owner/name`, or the hub refused; a repository that was
            made for it may be left, empty.
    """
    from huggingface_hub import HfApi

    with tempfile.TemporaryDirectory() as folder:
        plan = _written(asked, Path(folder))
        url = _uploaded(HfApi(), asked, folder)
    return Pushed(plan.repository, plan.files, plan.card, url)


@takes(PullRequest)
def pull(asked: PullRequest) -> Rows[dict[str, Any]]:
    """Keep every trained prompt of a repository in the workspace; their rows of the library.

    Raises:
        ProbeError: the repository is no `owner/name`, cannot be reached, or holds no prompt.
        WorkspaceError: the workspace cannot be written.
    """
    _require_hub_id(asked.repository.partition("#")[0])
    workspace = Workspace(asked.workspace)
    found = formats.load(asked.repository, revision=asked.revision)
    trained = [prompt for prompt in found if prompt.trained]
    if not trained:
        raise ProbeError(f"{asked.repository}: none of its rows was ever trained")
    cards = [workspace.save(prompt, tags=asked.tag, note=asked.note) for prompt in trained]
    return Rows([library_row(card) for card in cards], "store.prompts")


def _written(asked: PushRequest, folder: Path) -> Pushed:
    _require_hub_id(asked.repository)
    prompt = Library(asked.workspace).load_one(asked.prompt)
    not_in_peft = _write_adapter(prompt, folder)
    formats.save(prompt, folder / probe_file.FILE, to="safetensors")
    card = model_card(
        prompt,
        repository=asked.repository,
        licence=asked.licence,
        decoding=_decoded(prompt, asked),
        meaning=_meaning(prompt, asked),
        not_in_peft=not_in_peft,
    )
    (folder / _CARD).write_text(card, encoding="utf-8")
    files = tuple(sorted(file.name for file in folder.iterdir()))
    return Pushed(asked.repository, files, card)


def _write_adapter(prompt: AnyPrompt, folder: Path) -> str | None:
    """Write PEFT's files; why there are none where PEFT cannot express the prompt."""
    try:
        adapter = formats.save(prompt, folder / "adapter", to="peft")
    except PromptFormatError as error:
        return str(error)
    for file in adapter.iterdir():
        file.rename(folder / file.name)
    adapter.rmdir()
    return None


def _require_hub_id(repository: str) -> None:
    if not is_hub_id(repository):
        raise ProbeError(f"expected a repository like owner/name, found {repository!r}")


def _decoded(prompt: AnyPrompt, asked: PushRequest) -> Any:
    try:
        return decode(DecodeRequest(prompt, asked.model, workspace=asked.workspace))
    except ProbeError as error:
        return f"Not decoded: {error}"


def _meaning(prompt: AnyPrompt, asked: PushRequest) -> str:
    try:
        found = read(ReadRequest(prompt, asked.model, workspace=asked.workspace))
    except ProbeError:
        return ""
    return found.answer


def _uploaded(hub: HfApi, asked: PushRequest, folder: str) -> str:
    try:
        hub.create_repo(asked.repository, private=asked.private, exist_ok=True)
        said = "Upload soft prompt with probe"
        done = hub.upload_folder(
            repo_id=asked.repository,
            folder_path=folder,
            commit_message=said,
            # Of an earlier push: readers would take them before the vectors of this one.
            delete_patterns=READ_FIRST,
        )
    except Exception as error:  # the client lets through what its HTTP library of the day raises
        raise ProbeError(_refusal(asked.repository, error)) from error
    return str(done.commit_url)


def _refusal(repository: str, error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return (
            f"{repository}: the hub wants a token that may write there: `hf auth login`, or set "
            "HF_TOKEN"
        )
    return f"{repository}: not published ({words_of(error)})"
