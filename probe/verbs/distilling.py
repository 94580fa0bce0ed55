"""Distil a text into a prompt: its meaning is known, so its readings can be judged."""

from __future__ import annotations

import dataclasses
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from probe.errors import TrainingError
from probe.prompt import AnyPrompt
from probe.requests import DistillRequest, takes
from probe.requests.sources import Contexts, StepWatcher
from probe.results import Result
from probe.store import Workspace
from probe.tables import default_model
from probe.verbs.checks import check_models, require_writers
from probe.verbs.reading import ReadPrompt, read

if TYPE_CHECKING:
    from probe.distillation import Explained, Frame
    from probe.models import FrozenModel
    from probe.task import Task
    from probe.training import Training

CONTEXTS = 32
"""Of the shipped questions; the last quarter is held out."""
ANSWER_TOKENS = 24
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


@takes(DistillRequest)
def distill(asked: DistillRequest) -> Distilled:
    """Train a prompt to do what a text in its place does, keep it, and read it.

    Raises:
        TrainingError: the text is empty, or does not fit the model, the frame or the contexts.
        DataError: the file of contexts cannot be read.
        ModelNotFoundError: there is no such model.
    """
    if not asked.text.strip():
        raise TrainingError("expected a text to distil, found an empty one")
    workspace = Workspace(asked.workspace)
    named = str(asked.model or default_model())
    require_writers(check_models([(named, None)], device=asked.device, workspace=workspace))
    from probe.distillation import distillation_config, distillation_task, frame_of
    from probe.models.loading import fast_dtype
    from probe.studies.sources import load_frozen
    from probe.training import train

    text, length, seed = asked.text, asked.length, asked.seed
    config = distillation_config(text, length, steps=asked.steps, seed=seed)
    dtype = asked.dtype or fast_dtype(asked.device)
    opened = load_frozen(named, device=asked.device, dtype=dtype)
    began = time.perf_counter()
    frame = frame_of(opened, asked.frame)
    task = distillation_task(
        opened,
        text,
        frame,
        length=length,
        contexts=_contexts(asked.contexts),
        answer_tokens=ANSWER_TOKENS,
        seed=seed,
    )
    training = train(opened, task, config)
    loss = _trained(training, asked.on_step)
    cut, measured, beside = _measured(opened, task, text, training.prompts[0], seed)
    made = _with_origin(training.prompts[0], asked.name or _name(text), measured)
    seconds = time.perf_counter() - began
    kept = workspace.save(made).id
    return Distilled(
        prompt=kept,
        model=named,
        text=text,
        length=length,
        steps=asked.steps,
        seed=seed,
        frame=_frame_name(frame),
        trained_contexts=len(task.train),
        loss_nats=loss,
        explained=measured,
        truncated_text=cut,
        truncated=beside,
        seconds=seconds,
        reading=read(kept, named, seed=seed, workspace=workspace),
    )


def _contexts(contexts: Contexts | None) -> list[str]:
    from probe.distillation import default_contexts, read_contexts

    if contexts is None:
        return default_contexts()[:CONTEXTS]
    if isinstance(contexts, str | Path):
        return read_contexts(Path(contexts).expanduser())
    return list(contexts)


def _trained(training: Training, on_step: StepWatcher | None) -> float:
    """Train to the end; the last loss.

    Raises:
        TrainingError: the prompt diverged.
    """
    loss = 0.0
    for step in training:
        loss = step.loss_nats
        if on_step is not None:
            on_step(step)
    if training.runs[0].diverged:
        raise TrainingError(f"{training.runs[0].stopped}: try another seed or text")
    return loss


def _measured(
    model: FrozenModel, task: Task, text: str, prompt: AnyPrompt, seed: int
) -> tuple[str, Explained, Explained]:
    """The truncated text, and how much of the text's effect the prompt and that have."""
    from probe.distillation.explained import row_divergences, share_explained, taught_rows
    from probe.training.initialise import text_ids

    rows = taught_rows(model, task, text, task.test)
    without = row_divergences(model, rows, None)
    ids = text_ids(model, text)
    cut = text if len(ids) <= len(prompt) else model.tokenizer.decode(ids[: len(prompt)])
    own, beside = (
        share_explained(row_divergences(model, rows, given), without, seed=seed)
        for given in (prompt, cut)
    )
    return cut, own, beside


def _with_origin(prompt: AnyPrompt, name: str, found: Explained) -> AnyPrompt:
    metrics = {
        "kl_nats": found.kl_nats,
        "kl0_nats": found.kl0_nats,
        "share_explained": found.share,
        "share_explained_interval": list(found.interval),
    }
    return dataclasses.replace(prompt, name=name, metrics={**prompt.metrics, **metrics})


def _name(text: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", text.lower())[:_NAME_LETTERS].strip("-")
    return words or "distilled"


def _frame_name(frame: Frame) -> str:
    return frame.template if frame.name == "own" else frame.name
