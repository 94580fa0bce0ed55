"""How good prompts are on a task, beside what they must be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from probe.datasets import sample
from probe.datasets.bare import is_data_file
from probe.errors import DataError, ModelNotFoundError, ProbeError
from probe.notes import collected
from probe.requests import EvaluateRequest, takes
from probe.requests.shared import Split
from probe.results import Result
from probe.store import Workspace
from probe.task import Example, LabelWords, Task
from probe.verbs.baselines import baseline_conditions, fine_tuned_answers
from probe.verbs.checks import check_models, named_model, require_writers
from probe.verbs.held_out import task_as_trained
from probe.verbs.prompts import LoadedPrompt, by_model, in_words, load_prompts, note_doubts
from probe.verbs.recording import Recorded, record_all, require_stored, stored_on

if TYPE_CHECKING:
    from probe.evaluation import Answers, Comparison, Evaluation, Faithfulness, Readability
    from probe.models import FrozenModel
    from probe.requests.sources import ModelName, ModelSource


@dataclass(frozen=True)
class Evaluated(Result):
    """What `probe evaluate` found, and what it wrote down."""

    comparison: Comparison
    records: tuple[Recorded, ...] = ()
    notes: tuple[str, ...] = ()
    """What was not done as it might seem: texts that were cut, another base model, …"""
    _whole: ClassVar[str] = "comparison"


@takes(EvaluateRequest)
def evaluate(asked: EvaluateRequest) -> Evaluated:
    """Score prompts on a task, with paired bootstrap intervals.

    A prompt that was trained on this task is asked in the words it was trained with.

    Raises:
        DataError: the task or its examples cannot be read.
        ModelNotFoundError: no model is known, or it cannot be loaded.
        ProbeError: a prompt cannot be read or does not fit, or the words do not.
    """
    workspace = Workspace(asked.workspace)
    if asked.task is None:
        raise DataError("name the task, such as task='mood'")
    stored = stored_on(asked.task, workspace=workspace) if asked.all else []
    found = load_prompts([*asked.prompts, *stored], model=asked.model, workspace=workspace)
    models = by_model(found) or _named(asked.model)
    known = check_models(models, device=asked.device, workspace=workspace)
    if asked.record:
        require_stored([loaded.name for loaded in found], workspace)
    with collected() as notes:
        question = _question(asked, found)
        if question.task.kind == "generation":
            require_writers(known)
        comparison = _compared(question, found)
    records = record_all(comparison, question.examples, workspace) if asked.record else ()
    return Evaluated(comparison, records, tuple(notes))


def _named(model: ModelSource | None) -> list[tuple[ModelName, str | None]]:
    named = named_model(model)
    return [] if named is None else [(named, None)]


@dataclass(frozen=True, eq=False)
class _Question:
    """What is asked of every model: a request, its task read."""

    asked: EvaluateRequest
    task: Task
    examples: Sequence[Example]
    label_words: LabelWords


def _question(asked: EvaluateRequest, found: Sequence[LoadedPrompt]) -> _Question:
    assert asked.task is not None
    task = asked.task
    words: LabelWords = asked.label_word
    if not isinstance(task, Task):
        given = is_data_file(task)
        task = task_as_trained(task, asked, found)
        words = task.words if words and given else words  # in the order of its labels now
    return _Question(asked, task, some_examples(task, asked.split, asked.limit), words)


def some_examples(task: Task, split: Split, limit: int | None) -> Sequence[Example]:
    """The examples of a split, or a sample of so many.

    Raises:
        DataError: there are none.
    """
    examples: Sequence[Example] = getattr(task, split)
    if not examples:
        raise DataError(f"task {task.name} has no {split} examples: choose another split")
    return sample(examples, limit)


def _compared(question: _Question, found: Sequence[LoadedPrompt]) -> Comparison:
    from probe.evaluation import Comparison, compare, readability
    from probe.models import load_model

    asked = question.asked
    groups = by_model(found)
    if asked.ensemble and len(groups) != 1:
        raise ProbeError(f"an ensemble reads one model, found prompts of {len(groups)}")
    if not groups:
        groups = {(_required_model(question), None): []}
    evaluations: list[Evaluation] = []
    shares: list[Faithfulness] = []
    costs: list[Readability] = []
    for (name, revision), group in groups.items():
        model = load_model(name, revision=revision, device=asked.device, dtype=asked.dtype)
        note_doubts(model, group)
        answers = _answers(model, group, question)
        metric, seed = question.task.metric, asked.seed
        made = compare(answers, question.examples, model=str(name), metric=metric, seed=seed)
        evaluations += made[0]
        shares += made[1]
        costs += readability(answers, question.examples, metric=metric, seed=seed)
    return Comparison(
        task=question.task.name,
        split=asked.split,
        n=len(question.examples),
        metric=question.task.metric,
        seed=asked.seed,
        evaluations=tuple(evaluations),
        faithfulness=tuple(shares),
        readability=tuple(costs),
    )


def _answers(
    model: FrozenModel, group: Sequence[LoadedPrompt], question: _Question
) -> list[Answers]:
    """What one model answers under every condition; the ensemble first, then the prompts."""
    from probe.evaluation import Condition, answer, ensemble

    asked = question.asked
    words = (asked.template, question.label_words)
    conditions = [loaded.condition(loaded.worded(question.task, *words)) for loaded in group]
    bare = conditions or [Condition("", _plainly_worded(question))]
    beside = baseline_conditions(model, group, bare, asked)
    answers = (
        answer(model, [*conditions, *beside], question.examples) if conditions or beside else []
    )
    if asked.ensemble:
        answers.insert(0, ensemble(answers[: len(conditions)]))
    if asked.fine_tuned is not None:
        steps, seed = asked.fine_tuned, asked.seed
        answers.append(
            fine_tuned_answers(
                model, question.task, bare[0], question.examples, steps=steps, seed=seed
            )
        )
    return answers


def _plainly_worded(question: _Question) -> Task:
    """The task in its own words where there are no prompts to ask for theirs."""
    task = question.task
    words = question.label_words or task.words
    return in_words(task, question.asked.template or task.template, words)


def _required_model(question: _Question) -> ModelName:
    named = named_model(question.asked.model)
    if named is None:
        raise ModelNotFoundError(
            "no prompt tells which model is asked: name it with --model (model= in Python)"
        )
    return named
