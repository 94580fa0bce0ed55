"""The scores of a cross-validation: a line per fold, then mean and spread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from probe.texts import counted

_SCORES = ("accuracy", "macro_f1", "exact_match", "rouge_l", "loss_nats")


def fold_lines(metrics: Mapping[str, Any], prompts: Sequence[str]) -> Iterator[str]:
    """What each fold's prompt scored on its validation examples and on the test split.

    Args:
        metrics: of a finished run; nothing comes of one without folds.
        prompts: names of the folds' prompts, in order.
    """
    folds = metrics.get("folds")
    if not isinstance(folds, list):
        return
    named = zip(folds, prompts, strict=False)  # a run may have kept fewer than it scored
    scored = {number: _scores(fold) for number, fold in enumerate(folds, start=1)}
    for number, (fold, prompt) in enumerate(named, start=1):
        words = ", ".join(f"{name} {value:.3f}" for name, value in _scores(fold).items())
        if words:
            yield f"fold {number}: {words} ({prompt})"
    shared = [name for name in scored[1] if all(name in one for one in scored.values())]
    for name in shared:
        values = [one[name] for one in scored.values()]
        yield f"{name} {mean(values):.3f} ± {stdev(values):.3f} over {counted(len(values), 'fold')}"


def _scores(fold: Mapping[str, Any]) -> dict[str, float]:
    """The score by which a fold was chosen, and the one on examples that no fold saw."""
    found = {}
    validated = next((name for name in _SCORES if f"validation_{name}" in fold), None)
    if validated is not None:
        found[f"validation {_words(validated)}"] = fold[f"validation_{validated}"]
    metric, split = str(fold.get("metric")), fold.get("split")
    if metric in fold and split != "validation":
        found[f"{split} {_words(metric)}"] = fold[metric]
    return {name: float(value) for name, value in found.items() if value is not None}


def _words(name: str) -> str:
    return name.replace("_", " ")
