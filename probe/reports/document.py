"""What a report holds: questions with their answers, or with the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from probe.analysis.compare import Comparison, Measure
from probe.analysis.decoding import Decoding
from probe.analysis.maps import Map
from probe.analysis.starts import Drift
from probe.prompt import AnyPrompt

if TYPE_CHECKING:
    from probe.evaluation import Comparison as Scores

Answer = TypeVar("Answer")
Command = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Asked(Generic[Answer]):
    """One question, asked once."""

    command: Command
    """What asks it again."""
    answer: Answer | None = None
    refused: str | None = None
    """Why there is no answer; None where there is one."""


@dataclass(frozen=True, eq=False)
class PromptPart:
    """One prompt of the report."""

    prompt: AnyPrompt
    inspect: Command
    """What says again where it comes from."""
    decoding: Asked[Decoding]
    drift: Asked[Drift] | None
    """None where the prompt does not come from a run."""
    note: str = ""
    """What somebody noted of it in the workspace."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """One measure between every two prompts."""

    measure: Measure
    centre: bool
    drawn: bool
    """Whether it has a heat map, beside its row in the table."""
    asked: Asked[Comparison]
    model: str | None = None
    """The base model of these prompts, where the report's have several."""
    change: bool = False
    """Whether changes since the start were compared."""

    @property
    def ends(self) -> tuple[tuple[int, int, float], ...]:
        """The closest and the farthest pair (i, j, value); empty without an answer."""
        found = self.asked.answer
        if found is None:
            return ()
        i, j = np.triu_indices(len(found.prompts), 1)
        values = found.matrix[i, j]
        order = np.argsort(-values if found.higher_is_closer else values, kind="stable")
        return tuple((int(i[n]), int(j[n]), float(values[n])) for n in (order[0], order[-1]))


@dataclass(frozen=True)
class Left:
    """A question without an answer."""

    section: str
    prompt: str | None
    """None where it was asked of all prompts."""
    reason: str


@dataclass(frozen=True, eq=False)
class Report:
    """Everything on the page."""

    prompts: tuple[PromptPart, ...]
    similarities: tuple[Similarity, ...]
    """Of the prompts of each base model; empty where no two with rows share one."""
    maps: tuple[Asked[Map], ...]
    """One per base model."""
    scores: tuple[Asked[Scores], ...]
    """With faithfulness first, then those of prompts without nearest tokens; empty without task."""
    seed: int
    command: Command
    """What makes this report again."""
    alone: tuple[tuple[str, str], ...] = ()
    """Prompts that are compared with no other, since none shares their base model, with that."""

    @property
    def left(self) -> tuple[Left, ...]:
        """Every question that has no answer here."""
        of_one = [
            Left(section, part.prompt.name, asked.refused)
            for part in self.prompts
            for section, asked in (("decoding", part.decoding), ("drift", part.drift))
            if asked is not None and asked.refused is not None
        ]
        of_all = [
            *((one.measure, one.asked.refused) for one in self.similarities),
            *(
                ("similarity", f"{name} is alone on its base model, {model}")
                for name, model in self.alone
            ),
            *(("map", one.refused) for one in self.maps),
            *(("faithfulness", one.refused) for one in self.scores),
        ]
        return (*of_one, *(Left(name, None, why) for name, why in of_all if why is not None))
