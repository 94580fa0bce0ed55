"""From answers to numbers: accuracy, macro F1, exact match, ROUGE-L, loss, and their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from probe.bootstrap import Bootstrap, Sampled
from probe.evaluation.answering import Answers
from probe.metrics import accuracy, exact_matches, macro_f1, rouge_l_scores
from probe.task import Example

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
    return {
        "accuracy": _accuracy(answers.predicted, labels, bootstrap),
        "macro_f1": _macro_f1(answers.predicted, labels, bootstrap),
        **_means({LOSS: answers.losses_nats}, bootstrap),
    }


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


def _accuracy(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], bootstrap: Bootstrap
) -> Sampled:
    hits = (predicted == labels)[:, None].astype(np.float64)
    return Sampled(accuracy(predicted, labels), bootstrap.means(hits)[:, 0])


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
