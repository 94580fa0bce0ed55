"""How good prompts are on a task, beside what they must be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from probe.datasets import sample
from probe.datasets.bare import is_data_file
from probe.errors import DataError, ModelNotFoundError, ProbeError
from probe.notes import collected
from probe.prompt import AnyPrompt, PromptPair
from probe.store import Workspace
from probe.task import Example, LabelWords, Task
from probe.verbs.asking import Asker, askers, by_model, in_words, note_doubts
from probe.verbs.baselines import Baselines, baseline_conditions, fine_tuned_answers
from probe.verbs.checks import check_models, require_writers
from probe.verbs.held_out import task_as_trained
from probe.verbs.naming import option_names, several
from probe.verbs.recording import Recorded, record_all, require_stored, stored_on

if TYPE_CHECKING:
    import pandas as pd

    from probe.evaluation import Answers, Comparison, Evaluation, Faithfulness, Readability
    from probe.models import FrozenModel

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Evaluated:
    """What `probe evaluate` found, and what it wrote down."""

    comparison: Comparison
    records: tuple[Recorded, ...] = ()
    notes: tuple[str, ...] = ()
    """What was not done as it might seem: texts that were cut, another base model, …"""

    def to_json(self) -> dict[str, Any]:
        """The document `probe evaluate --json` prints."""
        records = [one.to_json() for one in self.records]
        return self.comparison.to_json() | {"records": records, "notes": list(self.notes)}

    def to_frame(self) -> pd.DataFrame:
        """One row per condition."""
        return self.comparison.to_frame()


@option_names(label_word="label_words", all="every")
def evaluate(
    prompts: Sequence[AnyPrompt | PromptPair | str | Path] = (),
    task: str | Path | Task | None = None,
    *,
    model: str | Path | None = None,
    data_dir: str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    split: Split = "test",
    limit: int | None = None,
    template: str | None = None,
    label_words: LabelWords = (),
    zero_shot: bool = False,
    hard: Sequence[str] = (),
    discretised: bool = False,
    ensemble: bool = False,
    fine_tuned: int | None = None,
    record: bool = False,
    every: bool = False,
    seed: int = 0,
    device: str | None = None,
    dtype: str | None = None,
    workspace: Workspace | None = None,
) -> Evaluated:
    """Score prompts on a task, with paired bootstrap intervals.

    A prompt that was trained on this task is asked in the words it was trained with.

    Args:
        prompts: prompts, or anything `load` takes; none where only baselines are wanted.
        task: a task, its name, file or folder.
        model: the frozen model; each prompt's own when None.
        data_dir: a folder of data sets, by task.
        text_column: the column that is the text; the task's own, or `text`, when None.
        label_column: the column that is the label; the task's own, or `label`, when None.
        split: which examples; where the task has no validation split of its own, those that were
            set aside when the prompts were trained. Of a data file all rows are for the test.
        limit: at most so many, drawn at random but always the same ones; all when None.
        template: the model's input, in place of the prompt's own and the task's.
        label_words: one per label, or a list of several, likewise.
        zero_shot: ask the model alone.
        hard: hand-written words in front of the template; with `{text}`, a whole template.
        discretised: ask with the nearest tokens of each prompt and two controls, and without a
            prompt, which gives the prompt's faithfulness.
        ensemble: let all prompts vote; this evaluation then comes first.
        fine_tuned: train a copy of the whole model for so many steps and ask that.
        every: also ask every workspace prompt that was trained on the task (`--all`).
        record: add what is found to the history of each prompt, which must be in the workspace.
        seed: of resamples, controls and fine-tuning.
        device: as torch names it; a GPU if there is one when None.
        dtype: precision of the model; float32 when None.
        workspace: the default one when None.

    Raises:
        DataError: the task or its examples cannot be read.
        ModelNotFoundError: no model is known, or it cannot be loaded.
        ProbeError: a prompt cannot be read or does not fit, or the words do not.
    """
    workspace = workspace or Workspace()
    if task is None:
        raise DataError("name the task, such as task='mood'")
    stored = stored_on(task, workspace=workspace) if every else []
    found = askers([*several(prompts), *stored], model=model, workspace=workspace)
    known = check_models(by_model(found) or _named(model), device=device, workspace=workspace)
    if record:
        require_stored([asker.name for asker in found], workspace)
    with collected() as notes:
        whole = (
            task
            if isinstance(task, Task)
            else task_as_trained(
                task,
                data_dir,
                split,
                found,
                text_column=text_column,
                label_column=label_column,
                label_words=label_words,
                template=template,
            )
        )
        if label_words and not isinstance(task, Task) and is_data_file(task):
            label_words = whole.words  # in the order of its labels now
        if whole.kind == "generation":
            require_writers(known)
        question = _Question(
            task=whole,
            split=split,
            examples=some_examples(whole, split, limit),
            named=None if model is None else str(model),
            template=template,
            label_words=label_words,
            baselines=Baselines(zero_shot, tuple(several(hard)), discretised, fine_tuned),
            ensemble=ensemble,
            seed=seed,
        )
        comparison = _compared(question, found, device, dtype)
    records = record_all(comparison, question.examples, workspace) if record else ()
    return Evaluated(comparison, records, tuple(notes))


def _named(model: str | Path | None) -> list[tuple[str, str | None]]:
    return [] if model is None else [(str(model), None)]


@dataclass(frozen=True, eq=False)
class _Question:
    """What is asked of every model."""

    task: Task
    split: Split
    examples: Sequence[Example]
    named: str | None
    """The model, where the user named one."""
    template: str | None
    label_words: LabelWords
    baselines: Baselines
    ensemble: bool
    seed: int


def some_examples(task: Task, split: Split, limit: int | None) -> Sequence[Example]:
    """The examples of a split, or a sample of so many.

    Raises:
        DataError: there are none.
    """
    examples: Sequence[Example] = getattr(task, split)
    if not examples:
        raise DataError(f"task {task.name} has no {split} examples: choose another split")
    return sample(examples, limit)


def _compared(
    question: _Question, found: Sequence[Asker], device: str | None, dtype: str | None
) -> Comparison:
    from probe.evaluation import Comparison, compare, readability
    from probe.models import load_model

    groups = by_model(found)
    if question.ensemble and len(groups) != 1:
        raise ProbeError(f"an ensemble reads one model, found prompts of {len(groups)}")
    if not groups:
        groups = {(_required_model(question), None): []}
    evaluations: list[Evaluation] = []
    shares: list[Faithfulness] = []
    costs: list[Readability] = []
    for (name, revision), group in groups.items():
        model = load_model(name, revision=revision, device=device, dtype=dtype)
        note_doubts(model, group)
        answers = _answers(model, group, question)
        metric, seed = question.task.metric, question.seed
        made = compare(answers, question.examples, model=name, metric=metric, seed=seed)
        evaluations += made[0]
        shares += made[1]
        costs += readability(answers, question.examples, metric=metric, seed=seed)
    return Comparison(
        task=question.task.name,
        split=question.split,
        n=len(question.examples),
        metric=question.task.metric,
        seed=question.seed,
        evaluations=tuple(evaluations),
        faithfulness=tuple(shares),
        readability=tuple(costs),
    )


def _answers(model: FrozenModel, group: Sequence[Asker], question: _Question) -> list[Answers]:
    """What one model answers under every condition; the ensemble first, then the prompts."""
    from probe.evaluation import Condition, answer, ensemble

    asked = (question.template, question.label_words)
    conditions = [asker.condition(asker.worded(question.task, *asked)) for asker in group]
    bare = conditions or [Condition("", _plainly_worded(question))]
    wanted = question.baselines
    beside = baseline_conditions(
        model, group, bare, wanted, named=question.named, seed=question.seed
    )
    answers = (
        answer(model, [*conditions, *beside], question.examples) if conditions or beside else []
    )
    if question.ensemble:
        answers.insert(0, ensemble(answers[: len(conditions)]))
    if wanted.fine_tuned is not None:
        answers.append(
            fine_tuned_answers(
                model,
                question.task,
                bare[0],
                question.examples,
                steps=wanted.fine_tuned,
                seed=question.seed,
            )
        )
    if not answers:
        raise ProbeError("nothing is asked: name prompts or a baseline such as zero-shot")
    return answers


def _plainly_worded(question: _Question) -> Task:
    """The task in its own words where there are no prompts to ask for theirs."""
    task = question.task
    words = question.label_words or task.words
    return in_words(task, question.template or task.template, words)


def _required_model(question: _Question) -> str:
    if question.named is None:
        raise ModelNotFoundError(
            "no prompt tells which model is asked: name it with --model (model= in Python)"
        )
    return question.named
