"""From answers to numbers: accuracy, macro F1, exact match, ROUGE-L, loss, and their intervals.

The answers of several prompts can be put to a vote first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from probe.bootstrap import Bootstrap, Sampled
from probe.errors import ProbeError
from probe.evaluation.answering import Answers, probabilities
from probe.metrics import exact_matches, macro_f1, rouge_l_scores
from probe.task import Example
from probe.texts import counted

LOSS = "loss_nats"

Numbers = Mapping[str, Sampled]
"""By name: `accuracy` and `macro_f1`, or `exact_match` and `rouge_l`; and `loss_nats`."""


def measured(answers: Answers, examples: Sequence[Example], bootstrap: Bootstrap) -> Numbers:
    """Every number of one condition, on the same resamples for every condition."""
    if answers.predicted is None:
        targets = [example.target or "" for example in examples]
        columns = {
            "exact_match": exact_matches(answers.texts, targets),
            "rouge_l": rouge_l_scores(answers.texts, targets),
            LOSS: answers.losses_nats,
        }
        return _means(columns, bootstrap)
    labels = np.array([example.label for example in examples])
    right = (answers.predicted == labels).astype(np.float64)
    means = _means({"accuracy": right, LOSS: answers.losses_nats}, bootstrap)
    f1 = _macro_f1(answers.predicted, labels, bootstrap)
    return {"accuracy": means["accuracy"], "macro_f1": f1, LOSS: means[LOSS]}


def example_scores(answers: Answers, examples: Sequence[Example], metric: str) -> tuple[float, ...]:
    """What each example adds to a metric, 0 to 1; of macro F1, whether its label is right."""
    if answers.predicted is not None:
        labels = np.array([example.label for example in examples])
        return tuple((answers.predicted == labels).astype(float).tolist())
    of = rouge_l_scores if metric == "rouge_l" else exact_matches
    return tuple(of(answers.texts, [example.target or "" for example in examples]).tolist())


def _means(columns: Mapping[str, NDArray[np.float64]], bootstrap: Bootstrap) -> dict[str, Sampled]:
    resampled = bootstrap.means(np.stack(list(columns.values()), axis=1))
    return {
        name: Sampled(float(column.mean()), resampled[:, place])
        for place, (name, column) in enumerate(columns.items())
    }


def _macro_f1(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], bootstrap: Bootstrap
) -> Sampled:
    """As `probe.metrics.macro_f1`: per resample, over the labels that occur in it."""
    kinds = np.union1d(predicted, labels)
    guessed, right = predicted[:, None] == kinds, labels[:, None] == kinds
    columns = np.hstack([guessed & right, guessed, right]).astype(np.float64)
    both, guesses, occurrences = np.split(bootstrap.means(columns), 3, axis=1)
    shown = guesses + occurrences
    scores = np.divide(2 * both, shown, out=np.full_like(shown, np.nan), where=shown > 0)
    return Sampled(macro_f1(predicted, labels), np.nanmean(scores, axis=1))


def ensemble(members: Sequence[Answers]) -> Answers:
    """The members' majority vote (Lester et al. 2021, §6) and the mixture of their likelihoods.

    Ties go to the label whose probability is highest on average. The loss is −log of the members'
    mean likelihood per label token, so it is never above their mean loss. Members that were asked
    in several wordings have no model alone to compare with in all of them.

    Args:
        members: answers of two or more conditions to the same examples.

    Raises:
        ProbeError: there are fewer than two, or nothing to vote on.
    """
    scores = [member.scores for member in members if member.scores is not None]
    if len(scores) < 2 or len(scores) < len(members):
        raise ProbeError(
            "an ensemble votes on labels: give two or more prompts and a classification task, "
            f"found {counted(len(members), 'prompt')} and {len(scores)} with labels"
        )
    stacked = np.stack(scores)  # [K, n, labels]
    names = ", ".join(member.condition.name for member in members)
    condition = replace(
        members[0].condition, name=f"ensemble of {names}", prompt=None, kind="ensemble"
    )
    if len({member.condition.wording for member in members}) > 1:
        condition = replace(condition, instead_of=("", (), condition.objective))
    losses = -_log_mean(np.stack([-member.losses_nats for member in members]))
    return Answers(condition, losses, _log_mean(stacked), _votes(stacked))


def _votes(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """The label most members choose, [n], from scores [K, n, labels]."""
    chosen = scores.argmax(axis=2)
    votes = np.stack([(chosen == label).sum(axis=0) for label in range(scores.shape[2])], axis=1)
    liked = np.mean([probabilities(one) for one in scores], axis=0)
    tied = votes == votes.max(axis=1, keepdims=True)
    best: NDArray[np.int64] = np.where(tied, liked, -1.0).argmax(axis=1)
    return best


def _log_mean(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the mean over the first axis."""
    mean: NDArray[np.float64] = np.logaddexp.reduce(logarithms, axis=0) - np.log(len(logarithms))
    return mean
