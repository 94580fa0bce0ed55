"""Texts as a user gives them, and which prompt each of them is put to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from probe.errors import DataError, ProbeError
from probe.paths import at_home
from probe.requests.evaluation import AskRequest
from probe.requests.sources import TextSource
from probe.store import Workspace
from probe.task import Example
from probe.verbs.prompts import LoadedPrompt, load_prompts

PROMPT_COLUMN = "prompt"
"""Chooses the prompt of its row."""


@dataclass(frozen=True, eq=False)
class Asked:
    """Prompts, and the texts that each of them reads."""

    loaded_prompts: list[LoadedPrompt]
    examples: list[Example]
    chosen: list[int] | None
    """The loaded of each example; None where every prompt reads every text."""

    def of(self, loaded: LoadedPrompt) -> list[int]:
        """The places of an loaded's examples."""
        if self.chosen is None:
            return list(range(len(self.examples)))
        own = self.loaded_prompts.index(loaded)
        return [place for place, one in enumerate(self.chosen) if one == own]


def asked_texts(asked: AskRequest) -> Asked:
    """Read prompts and texts; where rows name their prompts, each is put to its own alone.

    Raises:
        DataError: some rows name a prompt and others none, or one that was not given.
        ProbeError: there are no texts or no prompts, or a prompt cannot be read.
    """
    texts = [*asked.text, *_texts_of(asked.file, asked.text_column)]
    names = [_prompt_name(text) for text in texts]
    if any(names) and not all(names):
        missing = names.index(None) + 1
        raise DataError(
            f"row {missing} names no prompt in the column {PROMPT_COLUMN!r}, others do: name one "
            "in every row, or in none"
        )
    sources = list(asked.prompts) or list(dict.fromkeys(name for name in names if name))
    if not sources or not texts:
        raise ProbeError(
            f"one or more prompts and texts are needed, found {len(sources)} and {len(texts)}"
        )
    found = load_prompts(sources, model=asked.model, workspace=Workspace(asked.workspace))
    examples = [_example(text) for text in texts]
    if not any(names):
        return Asked(found, examples, None)
    places = {loaded.name: place for place, loaded in enumerate(found)}
    places |= {str(source): place for place, source in enumerate(sources)}
    chosen = [_place(name or "", row, places) for row, name in enumerate(names, start=1)]
    used = sorted(set(chosen))
    return Asked([found[place] for place in used], examples, [used.index(one) for one in chosen])


def _texts_of(file: str | Path | None, text_column: str | None) -> list[TextSource]:
    """The rows of a file to ask about; none without one."""
    from probe.datasets import read_asked

    if file is None:
        return []
    rows = read_asked(at_home(file), text_column=text_column)
    if text_column == PROMPT_COLUMN:  # then it holds texts, as in data of questions and answers
        rows = [{name: row[name] for name in row if name != PROMPT_COLUMN} for row in rows]
    return list(rows)


def _prompt_name(text: TextSource) -> str | None:
    if not isinstance(text, Mapping):
        return None
    return str(text.get(PROMPT_COLUMN) or "").strip() or None


def _place(name: str, row: int, places: Mapping[str, int]) -> int:
    if name not in places:
        raise DataError(
            f"row {row} names the prompt {name!r} in its column {PROMPT_COLUMN!r}, expected one of "
            f"{', '.join(places)}: give that prompt too, or rename the column"
        )
    return places[name]


def _example(text: TextSource) -> Example:
    if isinstance(text, Example):
        return text
    if isinstance(text, str):
        return Example(text)
    if not isinstance(text, Mapping):
        raise DataError(
            f"expected a text, or a mapping with its columns, found {type(text).__name__} {text!r}"
        )
    if not isinstance(asked := text.get("text", ""), str):
        raise DataError(f"expected the column 'text' to be a text, found {asked!r}")
    columns = {
        name: str(value)
        for name, value in text.items()
        if name != PROMPT_COLUMN and value is not None
    }
    return Example(columns.get("text", ""), columns=columns)
