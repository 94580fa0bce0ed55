"""Do a prompt's nearest tokens do what the prompt does?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probe.bootstrap import LEVEL, Estimate, Sampled, mean_of, percentiles
from probe.results import Result

_RARE = (1 - LEVEL) / 2


@dataclass(frozen=True)
class Share:
    """The part of a soft prompt's gain over zero-shot that something readable keeps."""

    score: float
    value: float | None
    """(score − zero-shot) / (soft − zero-shot): 1 keeps all of it, 0 nothing."""
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Faithfulness(Result):
    """A soft prompt against its nearest tokens and two controls for them."""

    prompt: str
    metric: str
    """What scores are: the task's metric."""
    soft: float
    zero_shot: float
    gain: Estimate
    """Of the soft prompt over zero-shot, paired."""
    discretised: Share
    shuffled: Share
    """The same tokens in other orders; mean of the draws."""
    random_tokens: Share
    """As many tokens drawn from the vocabulary; mean of the draws."""
    draws: int
    undefined: str | None
    """Why there is no faithfulness, or no interval; None where there are both."""


def faithfulness(
    prompt: str,
    metric: str,
    *,
    soft: Sampled,
    zero_shot: Sampled,
    discretised: Sampled,
    shuffled: Sequence[Sampled],
    random_tokens: Sequence[Sampled],
) -> Faithfulness:
    """(score(discretised) − score(zero-shot)) / (score(soft) − score(zero-shot)).

    Undefined when the soft prompt does not beat zero-shot. When it does, but not in 97.5 % of the
    resamples, the ratio has no finite interval.

    Args:
        prompt: its name.
        metric: name of the score, higher is better.
        soft: score of the soft prompt; all on the same resamples.
        zero_shot: score of the model alone.
        discretised: score of the nearest tokens.
        shuffled: scores of these tokens in other orders, one per draw.
        random_tokens: scores of random tokens, one per draw.
    """
    gain = soft - zero_shot
    lost = float(np.mean(gain.resampled <= 0))
    others = [discretised, mean_of(list(shuffled)), mean_of(list(random_tokens))]
    shares = [share_of_gain(one, soft=soft, zero_shot=zero_shot) for one in others]
    return Faithfulness(
        prompt=prompt,
        metric=metric,
        soft=soft.value,
        zero_shot=zero_shot.value,
        gain=gain.estimate(),
        discretised=shares[0],
        shuffled=shares[1],
        random_tokens=shares[2],
        draws=len(shuffled),
        undefined=_undefined(gain, lost),
    )


def _undefined(gain: Sampled, lost: float) -> str | None:
    if gain.value <= 0:
        return "the soft prompt does not beat zero-shot, so there is no gain to keep"
    if lost > _RARE:
        return (
            f"the soft prompt does not beat zero-shot in {100 * lost:.1f} % of the resamples, "
            "so the interval has no ends"
        )
    return None


def share_of_gain(score: Sampled, *, soft: Sampled, zero_shot: Sampled) -> Share:
    """(score − zero-shot) / (soft − zero-shot), where it is defined; see `faithfulness`."""
    gain = soft - zero_shot
    if gain.value <= 0:
        return Share(score.value, None, None)
    kept = score - zero_shot
    value = kept.value / gain.value
    there = gain.resampled > 0
    if np.mean(~there) > _RARE:
        return Share(score.value, value, None)
    return Share(score.value, value, percentiles(kept.resampled[there] / gain.resampled[there]))
