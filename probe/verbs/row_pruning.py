"""What a prompt's rows are worth to a task, and prompts of some of them, retrained or not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probe.analysis.pruning import PromptScore
from probe.arrays import Float64Array
from probe.bootstrap import Bootstrap
from probe.notes import note
from probe.prompt import SoftPrompt
from probe.requests import PruneRequest, TrainConfig
from probe.task import Example, Task
from probe.template import keep_slots
from probe.verbs.prompts import LoadedPrompt

if TYPE_CHECKING:
    from probe.evaluation import Condition
    from probe.models import FrozenModel
    from probe.training.pruning import Beginning


@dataclass(frozen=True, eq=False)
class RowPruning:
    """A prompt with all that pruning its rows needs."""

    model: FrozenModel
    loaded: LoadedPrompt
    prompt: SoftPrompt
    task: Task
    config: TrainConfig
    beginning: Beginning
    asked: PruneRequest

    @property
    def metric(self) -> str:
        """The task's own."""
        return "macro_f1" if self.task.metric == "macro_f1" else "accuracy"

    def worded(self, kept: Sequence[int]) -> Task:
        """The task with places for these rows."""
        return dataclasses.replace(self.task, template=keep_slots(self.task.template, kept))

    def without_others(self, kept: Sequence[int]) -> SoftPrompt:
        """The prompt of these rows as they are."""
        ids = self.prompt.init_token_ids
        return dataclasses.replace(
            self.prompt,
            embeddings=self.prompt.embeddings[list(kept)],
            init_token_ids=None if ids is None else tuple(ids[row] for row in kept),
        )

    def condition(self, prompt: SoftPrompt, kept: Sequence[int]) -> Condition:
        """Some rows put to the task, with places for as many."""
        whole = self.loaded.condition(self.worded(kept))
        return dataclasses.replace(whole, prompt=prompt)

    def importance(self, examples: Sequence[Example]) -> Float64Array:
        """Of each row by each example, [n, P] in nats."""
        whole = range(len(self.prompt))
        condition = self.condition(self.prompt, whole)
        if self.asked.by == "gradient_input":
            from probe.models.scoring import slopes_of

            objective = condition.objective
            slopes = slopes_of(self.model, condition.task, examples, objective=objective)
            return np.abs(slopes(self.prompt, self.prompt)[1])
        from probe.evaluation import label_scores

        others = [[one for one in whole if one != row] for row in whole]
        parts = [self.condition(self.without_others(kept), kept) for kept in others]
        every = [examples] * (len(parts) + 1)
        scores = np.stack(label_scores(self.model, [condition, *parts], every))
        labels = np.array([example.label for example in examples])
        right = scores[:, np.arange(len(labels)), labels]
        changes: Float64Array = (right[0] - right[1:]).T
        return changes

    def retrained(self, every: Sequence[Sequence[int]]) -> tuple[list[SoftPrompt], float]:
        """Each choice of rows trained again from its beginning, and the highest rate."""
        from probe.training.pruning import retraining

        starts = [self.beginning.start(kept) for kept in every]
        tasks = [self.worded(kept) for kept in every]
        training = retraining(self.model, tasks, self.config, starts)
        for step in training:
            if self.asked.on_step is not None:
                self.asked.on_step(step)
        for kept, run in zip(every, training.runs, strict=True):
            if run.diverged:
                note(f"{len(kept)} rows: retraining {run.stopped}")
        found = [prompt for prompt in training.prompts if isinstance(prompt, SoftPrompt)]
        return found, float(training.runs[0].peak)

    def scores(
        self, prompts: Sequence[tuple[SoftPrompt, Sequence[int]]], examples: Sequence[Example]
    ) -> list[PromptScore]:
        """Of each prompt, with the paired change from the first."""
        from probe.evaluation import answer, measured

        conditions = [self.condition(prompt, kept) for prompt, kept in prompts]
        bootstrap = Bootstrap(len(examples), seed=self.asked.seed)
        answers = answer(self.model, conditions, examples)
        numbers = [measured(one, examples, bootstrap) for one in answers]
        first, names = numbers[0], (self.metric, "loss_nats")
        return [
            PromptScore(
                *(own[name].estimate() for name in names),
                *(None if own is first else (own[name] - first[name]).estimate() for name in names),
            )
            for own in numbers
        ]
