"""What readability costs: a soft prompt against prompts of real tokens that do its work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from probe.bootstrap import Bootstrap, Estimate, Sampled
from probe.evaluation.answering import Answers
from probe.evaluation.conditions import Condition, PromptWording
from probe.evaluation.faithfulness import Share, share_of_gain
from probe.evaluation.measuring import measured
from probe.prompt import SoftPrompt
from probe.results import Result
from probe.task import Example

How = Literal["discretised", "tokens"]
"""Its own nearest tokens, or a prompt that was tokens while it was trained, as PEZ's are."""


@dataclass(frozen=True)
class Readability(Result):
    """A soft prompt and something readable in its place."""

    prompt: str
    readable: str
    """The name of what stands in its place; its own for its nearest tokens."""
    how: How
    metric: str
    """What scores are: the task's metric."""
    soft: float
    score: float
    """Of what is readable."""
    cost: Estimate
    """soft − score, paired over the examples: what a reader gives up."""
    kept: Share | None
    """The part of the soft prompt's gain over zero-shot that is kept; None where zero-shot was
    not asked in the soft prompt's words."""


def is_readable(condition: Condition) -> bool:
    """Whether a prompt's rows are tokens' embeddings and were so in training (Wen et al. 2023)."""
    prompt = condition.prompt
    return isinstance(prompt, SoftPrompt) and bool(prompt.config.get("token_ids"))


def readability(
    answers: Sequence[Answers],
    examples: Sequence[Example],
    *,
    metric: str,
    seed: int = 0,
    resamples: int = 2000,
) -> tuple[Readability, ...]:
    """Every soft prompt against its nearest tokens and every prompt of tokens beside it.

    Args:
        answers: of all conditions, to the same examples, by one model.
        examples: with labels or targets.
        metric: the task's, higher is better.
        seed: of the resamples.
        resamples: of the bootstrap.
    """
    bootstrap = Bootstrap(len(examples), resamples, seed)
    own = [one.condition for one in answers if one.condition.kind == "prompt"]
    soft = [condition for condition in own if not is_readable(condition)]
    if not soft:
        return ()
    wanted = {id(condition) for condition in own}
    wanted |= {
        id(one.condition) for one in answers if one.condition.kind in ("discretised", "zero_shot")
    }
    scores = {
        id(one.condition): measured(one, examples, bootstrap)[metric]
        for one in answers
        if id(one.condition) in wanted
    }
    alone = {
        one.condition.wording: scores[id(one.condition)]
        for one in answers
        if one.condition.kind == "zero_shot"
    }
    return tuple(
        _compared(condition, other, how, scores, alone, metric)
        for condition in soft
        for other, how in _stand_ins(condition, answers)
    )


def _stand_ins(condition: Condition, answers: Sequence[Answers]) -> list[tuple[Condition, How]]:
    nearest: list[tuple[Condition, How]] = [
        (one.condition, "discretised")
        for one in answers
        if one.condition.kind == "discretised" and one.condition.name == condition.name
    ]
    return nearest + [
        (one.condition, "tokens")
        for one in answers
        if one.condition.kind == "prompt" and is_readable(one.condition)
    ]


def _compared(
    condition: Condition,
    other: Condition,
    how: How,
    scores: dict[int, Sampled],
    alone: dict[PromptWording, Sampled],
    metric: str,
) -> Readability:
    soft, score = scores[id(condition)], scores[id(other)]
    zero_shot = alone.get(condition.wording)
    return Readability(
        prompt=condition.name,
        readable=other.name,
        how=how,
        metric=metric,
        soft=soft.value,
        score=score.value,
        cost=(soft - score).estimate(),
        kept=None if zero_shot is None else share_of_gain(score, soft=soft, zero_shot=zero_shot),
    )
