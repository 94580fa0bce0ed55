"""The reverse of decoding: for a typed token, the closest positions of many prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from probe.analysis.decoding import require_decodable
from probe.analysis.neighbours import (
    HIGHER_IS_BETTER,
    METRIC_NAMES,
    Metric,
    nearest_rows,
)
from probe.errors import NotDecodableError, ProbeError
from probe.live import IN_MEMORY
from probe.prompt import AnyPrompt, SoftPrompt
from probe.requests import FindRequest, takes
from probe.requests.sources import PromptSource
from probe.results import Result
from probe.store import Library, Workspace
from probe.tables import default_model, load_vocabulary
from probe.texts import counted
from probe.verbs.checks import named_model
from probe.verbs.decoding import one_vocabulary, taken_for
from probe.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas as pd

    from probe.requests.sources import TableSource


@dataclass(frozen=True)
class Match:
    """One position of one prompt."""

    prompt: str
    position: int
    score: float


@dataclass(frozen=True)
class Found(Result):
    """The positions closest to one token, best first."""

    token: str
    """As shown to people."""
    id: int
    model: str
    metric: Metric
    prompts: int
    """Number of prompts searched."""
    positions: int
    """Number of positions searched."""
    matches: tuple[Match, ...]
    notes: tuple[str, ...] = ()

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger score means nearer."""
        return HIGHER_IS_BETTER[self.metric]

    def _document(self) -> dict[str, Any]:
        return {**super()._document(), "higher_is_better": self.higher_is_better}

    def to_frame(self) -> pd.DataFrame:
        """One row per match, best first."""
        import pandas as pd

        return pd.DataFrame(
            [asdict(match) for match in self.matches], columns=["prompt", "position", "score"]
        )

    def headline(self) -> list[str]:
        """Where a token is closest, and among how many positions."""
        of = f"{counted(self.positions, 'position')} of {counted(self.prompts, 'prompt')}"
        if not self.matches:
            return ["no prompt on this model in the library: `probe library add FILE`"]
        best, direction = self.matches[0], "higher" if self.higher_is_better else "lower"
        return [
            f"{self.token} (#{self.id}) is closest to position {best.position} of {best.prompt}, "
            f"{METRIC_NAMES[self.metric]} {best.score:.4g} ({direction} is closer), "
            f"among {of} on {self.model}."
        ]


@takes(FindRequest)
def find(asked: FindRequest) -> Found:
    """The positions closest to a token, over the library or the given prompts.

    The library is the workspace's and the sample prompts of the base model.

    Raises:
        ProbeError: the token, a prompt or the model cannot be found, or widths differ.
        ValueError: a bad metric or k.
    """
    workspace = Workspace(asked.workspace)
    if asked.prompts:
        given = _given(asked.prompts, workspace)
        vocabulary = one_vocabulary(given, asked.model)
        row = token_id(asked.token, vocabulary)
        prompts = [require_decodable(prompt, vocabulary) for prompt in given]
    else:
        vocabulary = _named_vocabulary(asked.model or default_model())
        row = token_id(asked.token, vocabulary)
        prompts = _library(workspace, vocabulary)
    return Found(
        token=vocabulary.tokens[row],
        id=row,
        model=vocabulary.name,
        metric=asked.metric,
        prompts=len(prompts),
        positions=sum(map(len, prompts)),
        matches=_closest(prompts, vocabulary, row, asked),
        notes=taken_for(prompts, vocabulary),
    )


def _closest(
    prompts: Sequence[SoftPrompt], vocabulary: Vocabulary, row: int, asked: FindRequest
) -> tuple[Match, ...]:
    owners = [(prompt.name, position) for prompt in prompts for position in range(len(prompt))]
    if not owners:
        return ()
    rows = np.concatenate([prompt.embeddings for prompt in prompts])
    near = nearest_rows(vocabulary.rows([row]), rows, asked.metric, k=asked.k)
    return tuple(
        Match(prompt=owners[index][0], position=owners[index][1], score=float(score))
        for index, score in zip(near.ids[0], near.scores[0], strict=True)
    )


def token_id(token: str | int, vocabulary: Vocabulary) -> int:
    """The row of a token given by id or by text.

    Raises:
        ProbeError: there is no such row, or the text is several tokens.
    """
    if isinstance(token, int) or (token[:1] == "#" and token[1:].isascii() and token[1:].isdigit()):
        row = token if isinstance(token, int) else int(token[1:])
        if not 0 <= row < len(vocabulary):
            raise ProbeError(
                f"{vocabulary.name} has rows 0 to {len(vocabulary) - 1}, there is no row {row}"
            )
        return row
    shown = token.replace(" ", "␣")
    rows = [row for row, text in enumerate(vocabulary.tokens) if text == shown]
    if not rows:
        rows = vocabulary.encode(token.replace("␣", " ")) if vocabulary.codec else []
    if len(rows) == 1:
        return rows[0]
    pieces = ", ".join(f"{vocabulary.tokens[row]} (#{row})" for row in rows)
    raise ProbeError(
        f"expected one token of {vocabulary.name}, found {token!r} to be {len(rows)}"
        + (f": {pieces}; name one of them" if rows else ": type a token as `probe decode` shows it")
    )


def _library(workspace: Workspace, vocabulary: Vocabulary) -> list[SoftPrompt]:
    """Trained soft prompts of the workspace and the samples on this base model."""
    return [
        prompt
        for prompt in Library(workspace).of_model(vocabulary.name.removesuffix(IN_MEMORY))
        if isinstance(prompt, SoftPrompt) and prompt.width == vocabulary.width
    ]


def _named_vocabulary(model: TableSource) -> Vocabulary:
    return model if isinstance(model, Vocabulary) else load_vocabulary(named_model(model) or "")


def _given(sources: Sequence[PromptSource], workspace: Workspace) -> list[AnyPrompt]:
    prompts = Library(workspace).trained(sources)
    if not prompts:
        raise NotDecodableError("none of the given prompts was trained: name others")
    return prompts
