"""Scores of prompts beside what they must be compared with, and predictions.

    mine = Condition("mine", task, prompt)
    conditions = [mine, zero_shot(mine), hard_prompt(mine, "Is it good?")]
    conditions += discretised(model, mine, vocabulary)
    answers = answer(model, conditions, task.test)            # all in the same batches
    evaluations, faith = compare(answers, task.test, model=model.name, metric=task.metric)

`readability` says what prompts of tokens cost, `ensemble(answers)` makes one of several,
`fine_tuned(model, task)` a reference model, `label_scores` and `generate` ask about texts that
have no labels. Loss is in nats per label token; labels are chosen by the summed log-likelihood of
their words. Intervals hold 95 % of 2,000 paired bootstrap resamples of the examples: they say what
other examples would have changed, not what another training seed would.
"""

from probe.bootstrap import Bootstrap, Estimate, Sampled
from probe.evaluation.answering import (
    Answers,
    answer,
    generate,
    label_scores,
    probabilities,
)
from probe.evaluation.comparison import METRICS, Comparison, Evaluation, compare
from probe.evaluation.conditions import Condition, Kind, discretised, hard_prompt, zero_shot
from probe.evaluation.fine_tuning import FineTuning, fine_tuned
from probe.evaluation.measuring import ensemble, measured
from probe.evaluation.readability import Faithfulness, Readability, Share, faithfulness, readability

__all__ = [
    "METRICS",
    "Answers",
    "Bootstrap",
    "Comparison",
    "Evaluation",
    "Faithfulness",
    "FineTuning",
    "Kind",
    "Estimate",
    "Readability",
    "Sampled",
    "Share",
    "Condition",
    "answer",
    "compare",
    "discretised",
    "ensemble",
    "faithfulness",
    "fine_tuned",
    "generate",
    "hard_prompt",
    "label_scores",
    "measured",
    "probabilities",
    "readability",
    "zero_shot",
]
