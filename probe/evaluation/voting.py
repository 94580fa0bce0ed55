"""Several prompts as one: an ensemble that votes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from probe.errors import ProbeError
from probe.evaluation.answering import Answers, probabilities
from probe.evaluation.conditions import Condition
from probe.texts import counted


def ensemble(members: Sequence[Answers]) -> Answers:
    """The members' majority vote (Lester et al. 2021, §6) and the mixture of their likelihoods.

    Ties go to the label whose probability is highest on average. The loss is −log of the members'
    mean likelihood per label token, so it is never above their mean loss.

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
    condition = Condition(f"ensemble of {names}", members[0].condition.task, kind="ensemble")
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
