"""What a finished prompt scores beside the model alone, in one wording wherever it is said.

A score is of a sample, and the best of many scores on one sample is higher than it will be on
another: each sentence carries its interval, and says what was chosen among.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probe.texts import counted

Interval = tuple[float, float]
_HELPS = "the prompt helps"
_SCORES = ("accuracy", "macro_f1", "exact_match", "rouge_l", "share_explained")
"""Metrics that say how well a prompt works, the most telling first."""


@dataclass(frozen=True)
class Gain:
    """The score of a finished prompt and what it gains over its model alone."""

    metric: str
    split: str
    """Whose examples it was scored on."""
    examples: int | None
    value: float
    interval: Interval | None
    """95 %, of the value."""
    alone: float | None
    """Score of the model without the prompt."""
    gain_interval: Interval | None
    """95 %, of the paired difference; runs from before it was kept have none."""
    folds: tuple[Gain, ...] = ()
    """Of a cross-validation, whose means the other fields are."""

    @property
    def gain(self) -> float | None:
        """How much more than the model alone; None where that was not scored."""
        return None if self.alone is None else self.value - self.alone

    @property
    def verdict(self) -> str:
        """By the interval of the difference; empty where that is not known."""
        if self.folds:
            return _verdict_of_folds(self.folds)
        if self.gain_interval is None:
            return ""
        low, high = self.gain_interval
        if low > 0:
            return _HELPS
        return "the prompt hurts" if high < 0 else "no clear difference"

    @property
    def clear(self) -> bool | None:
        """Whether it is above 0 by its interval, or in most folds; None where that is not known."""
        verdicts = [one.verdict for one in self.folds or (self,)]
        return 2 * verdicts.count(_HELPS) > len(verdicts) if all(verdicts) else None


@dataclass(frozen=True)
class Scored:
    """A gain and whose it is."""

    name: str
    task: str
    gain: Gain


def gain_of(metrics: Mapping[str, Any]) -> Gain | None:
    """What a run or a prompt notes of its score; None where nothing was scored."""
    metric = metrics.get("metric")
    if not isinstance(metric, str) or not metric.isidentifier():
        return None
    value, alone = _number(metrics.get(metric)), _number(metrics.get(f"zero_shot_{metric}"))
    if value is None:
        return None
    folds = metrics.get("folds")
    found = map(gain_of, folds if isinstance(folds, list) else ())
    examples = _number(metrics.get("examples"))
    return Gain(
        metric=metric,
        split=str(metrics.get("split", "")),
        examples=None if examples is None else round(examples),
        value=value,
        interval=_interval(metrics.get(f"{metric}_interval")),
        alone=alone,
        gain_interval=_interval(metrics.get(f"{metric}_gain_interval")),
        folds=tuple(one for one in found if one is not None),
    )


def main_score(metrics: Mapping[str, Any]) -> tuple[str, float] | None:
    """The score that says how well a prompt works, with its name; None where none is known.

    That of the metric which `metrics` itself names, else the most telling one.
    """
    for name in (metrics.get("metric"), *_SCORES):
        value = _number(metrics.get(name)) if name in _SCORES else None
        if value is not None:
            return str(name), value
    return None


def score_sentence(metrics: Mapping[str, Any], *, strong: str = "") -> str:
    """What the finished prompt scores beside the model alone; empty where nothing was scored."""
    if (gain := gain_of(metrics)) is None:
        return ""
    words = _words(gain, strong)
    return f"{words[:1].upper()}{words[1:]}."


def best_sentence(scored: Sequence[Scored], *, strong: str = "") -> str:
    """Which prompt gains most, by how much, and among how many it was chosen; empty without any.

    Args:
        scored: finished prompts; those without the score of the model alone are passed over.
        strong: stands around the name and the numbers that matter.
    """
    known = [one for one in scored if one.gain.gain is not None]
    if not known:
        return ""
    best = max(known, key=lambda one: one.gain.gain or 0.0)
    name, words = f"{strong}{best.name}{strong}", _words(best.gain, strong)
    if len(known) == 1:
        return f"{name}: {words}."
    first = f"The largest gain is that of {name}"
    if all(one.gain.clear is False for one in known):
        first = f"No gain is clear. {first}"
    return f"{first}: {words}; {_choice(best, known)}."


def _choice(best: Scored, known: Sequence[Scored]) -> str:
    """Among how many the best was chosen, and whether by the very examples it is judged on."""
    same = [one for one in known if _examples(one) == _examples(best)]
    split = best.gain.split
    if len(same) == len(known):
        return f"best of {len(known):,}, chosen on the same {split} examples"
    if len(same) == 1:
        return f"best of {len(known):,}, each on {split} examples of its own"
    return f"best of {len(known):,}, {len(same):,} of them on the same {split} examples"


def _examples(one: Scored) -> tuple[object, ...]:
    return one.task, one.gain.split, one.gain.examples


def _words(gain: Gain, strong: str) -> str:
    what = f"{gain.split} {gain.metric.replace('_', ' ')}".strip()
    of_folds = f"mean {what} of {counted(len(gain.folds), 'fold')}"
    words = f"{of_folds if gain.folds else what} {strong}{gain.value:.3f}{strong}"
    if gain.interval is not None:
        low, high = gain.interval
        on = f", {counted(gain.examples, 'example')}" if gain.examples is not None else ""
        words += f" (95 % interval {low:.3f} to {high:.3f}{on})"
    elif gain.examples is not None:
        words += f" on {counted(gain.examples, 'example')}"
    if gain.alone is None:
        return words
    words += f"; the model alone {strong}{gain.alone:.3f}{strong}"
    if gain.gain_interval is not None:
        ends = " to ".join(map(signed, gain.gain_interval))
        words += f", gain {strong}{signed(gain.value - gain.alone)}{strong} ({ends})"
    return f"{words}: {gain.verdict}" if gain.verdict else words


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign, which zero has not."""
    text = f"{value:+.{digits}f}"
    return text[1:] if not float(text) else text.replace("-", "−")


def relative_change(drop: float, interval: Interval | None = None) -> str:
    """A share of the accuracy that is lost, as what becomes of the accuracy: `+15.8 %`.

    Args:
        drop: (before − after) / before.
        interval: of the drop; stands in brackets where there is one.
    """
    change = f"{signed(-100 * drop, 1)} %"
    if interval is None:
        return change
    high, low = (signed(-100 * end, 1) for end in interval)
    return f"{change} [{low}, {high}]"


def _verdict_of_folds(folds: Sequence[Gain]) -> str:
    verdicts = [fold.verdict for fold in folds]
    if not all(verdicts):
        return ""
    if len(set(verdicts)) == 1:
        return f"{verdicts[0]} in every fold"
    counts = {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)}
    return ", ".join(f"{verdict} in {count}" for verdict, count in counts.items())


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _interval(value: object) -> Interval | None:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = map(_number, value)
    return None if low is None or high is None else (low, high)
