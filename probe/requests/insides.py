"""What is asked about the insides of a model with a prompt: positions, layers, other tasks."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Literal

from probe.requests.base import Option, RequestError
from probe.requests.shared import (
    InFolder,
    InWords,
    OfModel,
    OfPrompt,
    OfPrompts,
    OnDevice,
    Split,
)
from probe.requests.sources import (
    Contexts,
    StepWatcher,
    TaskSource,
    read_names,
    read_numbers,
    read_whole_numbers,
)
from probe.requests.training import TEST_EXAMPLES

Attribution = Literal["gradient_input", "integrated_gradients"]
Baseline = Literal["mean", "zero", "start"]
PruneBy = Literal["removed", "gradient_input"]


@dataclass(frozen=True)
class AblateRequest(OfPrompt, OfModel, InFolder, InWords, OnDevice):
    """Change each position in turn and measure how the loss changes, beside attention."""

    task: Annotated[TaskSource, Option(complete="task")]
    """A task's name, its task.toml or the folder of one."""
    _: KW_ONLY
    split: Split = "test"
    """Which examples."""
    limit: Annotated[int | None, Option(minimum=1)] = 100
    """At most so many examples, drawn at random but always the same ones; the cost grows with
    examples × positions."""
    attribution: Annotated[tuple[Attribution, ...], Option(parse=read_names)] = ()
    """Also divide the loss among the rows by gradients: gradient_input, integrated_gradients or
    both with a comma between; with how far their ranks agree with the changes."""
    baseline: Baseline = "mean"
    """What rows become in an attribution: the mean of the prompt's rows, zero, or the start of
    training."""
    points: Annotated[int, Option(minimum=1)] = 32
    """Where integrated gradients are taken between rows and baseline."""
    seed: Annotated[int, Option(minimum=0)] = 0
    """Seed of swap partners and intervals."""


@dataclass(frozen=True)
class KnockOutRequest(OfPrompt, OfModel, InFolder, InWords, OnDevice):
    """Cut layers off from the prompt in turn and measure how the loss changes."""

    task: Annotated[TaskSource | None, Option(complete="task")] = None
    """A task's name, its task.toml or the folder of one. Without one, the divergence from the
    whole prompt is measured on contexts."""
    _: KW_ONLY
    contexts: Annotated[Contexts | None, Option(metavar="FILE")] = None
    """Without a task: a text file with a question or document per line, which the model answers
    with the prompt. Default: 16 questions that come with probe."""
    window: Annotated[int, Option(minimum=1)] = 1
    """Layers that are cut at once around each."""
    split: Split = "test"
    """Which examples of the task."""
    limit: Annotated[int | None, Option(minimum=1)] = 100
    """At most so many examples, drawn at random but always the same ones; the cost grows with
    examples × layers."""
    seed: Annotated[int, Option(minimum=0)] = 0
    """Seed of answers and intervals."""


@dataclass(frozen=True)
class PruneRequest(OfPrompt, OfModel, InFolder, InWords, OnDevice):
    """Prune the rows that hurt or do little, rewind the others to their start, and retrain them."""

    task: Annotated[TaskSource, Option(complete="task")]
    """A task's name, its task.toml or the folder of one."""
    _: KW_ONLY
    keep: Annotated[tuple[int, ...], Option(parse=read_whole_numbers, minimum=1)] = ()
    """Numbers of rows to keep, repeatable or with commas."""
    ratio: Annotated[tuple[float, ...], Option(parse=read_numbers)] = ()
    """Shares of the rows to prune in place of numbers, repeatable or with commas. Default:
    0.25,0.5,0.75."""
    by: PruneBy = "removed"
    """What makes a row important: how much the loss rises when it is removed, or the mean size of
    its gradient × input, as in XPrompt, which prunes what does little but not what hurts."""
    limit: Annotated[int | None, Option(minimum=1)] = 100
    """At most so many training examples rank the rows, drawn at random but always the same ones."""
    steps: Annotated[int | None, Option(minimum=1)] = None
    """Updates of the rows that are kept. Default: as many as the prompt was trained for, else as
    recommended for the model."""
    lr: float | None = None
    """Highest rate of these updates. Default: the one the prompt was trained at, likewise."""
    test_examples: Annotated[int, Option(minimum=0)] = TEST_EXAMPLES
    """At most so many test examples, from all over the split, score the prompt that is chosen
    beside the unpruned one; 0 scores none."""
    name: str | None = None
    """Of the chosen prompt in the workspace. Default: the prompt's, with -pruned."""
    seed: Annotated[int, Option(minimum=0)] = 0
    """Seed of intervals."""
    on_step: Annotated[StepWatcher | None, Option(shown=False)] = None
    """Called with every update."""

    def check(self) -> None:
        """Refuse shares that are none.

        Raises:
            RequestError: nothing or everything is to be pruned, or two options say how much.
        """
        if self.keep and self.ratio:
            raise RequestError("give keep or ratio, not both", "ratio")
        for one in self.ratio:
            if not 0 < one < 1:
                raise RequestError(
                    f"ratio must be a share of the rows above 0 and below 1, found {one!r}", "ratio"
                )
        if self.lr is not None and not self.lr > 0:
            raise RequestError(f"lr must be above 0, found {self.lr!r}", "lr")


@dataclass(frozen=True)
class LensRequest(OfPrompt, OfModel, OnDevice):
    """Read a prompt through the model's layers, beside random rows of the same norms."""

    _: KW_ONLY
    k: Annotated[int, Option(flag="-k --k", minimum=1)] = 5
    """Tokens per position."""
    describe: bool = False
    """Also patch the prompt's states into a text that asks for words."""
    term: tuple[str, ...] = ()
    """A class name to count in descriptions, repeatable. Default: the prompt's label words."""
    target: str | None = None
    """The text the states are put into, with {prompt} where they go. Default: three lists of
    classes."""
    draws: Annotated[int, Option(minimum=1)] = 20
    """Random prompts of the same norms beside it."""
    seed: Annotated[int, Option(minimum=0)] = 0
    """Seed of the random rows."""


@dataclass(frozen=True)
class TransferRequest(OfPrompts, OfModel, InFolder, OnDevice):
    """Score every prompt on every task, and correlate the scores with similarity."""

    task: Annotated[tuple[TaskSource, ...], Option(complete="task")]
    """A task's name, its task.toml or the folder of one. Repeatable."""
    _: KW_ONLY
    split: Split = "test"
    """Which examples."""
    limit: Annotated[int | None, Option(minimum=1)] = None
    """At most so many examples of each task, drawn at random but always the same ones."""
    measure: tuple[str, ...] = ()
    """A measure of `probe compare`, repeatable. Default: all that are defined for these prompts."""
    centre: bool = False
    """Subtract the prompts' mean row before rows are compared."""
    seed: Annotated[int, Option(minimum=0)] = 0
    """Seed of intervals and permutations."""
