"""Runs as tables and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from probe.analysis.gains import best_sentence, score_sentence
from probe.analysis.starts import Drift
from probe.cli.output import cell, facts_table, headline, say, table
from probe.jobs import JobView, scored
from probe.texts import counted, duration


def print_runs(runs: Sequence[JobView]) -> None:
    """The runs as a table."""
    if not runs:
        say("no runs: `probe train --task T` starts one")
        return
    right = ("step", "loss")
    kinds = ("kind",) if any(run.kind != "train" for run in runs) else ()
    columns = ("run", *kinds, "state", "step", "loss", "validation", "left", "made")
    grid = table(*columns, right=right, spare=("loss", "made", "left"))
    for run in runs:
        cells = (
            f"{run.run} ({run.label})" if run.label else run.run,
            *([run.kind] if kinds else []),
            run.state,
            how_far(run),
            "–" if run.loss_nats is None else f"{run.loss_nats:.4f}",
            score(run.validation),
            "–" if run.eta_s is None else duration(run.eta_s),
            _made(run.prompts),
        )
        grid.add_row(*map(cell, cells))
    best = best_sentence(scored(runs))
    say(grid, *([best] if best else []))


def _made(prompts: Sequence[str]) -> str:
    """The first of the prompts, and how many more."""
    if not prompts:
        return "–"
    return prompts[0] + (f" and {len(prompts) - 1} more" if len(prompts) > 1 else "")


def _short(value: object) -> str:
    """A metric for people; the folds of a cross-validation as their number."""
    if isinstance(value, list):
        numbers = all(isinstance(one, float) for one in value)
        return " to ".join(map(_short, value)) if numbers else str(len(value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def print_run(run: JobView) -> None:
    """How one job stands and what came of it."""
    rows = {
        "run": run.run,
        "label": run.label or "–",
        "state": f"{run.state} {run.activity}".rstrip(),
        "model, task": f"{run.model}, {run.task}",
        "method": run.method or "–",
        "device": run.device or "–",
        "created": run.created,
        "step" if run.is_training else "runs": how_far(run).replace("/", " of "),
        "validation": score(run.validation),
        "left": "–" if run.eta_s is None else duration(run.eta_s),
        "sign of life": "–" if run.silent_s is None else f"{duration(run.silent_s)} ago",
        "score": score_sentence(run.metrics) or "–",
        "waits for": ", ".join(run.waits_for) or "–",
        "said": run.message or "–",
        "made": ", ".join(run.prompts) or "–",
        **{key.replace("_", " "): _short(value) for key, value in run.metrics.items()},
        "folder": run.folder,
    }
    say(
        facts_table({name: value for name, value in rows.items() if value != "–"}),
        *fold_lines(run.metrics, run.prompts),
        *([f"go on: {go_on_command(run)}"] if run.resumable else []),
    )


def print_drift(found: Drift) -> None:
    """The way of a prompt, a line for each step at which its rows were kept."""
    right = ("step", "moved", "norm", "other")
    grid = table("step", "moved", "norm", "other", "nearest tokens", right=right)
    others = (found.nearest != found.nearest[0]).sum(axis=1) if found.nearest is not None else ()
    for place, count in enumerate(others):
        moved, norm = found.distance[place].mean(), found.norm[place].mean()
        read = " ".join(token.lstrip("␣") for token in found.tokens[place])
        grid.add_row(*map(cell, (found.steps[place], f"{moved:.3g}", f"{norm:.3g}", count, read)))
    say(
        headline(found),
        grid,
        f"Means over positions; moved: distance from step {found.steps[0]}, other: positions whose "
        "nearest token is another than then.",
    )


def how_far(run: JobView) -> str:
    """Steps of a training, or runs of a study, that are done and asked for."""
    if run.is_training:
        return f"{run.step}/{run.steps}"
    return f"{run.done}/{'?' if run.runs is None else run.runs}"


def go_on_command(run: JobView) -> str:
    """The command that goes on with a run."""
    return f"`probe {'train --resume' if run.kind == 'train' else 'runs resume'} {run.run}`"


def score(validation: dict[str, Any] | None) -> str:
    """A validation in words."""
    if validation is None or validation["value"] is None:
        return "–"
    return f"{validation['metric'].replace('_', ' ')} {validation['value']:.3f}"


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
