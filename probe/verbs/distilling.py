"""Distil a text into a prompt: its meaning is known, so its readings can be judged."""

from __future__ import annotations

import dataclasses
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.errors import TrainingError
from probe.requests import DistillRequest, command_of, takes, to_document
from probe.requests.sources import StepWatcher
from probe.results import Result
from probe.store import JobConfig, Workspace
from probe.tables import ALWAYS_NAMED, default_model
from probe.template import first_slot
from probe.texts import counted
from probe.verbs.checks import check_models, named_model, require_readers, require_writers
from probe.verbs.reading import ReadPrompt, read
from probe.verbs.training import full_path, new_config, place

if TYPE_CHECKING:
    from probe.distillation import Explained, Frame
    from probe.training import Training

_NAME_LETTERS = 40


@dataclass(frozen=True)
class Distilled(Result):
    """A text in a prompt, how much of it is there, and how it reads."""

    prompt: str
    """As the workspace keeps it, `name@version`."""
    model: str
    text: str
    length: int
    steps: int
    seed: int
    frame: str
    trained_contexts: int
    loss_nats: float
    """KL(teacher ‖ student) per token of the last batch."""
    explained: Explained
    """On held-out contexts."""
    truncated_text: str
    """As much of the text as fits into as many tokens as the prompt has rows."""
    truncated: Explained
    """What that has of the text's effect in the prompt's place."""
    seconds: float
    """From the opened model to the measured prompt."""
    reading: ReadPrompt

    def headline(self) -> list[str]:
        """How much of the text's effect the prompt has, and how much a cut text as long has."""
        own, cut = self.explained, self.truncated
        return [
            f"{own.share:.2f} of the text's effect is in {counted(self.length, 'row')} "
            f"({own.interval[0]:.2f} to {own.interval[1]:.2f}; {own.kl_nats:.3f} of "
            f"{own.kl0_nats:.3f} nats per token are left on {own.contexts} held-out contexts).",
            f"The text's first {counted(self.length, 'token')} ({self.truncated_text!r}) have "
            f"{cut.share:.2f} ({cut.interval[0]:.2f} to {cut.interval[1]:.2f}).",
            f"Kept as {self.prompt}; {self.seconds:.0f} s.",
        ]

    def _notebook_rows(self) -> list[dict[str, Any]]:
        """The prompt and the cut text beside each other."""
        given = {self.prompt: self.explained, repr(self.truncated_text): self.truncated}
        return [
            {
                "in the text's place": name,
                "share of its effect": one.share,
                "low": one.interval[0],
                "high": one.interval[1],
                "nats per token left": one.kl_nats,
            }
            for name, one in given.items()
        ]

    def _repr_html_(self) -> str:
        return super()._repr_html_() + self.reading._repr_html_()


@takes(DistillRequest)
def distill(asked: DistillRequest) -> Distilled:
    """Train a prompt to do what a text in its place does, keep it, and read it.

    Raises:
        TrainingError: the text is empty, or does not fit the model, the frame or the contexts.
        DataError: the file of contexts cannot be read.
        ModelNotFoundError: there is no such model.
    """
    workspace = Workspace(asked.workspace)
    asked = _settled(asked, workspace)
    from probe.jobs import distilling

    config = distilling.config_of(asked)
    begun = distilling.begin(distilling.open_model(asked), asked, config)
    loss = _trained(begun.training, asked.on_step)
    found = distilling.measure(begun, asked, config)
    seconds = time.perf_counter() - begun.opened_s
    kept = workspace.save(found.prompt).id
    return Distilled(
        prompt=kept,
        model=str(asked.model),
        text=asked.text,
        length=asked.length,
        steps=asked.steps,
        seed=asked.seed,
        frame=_frame_name(begun.frame),
        trained_contexts=len(begun.task.train),
        loss_nats=loss,
        explained=found.explained,
        truncated_text=found.truncated_text,
        truncated=found.truncated,
        seconds=seconds,
        reading=read(kept, asked.model, seed=asked.seed, workspace=workspace),
    )


@takes(DistillRequest)
def distill_config(asked: DistillRequest) -> JobConfig:
    """A distillation that could be started, what it asks for checked; writes nothing.

    Raises:
        TrainingError: the text is empty, or cannot stand in the frame.
        DataError: the file of contexts cannot be read.
        ModelNotFoundError: there is no such model.
    """
    asked = _settled(asked, Workspace(asked.workspace))
    from probe.jobs import distilling

    distilling.contexts_of(asked.contexts)
    training = distilling.config_of(asked).to_dict()
    return new_config("distill", str(asked.name), {**to_document(asked), "training": training})


def distill_command(config: JobConfig) -> tuple[str, ...]:
    """The command line that asks for the same distillation; what is at its default is left out."""
    from probe.jobs.distilling import request_of

    return command_of(request_of(config), "distill")


def _settled(asked: DistillRequest, workspace: Workspace) -> DistillRequest:
    """What is asked with nothing left open, places by their full paths."""
    text = asked.text.strip()
    if not text:
        raise TrainingError("expected a text to distil, found an empty one")
    if (slot := first_slot(text)) is not None:
        raise TrainingError(f"expected a text to distil without {slot}, found {text!r}")
    model = named_model(asked.model) or default_model()
    known = check_models([(model, None)], device=asked.device, workspace=workspace)
    require_writers(require_readers(known))
    contexts = asked.contexts
    return dataclasses.replace(
        asked,
        text=text,
        model=full_path(model, known=ALWAYS_NAMED) if isinstance(model, str) else model,
        contexts=place(contexts) if isinstance(contexts, str | Path) else contexts,
        name=asked.name or name_of(text),
    )


def _trained(training: Training, on_step: StepWatcher | None) -> float:
    """Train to the end; the last loss."""
    loss = 0.0
    for step in training:
        loss = step.loss_nats
        if on_step is not None:
            on_step(step)
    return loss


def name_of(text: str) -> str:
    """What the prompt of a text is called where nobody says."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower())[:_NAME_LETTERS].strip("-")
    return words or "distilled"


def _frame_name(frame: Frame) -> str:
    return frame.template if frame.name == "own" else frame.name
