"""Many sources, one pool of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from probe.errors import NotComparableError
from probe.prompt import AnyPrompt, PromptPair
from probe.requests.sources import PromptSource
from probe.store import Workspace
from probe.verbs.decoding import vocabulary_of
from probe.verbs.loading import load
from probe.vocabulary import Vocabulary


def gather(sources: Sequence[PromptSource], workspace: Workspace | None = None) -> list[AnyPrompt]:
    """Every trained prompt of the sources, in their order; a source may hold several.

    Raises:
        ProbeError: a source cannot be read.
    """
    every = (prompt for source in sources for prompt in prompts_of(source, workspace))
    return [prompt for prompt in every if prompt.trained]


def prompts_of(source: PromptSource, workspace: Workspace | None = None) -> list[AnyPrompt]:
    """Every prompt of a source; both halves of a pair.

    Raises:
        ProbeError: it cannot be read.
    """
    if isinstance(source, PromptPair):
        return [source.encoder, source.decoder]
    return load(source, workspace=workspace) if isinstance(source, str | Path) else [source]


def require_count(prompts: Sequence[AnyPrompt], least: int, what: str) -> None:
    """Refuse too few prompts.

    Raises:
        NotComparableError: there are fewer than that.
    """
    if len(prompts) < least:
        names = ", ".join(prompt.name for prompt in prompts) or "none"
        raise NotComparableError(f"{what} needs {least} or more trained prompts, found {names}")


def one_vocabulary(
    prompts: Sequence[AnyPrompt], model: str | Path | Vocabulary | None = None
) -> Vocabulary:
    """The vocabulary the prompts are read in: of the base model they share, or of the one named.

    Raises:
        NotComparableError: they name several base models.
        ModelNotFoundError: no base model is known, or it cannot be read.
    """
    if model is not None:
        return vocabulary_of(prompts[0], model)
    known = [prompt for prompt in prompts if prompt.base_model is not None]
    for other in known[1:]:
        if other.base_model != known[0].base_model:
            raise NotComparableError(
                f"{known[0].name} was trained on {known[0].base_model}, {other.name} on "
                f"{other.base_model}: name one model with --model (model= in Python) if they share "
                "its embedding table"
            )
    return vocabulary_of((known or prompts)[0])
