"""What prompts make of texts that have no labels: predictions, and continuations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from probe.errors import ProbeError
from probe.notes import collected
from probe.store import Workspace
from probe.task import Example, LabelWords, Task
from probe.verbs.asked_texts import Asked, Prompts, Text, asked_texts, texts_of
from probe.verbs.asking import Asker, by_model, note_doubts
from probe.verbs.checks import check_models, require_writers
from probe.verbs.naming import option_names, several
from probe.verbs.predictions import Continuation, Continuations, Prediction, Predictions, Used

if TYPE_CHECKING:
    from probe.models import FrozenModel

_Found = TypeVar("_Found")


@option_names(text="texts", label_word="label_words")
def predict(
    prompts: Prompts = (),
    texts: Sequence[Text] = (),
    *,
    file: str | Path | None = None,
    text_column: str | None = None,
    task: str | Path | Task | None = None,
    model: str | Path | None = None,
    template: str | None = None,
    label_words: LabelWords = (),
    device: str | None = None,
    dtype: str | None = None,
    workspace: Workspace | None = None,
) -> Predictions:
    """The label of every text under every prompt; prompts of one model share their batches.

    A prompt that was trained on the task, or where none is named, is asked in the words it was
    trained with.

    Args:
        prompts: prompts, or anything `load` takes; none where the rows name theirs.
        texts: what to label: texts, or rows as dictionaries with the columns that the template
            names; the column `prompt` puts a row to that prompt alone.
        file: more of them: a `.txt` with one text per line, or a data file with such rows.
        text_column: the column of the file that is `{text}`; `text` when None.
        task: gives template and label words where a prompt does not tell its own.
        model: the frozen model; each prompt's own when None.
        template: the model's input, in place of all others.
        label_words: one per label, or a list of several, likewise.
        device: as torch names it; a GPU if there is one when None.
        dtype: precision of the model; float32 when None.
        workspace: the default one when None.

    Raises:
        DataError: rows name prompts that were not given.
        ProbeError: a prompt cannot be read or does not fit, or no label words are known.
    """
    with collected() as notes:
        asked = asked_texts(
            prompts,
            [*several(texts), *texts_of(file, text_column)],
            model=model,
            workspace=workspace or Workspace(),
        )
        wording = _wording(task)
        tasks = {
            asker.name: asker.labelling(template, label_words)
            if wording is None
            else asker.worded(wording, template, label_words)
            for asker in asked.askers
        }
        check_models(by_model(asked.askers), device=device, workspace=workspace)
        from probe.evaluation import label_scores_apart, probabilities

        made: dict[tuple[int, str], Prediction] = {}
        for opened, group in _by_opened_model(asked.askers, device, dtype):
            conditions = [asker.condition(tasks[asker.name]) for asker in group]
            every = label_scores_apart(opened, conditions, _texts_of(asked, group))
            for asker, scores in zip(group, every, strict=True):
                shares = probabilities(scores).tolist()
                for place, row in zip(asked.of(asker), shares, strict=True):
                    example, own = asked.examples[place], tasks[asker.name]
                    made[place, asker.name] = _prediction(example, asker, own, row)
    return Predictions(_used(asked.askers, tasks), _ordered(asked, made), tuple(notes))


@option_names(text="texts")
def generate(
    prompts: Prompts = (),
    texts: Sequence[Text] = (),
    *,
    file: str | Path | None = None,
    text_column: str | None = None,
    max_new_tokens: int = 32,
    model: str | Path | None = None,
    template: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    workspace: Workspace | None = None,
) -> Continuations:
    """What the model writes, greedily, behind every text under every prompt.

    Args:
        prompts: prompts, or anything `load` takes; none where the rows name theirs.
        texts: put into the template each prompt was trained with, or read as they are; or rows, as
            `predict` takes them.
        file: more of them, as in `predict`.
        text_column: the column of the file that is `{text}`; `text` when None.
        max_new_tokens: the longest continuation.
        model: the frozen model; each prompt's own when None.
        template: in place of the prompts' own; `{text}` is the text itself.
        device: as torch names it; a GPU if there is one when None.
        dtype: precision of the model; float32 when None.
        workspace: the default one when None.

    Raises:
        ProbeError: a prompt cannot be read or does not fit, or the model writes no text.
    """
    with collected() as notes:
        asked = asked_texts(
            prompts,
            [*several(texts), *texts_of(file, text_column)],
            model=model,
            workspace=workspace or Workspace(),
        )
        tasks = {asker.name: asker.writing(template) for asker in asked.askers}
        known = check_models(by_model(asked.askers), device=device, workspace=workspace)
        require_writers(known)
        from probe.evaluation import generate_apart

        made: dict[tuple[int, str], Continuation] = {}
        for opened, group in _by_opened_model(asked.askers, device, dtype):
            conditions = [asker.condition(tasks[asker.name]) for asker in group]
            own_texts = _texts_of(asked, group)
            outputs = generate_apart(opened, conditions, own_texts, max_new_tokens=max_new_tokens)
            for asker, written in zip(group, outputs, strict=True):
                for place, output in zip(asked.of(asker), written, strict=True):
                    text = tasks[asker.name].shown(asked.examples[place])
                    made[place, asker.name] = Continuation(text, asker.name, output)
    used = _used(asked.askers, tasks)
    return Continuations(used, max_new_tokens, _ordered(asked, made), tuple(notes))


def _texts_of(asked: Asked, group: Sequence[Asker]) -> list[list[Example]]:
    """The texts of each asker of a group."""
    return [[asked.examples[place] for place in asked.of(asker)] for asker in group]


def _ordered(asked: Asked, made: Mapping[tuple[int, str], _Found]) -> tuple[_Found, ...]:
    """What was found, text by text and there prompt by prompt."""
    keys = ((place, one.name) for place in range(len(asked.examples)) for one in asked.askers)
    return tuple(made[key] for key in keys if key in made)


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
        opened = load_model(name, revision=revision, device=device, dtype=dtype)
        note_doubts(opened, group)
        yield opened, group


def _prediction(example: Example, asker: Asker, task: Task, shares: Sequence[float]) -> Prediction:
    words = task.label_words
    probabilities = dict(zip(words, shares, strict=True))
    likeliest = max(words, key=probabilities.__getitem__)
    return Prediction(task.shown(example), asker.name, likeliest, probabilities)


def _used(found: Sequence[Asker], tasks: Mapping[str, Task]) -> tuple[Used, ...]:
    return tuple(
        Used(asker.name, asker.model, tasks[asker.name].template, tasks[asker.name].spelled_words)
        for asker in found
    )
