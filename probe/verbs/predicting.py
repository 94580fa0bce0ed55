"""What prompts answer to texts: labels with probabilities, or written texts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from probe.errors import ProbeError
from probe.notes import collected
from probe.requests import GenerateRequest, PredictRequest, takes
from probe.results import Result
from probe.task import Example, Task
from probe.texts import counted
from probe.verbs.asked_texts import Asked, asked_texts
from probe.verbs.checks import check_models, require_writers
from probe.verbs.prompts import LoadedPrompt, by_model, by_opened_model

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Prediction:
    """One prompt's label for one text."""

    text: str
    """Of several columns, all that the template names."""
    prompt: str
    label: str
    """The label word; the first of a label that has several."""
    probabilities: dict[str, float]
    """Of every label among the labels."""


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
    """One per label, or several with | between them."""


@dataclass(frozen=True)
class Predictions(Result):
    """What `probe predict` found: prompt by prompt for every text."""

    prompts: tuple[Used, ...]
    predictions: tuple[Prediction, ...]
    notes: tuple[str, ...] = ()
    """What was not done as it might seem: texts that were cut, another base model, …"""

    def _rows(self) -> list[dict[str, Any]]:
        """One row per text, prompt and label word."""
        return [
            {
                "text": one.text,
                "prompt": one.prompt,
                "label": word,
                "probability": share,
                "predicted": word == one.label,
            }
            for one in self.predictions
            for word, share in one.probabilities.items()
        ]

    def to_wide_frame(self) -> pd.DataFrame:
        """One row per text and prompt, with a column for each label's probability."""
        import pandas as pd

        return pd.DataFrame(
            {"text": one.text, "prompt": one.prompt, "label": one.label}
            | {f"probability {word}": share for word, share in one.probabilities.items()}
            for one in self.predictions
        )

    def headline(self) -> list[str]:
        """How often each prompt gives each label."""
        labels: dict[str, Counter[str]] = defaultdict(Counter)
        for one in self.predictions:
            labels[one.prompt][one.label] += 1
        return [
            f"{prompt} labels {counted(own.total(), 'text')}: "
            f"{', '.join(f'{label} {number}' for label, number in own.most_common())}."
            for prompt, own in labels.items()
        ]

    def figures(self) -> dict[str, go.Figure]:
        """The probability of every label of every text."""
        from probe.charts import probability_bars

        names = [f"{one.prompt}: {one.text}" for one in self.predictions]
        bars = probability_bars(names, [one.probabilities for one in self.predictions])
        return {"Probability of every label": bars}


@dataclass(frozen=True)
class Continuations(Result):
    """What `probe generate` wrote: prompt by prompt for every text."""

    prompts: tuple[Used, ...]
    max_new_tokens: int
    continuations: tuple[Continuation, ...]
    notes: tuple[str, ...] = ()
    """What was not done as it might seem."""

    def _rows(self) -> list[dict[str, Any]]:
        """One row per text and prompt."""
        return [vars(one) for one in self.continuations]


_Found = TypeVar("_Found")


@takes(PredictRequest)
def predict(asked: PredictRequest) -> Predictions:
    """The label of every text under every prompt; prompts of one model share their batches.

    A prompt that was trained on the task, or where none is named, is asked in the words it was
    trained with.

    Raises:
        DataError: rows name prompts that were not given.
        ProbeError: a prompt cannot be read or does not fit, or no label words are known.
    """
    with collected() as notes:
        found = asked_texts(asked)
        wording = _wording(asked.task)
        tasks = {
            loaded.name: loaded.labelling(asked.template, asked.label_word)
            if wording is None
            else loaded.worded(wording, asked.template, asked.label_word)
            for loaded in found.loaded_prompts
        }
        check_models(by_model(found.loaded_prompts), device=asked.device, workspace=asked.workspace)
        from probe.evaluation import label_scores, probabilities

        made: dict[tuple[int, str], Prediction] = {}
        for opened, group in by_opened_model(asked, found.loaded_prompts):
            conditions = [loaded.condition(tasks[loaded.name]) for loaded in group]
            every = label_scores(opened, conditions, _texts_of(found, group))
            for loaded, scores in zip(group, every, strict=True):
                shares = probabilities(scores).tolist()
                for place, row in zip(found.of(loaded), shares, strict=True):
                    example, own = found.examples[place], tasks[loaded.name]
                    made[place, loaded.name] = _prediction(example, loaded, own, row)
    return Predictions(_used(found.loaded_prompts, tasks), _ordered(found, made), tuple(notes))


@takes(GenerateRequest)
def generate(asked: GenerateRequest) -> Continuations:
    """What the model writes, greedily, behind every text under every prompt.

    Raises:
        ProbeError: a prompt cannot be read or does not fit, or the model writes no text.
    """
    longest = asked.max_new_tokens
    with collected() as notes:
        found = asked_texts(asked)
        tasks = {loaded.name: loaded.writing(asked.template) for loaded in found.loaded_prompts}
        models = by_model(found.loaded_prompts)
        require_writers(check_models(models, device=asked.device, workspace=asked.workspace))
        from probe.evaluation import generate as written_by

        made: dict[tuple[int, str], Continuation] = {}
        for opened, group in by_opened_model(asked, found.loaded_prompts):
            conditions = [loaded.condition(tasks[loaded.name]) for loaded in group]
            own_texts = _texts_of(found, group)
            outputs = written_by(opened, conditions, own_texts, max_new_tokens=longest)
            for loaded, written in zip(group, outputs, strict=True):
                for place, output in zip(found.of(loaded), written, strict=True):
                    text = tasks[loaded.name].shown(found.examples[place])
                    made[place, loaded.name] = Continuation(text, loaded.name, output)
    return Continuations(
        _used(found.loaded_prompts, tasks), longest, _ordered(found, made), tuple(notes)
    )


def _texts_of(asked: Asked, group: Sequence[LoadedPrompt]) -> list[list[Example]]:
    """The texts of each loaded of a group."""
    return [[asked.examples[place] for place in asked.of(loaded)] for loaded in group]


def _ordered(asked: Asked, made: Mapping[tuple[int, str], _Found]) -> tuple[_Found, ...]:
    """What was found, text by text and there prompt by prompt."""
    keys = (
        (place, one.name) for place in range(len(asked.examples)) for one in asked.loaded_prompts
    )
    return tuple(made[key] for key in keys if key in made)


def _wording(task: str | Path | Task | None) -> Task | None:
    """A task's template and label words."""
    from probe.datasets import load_wording

    found = task if task is None or isinstance(task, Task) else load_wording(task)
    if found is not None and found.kind != "classification":
        raise ProbeError(f"task {found.name} has no labels to predict: `probe generate` writes")
    return found


def _prediction(
    example: Example, loaded: LoadedPrompt, task: Task, shares: Sequence[float]
) -> Prediction:
    words = task.label_words
    probabilities = dict(zip(words, shares, strict=True))
    likeliest = max(words, key=probabilities.__getitem__)
    return Prediction(task.shown(example), loaded.name, likeliest, probabilities)


def _used(found: Sequence[LoadedPrompt], tasks: Mapping[str, Task]) -> tuple[Used, ...]:
    return tuple(
        Used(
            loaded.name,
            str(loaded.model),
            tasks[loaded.name].template,
            tasks[loaded.name].spelled_words,
        )
        for loaded in found
    )
