"""The library: prompts of a workspace, samples, and every other source that a user can name."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from probe import formats
from probe.errors import NotDecodableError, PromptFormatError
from probe.live import as_live_prompt
from probe.paths import is_hub_id
from probe.prompt import AnyPrompt, KVPrefix, PromptPair, SoftPrompt
from probe.requests.sources import PromptSource
from probe.store.samples import load_sample, sample_folders
from probe.store.workspace import Workspace
from probe.texts import counted, did_you_mean

_LOG = logging.getLogger(__name__)


class Library:
    """A workspace and the samples, and every other source by its path or hub id."""

    def __init__(self, workspace: str | os.PathLike[str] | None = None) -> None:
        self.workspace = Workspace(workspace)

    def names(self) -> list[str]:
        """Names of workspace prompts, then of samples."""
        return [*sorted(self.workspace.prompts.ids()), *sample_folders()]

    def load(self, source: PromptSource, *, revision: str | None = None) -> list[AnyPrompt]:
        """Every prompt of a source; both halves of a pair.

        Args:
            source: a prompt, an object in memory that holds one, or the first that exists of: a
                file or folder (`PATH#name` picks one of its prompts), a workspace prompt (`name`,
                `name@version`), a sample, a hub id.
            revision: branch, tag or commit of a hub id.

        Raises:
            PromptFormatError: the source is none of these, or cannot be read.
            WorkspaceError: the workspace has the name but not that version, or its card is damaged.
        """
        if isinstance(source, PromptPair):
            return [source.encoder, source.decoder]
        if isinstance(source, SoftPrompt | KVPrefix):
            return [source]
        if not isinstance(source, str | Path):
            return formats.read_object(as_live_prompt(source))
        if isinstance(source, Path) or _is_path(source):
            return formats.load(_at_home(source))
        if self._holds(source):
            return [self.workspace.get(source)]
        if source in sample_folders():
            return load_sample(source)
        if is_hub_id(source.partition("#")[0]):
            return formats.load(source, revision=revision)
        raise PromptFormatError(self._unknown(source))

    def load_one(self, source: PromptSource) -> AnyPrompt:
        """The prompt of a source that holds one, or one trained prompt beside untrained rows.

        Raises:
            PromptFormatError: the source cannot be read, or one of its prompts must be named.
            NotDecodableError: it is the pair of an encoder's and a decoder's prompt.
        """
        if isinstance(source, PromptPair):
            raise NotDecodableError(
                "expected one prompt, found a pair: take its encoder or decoder"
            )
        if not isinstance(source, str | Path | SoftPrompt | KVPrefix):
            source = formats.one_adapter(as_live_prompt(source))
        prompts = self.load(source)
        chosen = prompts if len(prompts) == 1 else [p for p in prompts if p.trained]
        if len(chosen) != 1:
            raise PromptFormatError(
                f"{source} holds {counted(len(prompts), 'prompt')}: {_choices(source, prompts)}"
            )
        for prompt in prompts:
            if prompt is not chosen[0]:
                _LOG.info("left out %s: its rows were never trained", prompt.name)
        return chosen[0]

    def trained(self, sources: Iterable[PromptSource]) -> list[AnyPrompt]:
        """Every trained prompt of the sources, in their order.

        Raises:
            ProbeError: a source cannot be read.
        """
        every = (prompt for source in sources for prompt in self.load(source))
        return [prompt for prompt in every if prompt.trained]

    def of_model(self, model: str) -> Iterator[AnyPrompt]:
        """Trained prompts of the workspace and the samples on a base model."""
        for card in self.workspace.list():
            if card.base_model == model and card.trained:
                yield self.workspace.get(card.id)
        for name in sample_folders():
            yield from (p for p in load_sample(name) if p.base_model == model and p.trained)

    def place(self, reference: str) -> str:
        """The path of a prompt, looked for in the order of `load`; a hub id stays one."""
        path = _at_home(reference)
        if os.path.exists(path) or os.path.exists(path.rpartition("#")[0]):
            return os.path.abspath(path)
        if self._holds(reference):
            return str(self.workspace.prompts.root / self.workspace.card(reference).id)
        return str(sample_folders().get(reference, reference))

    def _holds(self, reference: str) -> bool:
        return reference.partition("@")[0] in self.workspace.prompts.names()

    def _unknown(self, source: str) -> str:
        hint = did_you_mean(source, self.names()) or "; see `probe library` for names"
        return (
            f"no prompt {source!r}: expected a file or folder, a workspace or sample name, or a "
            f"hub id like owner/name{hint}"
        )


def _choices(source: object, prompts: Sequence[AnyPrompt]) -> str:
    """How one of several prompts is chosen."""
    if isinstance(source, str | Path):
        return f"name one of {', '.join(f'{source}#{prompt.name}' for prompt in prompts)}"
    return f"take one of those that probe.load gives ({', '.join(one.name for one in prompts)})"


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
