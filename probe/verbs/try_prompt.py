"""One text under several prompts, each beside its model without a prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from probe.errors import ProbeError
from probe.notes import collected
from probe.results import Result
from probe.task import LabelWords, Task
from probe.texts import counted
from probe.verbs.prompts import LoadedPrompt, by_model, in_words, note_doubts

if TYPE_CHECKING:
    from probe.evaluation import Condition
    from probe.models import FrozenModel

Open = Callable[[str, str | None], "FrozenModel"]
"""From a model's name and revision to the model."""


@dataclass(frozen=True)
class Answer:
    """What a model says of a text with one prompt, and without any."""

    prompt: str
    model: str
    template: str
    label_words: tuple[str, ...]
    """Empty where the prompt writes text."""
    probabilities: dict[str, float]
    """Of every label word among the label words."""
    alone: dict[str, float]
    """The same without a prompt."""
    output: str
    """What is written behind the text, where there are no label words."""
    output_alone: str

    @property
    def label(self) -> str | None:
        """The likeliest label word."""
        return _likeliest(self.probabilities)

    @property
    def label_alone(self) -> str | None:
        """The likeliest label word without a prompt."""
        return _likeliest(self.alone)


@dataclass(frozen=True)
class Tried(Result):
    """One text, answered."""

    text: str
    answers: tuple[Answer, ...]
    notes: tuple[str, ...] = ()
    """What was not done as it might seem; whoever shows the answers says them."""

    def _rows(self) -> list[dict[str, Any]]:
        """One row per prompt and label word, or per prompt that writes."""
        rows: list[dict[str, Any]] = []
        for one in self.answers:
            named: dict[str, Any] = {"text": self.text, "prompt": one.prompt, "model": one.model}
            rows += [
                named | {"label": word, "probability": share, "zero_shot": one.alone[word]}
                for word, share in one.probabilities.items()
            ]
            if not one.label_words:
                rows.append(named | {"output": one.output, "zero_shot": one.output_alone})
        return rows


def try_on(
    text: str,
    prompts: Sequence[LoadedPrompt],
    *,
    template: str | None = None,
    label_words: LabelWords = (),
    max_new_tokens: int = 24,
    open_model: Open | None = None,
) -> Tried:
    """What prompts make of one text, each in the words it was trained with.

    A prompt that tells no label words, where its task has none either, writes on from the text.

    Args:
        text: any text.
        prompts: each with the model it is asked on.
        template: the model's input, in place of the prompts' own.
        label_words: two or more, in place of the prompts' own.
        max_new_tokens: longest continuation.
        open_model: gives models that are open already; they are loaded when None.

    Raises:
        ProbeError: a prompt does not fit, or there is nothing to ask.
    """
    if not text.strip() or not prompts:
        raise ProbeError(
            f"a text and one or more prompts are needed, found {counted(len(prompts), 'prompt')}"
        )
    made: dict[str, Answer] = {}
    with collected(said=False) as notes:
        for (name, revision), group in by_model(prompts).items():
            opened = (open_model or load_frozen)(str(name), revision)
            note_doubts(opened, group)
            for loaded in group:
                condition = loaded.condition(_task(loaded, template, label_words))
                made[loaded.name] = _answer(opened, loaded, condition, text, max_new_tokens)
    return Tried(text, tuple(made[loaded.name] for loaded in prompts), tuple(notes))


def _task(loaded: LoadedPrompt, template: str | None, label_words: LabelWords) -> Task:
    """The words a prompt is asked in: those given, its own, its task's."""
    if label_words or len(loaded.own_words[1]) >= 2:
        return loaded.labelling(template, label_words)
    known = _known_wording(loaded.one.task)
    if known is not None and known.kind == "classification":
        own = loaded.own_words[0]
        return in_words(known, template or own or known.template, known.words)
    return loaded.writing(template or (known.template if known else None))


def _known_wording(task: str | None) -> Task | None:
    from probe.datasets import load_wording, task_names

    return load_wording(task) if task in task_names() else None


def _answer(
    model: FrozenModel, loaded: LoadedPrompt, condition: Condition, text: str, longest: int
) -> Answer:
    from probe.evaluation import generate, label_scores, probabilities, zero_shot

    conditions = [condition, zero_shot(condition)]
    own: dict[str, float] = {}
    alone: dict[str, float] = {}
    written = ["", ""]
    words = condition.task.label_words
    if words:
        own, alone = (
            dict(zip(words, probabilities(scores)[0].tolist(), strict=True))
            for scores in label_scores(model, conditions, [[text], [text]])
        )
    else:
        outputs = generate(model, conditions, [[text], [text]], max_new_tokens=longest)
        written = [one[0] for one in outputs]
    return Answer(
        loaded.name, str(loaded.model), condition.task.template, tuple(words), own, alone, *written
    )


def load_frozen(name: str, revision: str | None) -> FrozenModel:
    """A whole model; the first one imports torch."""
    from probe.models import load_model

    return load_model(name, revision=revision)


def _likeliest(probabilities: dict[str, float]) -> str | None:
    return max(probabilities, key=probabilities.__getitem__, default=None)
