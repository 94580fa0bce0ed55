"""What is asked of prompts and their models: scores, labels and texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from probe.requests.base import Option, RequestError
from probe.requests.shared import InWords, OfModel, OnData, OnDevice, Split
from probe.requests.sources import Place, PromptSource, TaskSource, TextSource


@dataclass(frozen=True)
class EvaluateRequest(OfModel, OnData, InWords, OnDevice):
    """Score prompts on a task, with 95 % intervals, beside baselines on the same examples."""

    prompts: Annotated[tuple[PromptSource, ...], Option(positional=True, complete="prompt")] = ()
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
            RequestError: nothing is, prompts are named although all are asked for, or there are
                none to discretise.
        """
        if self.prompts and self.all:
            raise RequestError("give prompts or --all, not both", "all")
        if self.discretised and not (self.prompts or self.all):
            raise RequestError(
                "discretised asks with prompts' nearest tokens: give prompts, or leave it out",
                "discretised",
            )
        baseline = self.zero_shot or bool(self.hard) or self.fine_tuned is not None
        if not (self.prompts or self.all or baseline):
            raise RequestError(
                "give one or more prompts, or --all, or a baseline such as --zero-shot", "prompts"
            )


@dataclass(frozen=True)
class AskRequest(OfModel):
    """Put prompts in front of texts."""

    prompts: Annotated[tuple[PromptSource, ...], Option(positional=True, complete="prompt")] = ()
    """A file or folder (PATH#NAME picks one prompt of several), a workspace prompt (NAME or
    NAME@VERSION), a sample prompt, or a hub id. None where the file names one in every row."""
    text: tuple[TextSource, ...] = ()
    """A text, repeatable; it may be of many lines."""
    _: KW_ONLY
    file: Place | None = None
    """A .txt with one text per line, or a JSONL, CSV, TSV or Parquet file with the columns that the
    template names; a column `prompt` puts each row to the prompt it names."""
    text_column: Annotated[str | None, Option(metavar="NAME")] = None
    """The column of the file that is {text}. Default: text."""

    def check(self) -> None:
        """Check that something is asked about, and somebody is asked.

        Raises:
            RequestError: there are no texts, or no prompts and no rows that may name them.
        """
        if not self.text and self.file is None:
            raise RequestError("give one or more texts, or a --file", "text")
        rows = any(isinstance(text, Mapping) for text in self.text)
        if not (self.prompts or rows or self.file is not None):
            raise RequestError("name prompts, or give a --file with a column `prompt`", "prompts")


@dataclass(frozen=True)
class PredictRequest(AskRequest, InWords, OnDevice):
    """Label texts, with the probability of every label word; several prompts share a batch."""

    _: KW_ONLY
    task: Annotated[TaskSource | None, Option(complete="task")] = None
    """A task's name, its task.toml or the folder of one. Gives the words of prompts that were not
    trained on it."""


@dataclass(frozen=True)
class GenerateRequest(AskRequest, OnDevice):
    """Continue texts, greedily, with the prompt in front; several prompts share a batch."""

    _: KW_ONLY
    max_new_tokens: Annotated[int, Option(minimum=1)] = 32
    """Longest continuation."""
    template: str | None = None
    """The model's input with {text} in it; {text} alone reads texts as they are. Default: the
    prompt's own, if it tells."""
