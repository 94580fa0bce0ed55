"""What prompts are compared with: nothing, words, their own nearest tokens, full fine-tuning."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from probe.requests import EvaluateRequest
from probe.task import Example, Task
from probe.texts import counted
from probe.verbs.decoding import vocabulary_of
from probe.verbs.prompts import LoadedPrompt

if TYPE_CHECKING:
    from probe.evaluation import Answers, Condition
    from probe.models import FrozenModel


def baseline_conditions(
    model: FrozenModel,
    loaded_prompts: Sequence[LoadedPrompt],
    conditions: Sequence[Condition],
    asked: EvaluateRequest,
) -> list[Condition]:
    """The conditions that read the frozen model, each wording once.

    Raises:
        NotDecodableError: a prompt has no nearest tokens.
    """
    from probe import evaluation

    words = list({condition.wording: condition for condition in conditions}.values())
    made = []
    if asked.zero_shot or asked.discretised:
        made += [evaluation.zero_shot(condition) for condition in words]
    made += [evaluation.hard_prompt(condition, text) for condition in words for text in asked.hard]
    if asked.discretised:
        for loaded, condition in zip(loaded_prompts, conditions, strict=True):
            vocabulary = vocabulary_of(loaded.one, asked.model)
            made += evaluation.discretised(model, condition, vocabulary, seed=asked.seed)
    return made


def fine_tuned_answers(
    model: FrozenModel,
    task: Task,
    condition: Condition,
    examples: Sequence[Example],
    *,
    steps: int,
    seed: int,
) -> Answers:
    """What a copy of the model answers after all its weights were trained on the task.

    Args:
        model: which stays as it is.
        task: with training examples.
        condition: whose words are used.
        examples: to answer.
        steps: of training.
        seed: of the order of the training examples.

    Raises:
        TrainingError: the model is too large, or there is nothing to train on.
    """
    from probe import evaluation

    alone = evaluation.zero_shot(condition)
    taught = dataclasses.replace(alone.task, train=task.train)
    tuned = evaluation.fine_tuned(model, taught, evaluation.FineTuning(steps=steps, seed=seed))
    named = dataclasses.replace(
        alone, name=f"fine-tuned, {counted(steps, 'step')}", kind="fine_tuned"
    )
    return evaluation.answer(tuned, [named], examples)[0]
