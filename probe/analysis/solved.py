"""Do the prompts of a study solve their task at all?

What it costs to hold a prompt near a text means something only where the prompt without that
constraint does the task: better than the model alone, and than always giving the most frequent
label.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol


class ScoredRun(Protocol):
    """What is asked of a run; anything may be unknown."""

    @property
    def test_accuracy(self) -> float:
        """Of the prompt."""
        ...

    @property
    def zero_shot_accuracy(self) -> float | None:
        """Of the model without a prompt, on the same examples."""
        ...

    @property
    def majority_accuracy(self) -> float | None:
        """Of always giving the most frequent label of these examples."""
        ...

    @property
    def accuracy_low(self) -> float | None:
        """Lower end of the accuracy's 95 % interval over the examples."""
        ...

    @property
    def gain_low(self) -> float | None:
        """Lower end of the 95 % interval of what is gained over the model alone."""
        ...

    @property
    def gain_high(self) -> float | None:
        """Its upper end."""
        ...


@dataclass(frozen=True)
class Solved:
    """Baselines beside the model alone and the most frequent label, as far as these are known."""

    zero_shot_accuracy: float | None = None
    majority_accuracy: float | None = None
    gain: float | None = None
    """Mean accuracy of the baselines minus that of the model alone."""
    gain_interval: tuple[float, float] | None = None
    """95 % over the examples: the mean of the baselines' own intervals. As they share their
    examples, that of the mean is no wider."""
    solved: bool | None = None
    """Whether the gain's interval lies above 0, and that of the accuracy above the share of the
    most frequent label; None where the study does not tell."""


def judge_baselines(baselines: Sequence[ScoredRun]) -> Solved:
    """Whether baselines of one model and task solve it.

    Args:
        baselines: prompts that were held near to nothing, one or more.
    """
    alone = _mean(one.zero_shot_accuracy for one in baselines)
    majority = _mean(one.majority_accuracy for one in baselines)
    low, high = (_mean(ends) for ends in zip(*map(_gain_ends, baselines), strict=True))
    accuracy = fmean(one.test_accuracy for one in baselines)
    return Solved(
        zero_shot_accuracy=alone,
        majority_accuracy=majority,
        gain=None if alone is None else accuracy - alone,
        gain_interval=None if low is None or high is None else (low, high),
        solved=None if low is None else low > 0 and _beats(baselines, majority),
    )


def _gain_ends(run: ScoredRun) -> tuple[float | None, float | None]:
    return run.gain_low, run.gain_high


def _beats(baselines: Sequence[ScoredRun], majority: float | None) -> bool:
    low = _mean(one.accuracy_low for one in baselines)
    return majority is None or low is None or low > majority


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
