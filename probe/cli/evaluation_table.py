"""An evaluation as people read it: one row per way of asking, then what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.cli.output import cell, console, table, visible

if TYPE_CHECKING:
    from probe.evaluation import Evaluation, Faithfulness, Measure, Readability
    from probe.verbs import Evaluated, Recorded

_SHOWN = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "exact_match": "exact match",
    "rouge_l": "ROUGE-L",
    "loss_nats": "loss (nats)",
}


def print_evaluation(result: Evaluated) -> None:
    """Print header, table, faithfulness and history."""
    found, out = result.comparison, console()
    out.print(
        f"{visible(found.task)} · {found.n} {found.split} examples · 95 % intervals over examples",
        soft_wrap=True,
    )
    names = [name for name in _SHOWN if name in found.evaluations[0].measures]
    several = len({one.model for one in found.evaluations}) > 1
    columns = [_SHOWN[name] for name in names]
    against = f"{_SHOWN[found.metric]} − zero-shot"
    compared = any(one.against_zero_shot for one in found.evaluations)
    grid = table(
        "asked with",
        *(["model"] if several else []),
        *columns,
        *([against] if compared else []),
        right=(*columns, against),
    )
    for one in found.evaluations:
        grid.add_row(
            cell(_name(one)),
            *([cell(one.model)] if several else []),
            *(cell(_with_interval(one.measures[name])) for name in names),
            *([cell(_gain(one, found.metric))] if compared else []),
        )
    out.print(grid)
    for words in sorted({_words(one) for one in found.evaluations}):
        out.print(visible(f"asked as: {words}"), soft_wrap=True)
    for share in found.faithfulness:
        out.print(visible(_faithful(share)), soft_wrap=True)
    for cost in found.readability:
        out.print(visible(_readable(cost)), soft_wrap=True)
    for record in result.records:
        out.print(visible(_history(record)), soft_wrap=True)


def _name(one: Evaluation) -> str:
    if one.kind == "discretised":
        return f"{one.name} (nearest tokens)"
    told = one.method not in (None, "unknown")
    return f"{one.name} ({str(one.method).replace('_', ' ')})" if told else one.name


def _words(one: Evaluation) -> str:
    labels = f" → {', '.join(one.label_words)}" if one.label_words else ""
    return f"{one.template!r}{labels}"


def _with_interval(measure: Measure) -> str:
    low, high = measure.interval
    return f"{measure.value:.3f} [{low:.3f}, {high:.3f}]"


def _gain(one: Evaluation, metric: str) -> str:
    if one.against_zero_shot is None:
        return "–"
    measure = one.against_zero_shot[metric]
    low, high = measure.interval
    return f"{measure.value:+.3f} [{low:+.3f}, {high:+.3f}]"


def _faithful(share: Faithfulness) -> str:
    parts = {
        "faithfulness": share.discretised,
        "shuffled": share.shuffled,
        "random tokens": share.random_tokens,
    }
    shown = []
    for name, part in parts.items():
        ends = "" if part.interval is None else " [{:.2f}, {:.2f}]".format(*part.interval)
        shown.append(f"{name} {'undefined' if part.value is None else f'{part.value:.2f}'}{ends}")
    why = "" if share.undefined is None else f": {share.undefined}"
    return f"{share.prompt}: {', '.join(shown)}{why}"


def _readable(cost: Readability) -> str:
    low, high = cost.cost.interval
    name = "its nearest tokens" if cost.how == "discretised" else cost.readable
    kept = "" if cost.kept is None or cost.kept.value is None else f", {cost.kept.value:.2f} kept"
    return (
        f"cost of readability: {cost.prompt} − {name} = {cost.cost.value:+.3f} "
        f"[{low:+.3f}, {high:+.3f}] {_SHOWN[cost.metric]}{kept}"
    )


def _history(one: Recorded) -> str:
    value = f"{one.prompt}: {_SHOWN[one.record.metric]} {one.record.value:.4f} recorded"
    if one.last is None or one.change is None:
        return f"{value}, the first of its kind"
    word = "DROPPED" if one.dropped else "was"
    return f"{value}, {word} {one.last.value:.4f} on {one.last.recorded[:10]} ({one.change:+.4f})"
