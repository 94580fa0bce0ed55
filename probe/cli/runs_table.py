"""Runs as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from probe.analysis.gains import best_sentence, score_sentence
from probe.cli.folds import fold_lines
from probe.cli.output import cell, console, print_facts, print_json, table
from probe.jobs import JobView, scored
from probe.jobs.eta import duration


def print_runs(runs: Sequence[JobView], *, json: bool) -> None:
    """The runs as a table, or as the document of `runs.json`."""
    if json:
        print_json({"runs": [run.to_json() for run in runs]})
        return
    if not runs:
        console().print("no runs: `probe train --task T` starts one")
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
    console().print(grid)
    if best := best_sentence(scored(runs)):
        console().print(cell(best), soft_wrap=True)


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
    print_facts({name: value for name, value in rows.items() if value != "–"})
    for line in fold_lines(run.metrics, run.prompts):
        console().print(cell(line))
    if run.resumable:
        console().print(cell(f"go on: {go_on_command(run)}"))


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
