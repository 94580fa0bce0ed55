"""What `probe evaluate` is asked."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from probe.requests.base import Option, RequestError
from probe.requests.shared import InWords, OfModel, OnData, OnDevice, Split
from probe.requests.sources import PromptSource, TaskSource


@dataclass(frozen=True)
class EvaluateRequest(OfModel, OnData, InWords, OnDevice):
    """Score prompts on a task, with 95 % intervals, beside baselines on the same examples."""

    prompts: Annotated[
        tuple[PromptSource, ...],
        Option(positional=True, metavar="[PROMPT]...", complete="prompt"),
    ] = ()
    """A file or folder (PATH#NAME picks one prompt of several), a workspace prompt (NAME or
    NAME@VERSION), a sample prompt, or a hub id. None where only baselines are wanted."""
    task: Annotated[TaskSource | None, Option(required=True, complete="task")] = None
    """A task's name, its task.toml or the folder of one. Or a data file with a text and a label in
    each row."""
    _: KW_ONLY
    split: Split = "test"
    """Which examples."""
    limit: Annotated[int | None, Option(minimum=1)] = None
    """At most so many examples, drawn at random but always the same ones."""
    zero_shot: bool = False
    """Also ask the model without a prompt."""
    hard: tuple[str, ...] = ()
    """Also ask with these hand-written words in front, repeatable; with {text} in them they are the
    whole template."""
    discretised: bool = False
    """Also ask with each prompt's nearest tokens, shuffled and random ones, and say how faithful
    they are."""
    ensemble: bool = False
    """Let all prompts vote; this result comes first."""
    fine_tuned: Annotated[int | None, Option(minimum=1, metavar="STEPS")] = None
    """Also fine-tune a copy of the whole model for so many steps."""
    all: bool = False
    """Every workspace prompt that was trained on the task."""
    record: bool = False
    """Add the result to each workspace prompt's history; tell of a drop."""
    seed: Annotated[int, Option(minimum=0)] = 0
    """Seed of intervals, controls and fine-tuning."""

    def check(self) -> None:
        """Check that something is to be scored.

        Raises:
            RequestError: nothing is, or prompts are named although all are asked for.
        """
        if self.prompts and self.all:
            raise RequestError("name prompts or ask for all, not both", "all")
        baseline = self.zero_shot or bool(self.hard) or self.fine_tuned is not None
        if not (self.prompts or self.all or baseline):
            raise RequestError("name prompts, all, or a baseline such as zero_shot", "prompts")
