"""What prompts make of texts that have no labels: predictions, and continuations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.errors import ProbeError
from probe.prompt import AnyPrompt, PromptPair
from probe.store import Workspace
from probe.task import Task
from probe.verbs.asking import Asker, askers, by_model

if TYPE_CHECKING:
    import pandas as pd

    from probe.evaluation import Way
    from probe.models import FrozenModel

Prompts = Sequence[AnyPrompt | PromptPair | str | Path]


@dataclass(frozen=True)
class Prediction:
    """One prompt's label for one text."""

    text: str
    prompt: str
    label: str
    """The label word."""
    probabilities: dict[str, float]
    """Of every label word among the label words."""


@dataclass(frozen=True)
class Continuation:
    """What one prompt's model writes behind one text."""

    text: str
    prompt: str
    output: str


@dataclass(frozen=True)
class Used:
    """A prompt, the model that read it and the words it read."""

    name: str
    model: str
    template: str
    label_words: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """One entry of `prompts` in the printed documents."""
        return vars(self) | {"label_words": list(self.label_words)}


@dataclass(frozen=True)
class Predictions:
    """What `probe predict` found: prompt by prompt for every text."""

    prompts: tuple[Used, ...]
    predictions: tuple[Prediction, ...]

    def to_json(self) -> dict[str, Any]:
        """The document `probe predict --json` prints."""
        return {
            "prompts": [used.to_json() for used in self.prompts],
            "predictions": [dict(vars(one)) for one in self.predictions],
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per text, prompt and label word."""
        import pandas as pd

        return pd.DataFrame(
            {
                "text": one.text,
                "prompt": one.prompt,
                "label": word,
                "probability": share,
                "predicted": word == one.label,
            }
            for one in self.predictions
            for word, share in one.probabilities.items()
        )


@dataclass(frozen=True)
class Continuations:
    """What `probe generate` wrote: prompt by prompt for every text."""

    prompts: tuple[Used, ...]
    max_new_tokens: int
    continuations: tuple[Continuation, ...]

    def to_json(self) -> dict[str, Any]:
        """The document `probe generate --json` prints."""
        return {
            "prompts": [used.to_json() for used in self.prompts],
            "max_new_tokens": self.max_new_tokens,
            "continuations": [dict(vars(one)) for one in self.continuations],
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per text and prompt."""
        import pandas as pd

        return pd.DataFrame([vars(one) for one in self.continuations])


def predict(
    prompts: Prompts,
    texts: Sequence[str],
    *,
    task: str | Path | Task | None = None,
    model: str | Path | None = None,
    template: str | None = None,
    label_words: Sequence[str] = (),
    device: str | None = None,
    dtype: str | None = None,
    workspace: Workspace | None = None,
) -> Predictions:
    """The label of every text under every prompt; prompts of one model share their batches.

    A prompt that was trained on the task, or where none is named, is asked in the words it was
    trained with.

    Args:
        prompts: prompts, or anything `load` takes.
        texts: what to label.
        task: gives template and label words where a prompt does not tell its own.
        model: the frozen model; each prompt's own when None.
        template: the model's input, in place of all others.
        label_words: one per label, likewise.
        device: as torch names it; a GPU if there is one when None.
        dtype: precision of the model; float32 when None.
        workspace: the default one when None.

    Raises:
        ProbeError: a prompt cannot be read or does not fit, or no label words are known.
    """
    from probe.evaluation import label_scores, probabilities

    found = _found(prompts, texts, model, workspace)
    wording = _wording(task)
    tasks = {
        asker.name: asker.labelling(template, label_words)
        if wording is None
        else asker.worded(wording, template, label_words)
        for asker in found
    }
    made: dict[str, list[Prediction]] = {}
    for opened, group in _by_opened_model(found, device, dtype):
        ways = [asker.way(tasks[asker.name]) for asker in group]
        for way, scores in zip(ways, label_scores(opened, ways, texts), strict=True):
            made[way.name] = [
                _prediction(text, way, row)
                for text, row in zip(texts, probabilities(scores).tolist(), strict=True)
            ]
    ordered = [made[asker.name][i] for i in range(len(texts)) for asker in found]
    return Predictions(_used(found, tasks), tuple(ordered))


def generate(
    prompts: Prompts,
    texts: Sequence[str],
    *,
    max_new_tokens: int = 32,
    model: str | Path | None = None,
    template: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    workspace: Workspace | None = None,
) -> Continuations:
    """What the model writes, greedily, behind every text under every prompt.

    Args:
        prompts: prompts, or anything `load` takes.
        texts: put into the template each prompt was trained with, or read as they are.
        max_new_tokens: the longest continuation.
        model: the frozen model; each prompt's own when None.
        template: in place of the prompts' own; `{text}` is the text itself.
        device: as torch names it; a GPU if there is one when None.
        dtype: precision of the model; float32 when None.
        workspace: the default one when None.

    Raises:
        ProbeError: a prompt cannot be read or does not fit, or the model writes no text.
    """
    from probe.evaluation import generate as written

    found = _found(prompts, texts, model, workspace)
    tasks = {asker.name: asker.writing(template) for asker in found}
    made: dict[str, list[str]] = {}
    for opened, group in _by_opened_model(found, device, dtype):
        ways = [asker.way(tasks[asker.name]) for asker in group]
        outputs = written(opened, ways, texts, max_new_tokens=max_new_tokens)
        made |= {way.name: own for way, own in zip(ways, outputs, strict=True)}
    ordered = [
        Continuation(text, asker.name, made[asker.name][i])
        for i, text in enumerate(texts)
        for asker in found
    ]
    return Continuations(_used(found, tasks), max_new_tokens, tuple(ordered))


def _found(
    prompts: Prompts,
    texts: Sequence[str],
    model: str | Path | None,
    workspace: Workspace | None,
) -> list[Asker]:
    if not prompts or not texts:
        raise ProbeError(
            f"one or more prompts and texts are needed, found {len(prompts)} and {len(texts)}"
        )
    return askers(prompts, model=model, workspace=workspace or Workspace())


def _wording(task: str | Path | Task | None) -> Task | None:
    """A task's template and label words.

    Raises:
        ProbeError: it has no labels.
    """
    from probe.datasets import load_wording

    found = task if task is None or isinstance(task, Task) else load_wording(task)
    if found is not None and found.kind != "classification":
        raise ProbeError(f"task {found.name} has no labels to predict: `probe generate` writes")
    return found


def _by_opened_model(
    found: Sequence[Asker], device: str | None, dtype: str | None
) -> Iterator[tuple[FrozenModel, list[Asker]]]:
    """Each model with its prompts, one at a time."""
    from probe.models import load_model

    for (name, revision), group in by_model(found).items():
        yield load_model(name, revision=revision, device=device, dtype=dtype), group


def _prediction(text: str, way: Way, shares: Sequence[float]) -> Prediction:
    words = way.task.label_words
    probabilities = dict(zip(words, shares, strict=True))
    return Prediction(text, way.name, max(words, key=probabilities.__getitem__), probabilities)


def _used(found: Sequence[Asker], tasks: Mapping[str, Task]) -> tuple[Used, ...]:
    return tuple(
        Used(asker.name, asker.model, tasks[asker.name].template, tasks[asker.name].label_words)
        for asker in found
    )
