"""Evaluations in sentences: scores, how faithful nearest tokens are, what readability costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.bootstrap import Estimate
from probe.requests.train_methods import method_words
from probe.task import METRIC_WORDS

if TYPE_CHECKING:
    from probe.evaluation import Comparison, Evaluation, Faithfulness, Readability


def evaluation_headline(found: Comparison) -> list[str]:
    """The best condition, then what nearest tokens keep and readability costs."""
    best = max(found.evaluations, key=lambda one: one.measures[found.metric].value)
    several = f", the best of {len(found.evaluations)}" if len(found.evaluations) > 1 else ""
    beside = "" if best.against_zero_shot is None else f" ({gain_words(best, found.metric)})"
    return [
        f"{condition_words(best)}{several}: {METRIC_WORDS[found.metric]} "
        f"{best.measures[found.metric]:.3f} on {found.n} {found.split} examples of {found.task}"
        f"{beside}.",
        *doubt_lines(found),
    ]


def doubt_lines(found: Comparison) -> list[str]:
    """How faithful nearest tokens are, and what readability costs; empty where not asked."""
    return [*map(_faithful, found.faithfulness), *map(_readable, found.readability)]


def condition_words(one: Evaluation) -> str:
    """What was evaluated, with how it was made."""
    if one.kind == "discretised":
        return f"{one.name} (nearest tokens)"
    told = one.method not in (None, "unknown")
    return f"{one.name} ({method_words(str(one.method))})" if told else one.name


def gain_words(one: Evaluation, metric: str) -> str:
    """What it gains over the model alone, with its interval."""
    return "–" if one.against_zero_shot is None else f"{one.against_zero_shot[metric]:+.3f}"


def _faithful(share: Faithfulness) -> str:
    parts = {
        "faithfulness": share.discretised,
        "shuffled": share.shuffled,
        "random tokens": share.random_tokens,
    }
    shown = []
    for name, part in parts.items():
        score = None if part.value is None else Estimate(part.value, part.interval)
        shown.append(f"{name} {'undefined' if score is None else f'{score:.2f}'}")
    why = "" if share.undefined is None else f": {share.undefined}"
    return f"{share.prompt}: {', '.join(shown)}{why}"


def _readable(cost: Readability) -> str:
    name = "its nearest tokens" if cost.how == "discretised" else cost.readable
    kept = ""
    if cost.kept is not None and cost.kept.value is not None:
        kept = f", {cost.kept.value:.2f} of the gain kept"
    return (
        f"cost of readability: {cost.prompt} − {name} = {cost.cost:+.3f} "
        f"{METRIC_WORDS[cost.metric]}{kept}"
    )
