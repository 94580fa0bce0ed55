"""Trainings as people read them: all of them in a table, and what is known of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from probe.cli.folds import fold_lines
from probe.cli.output import cell, console, print_json, table

if TYPE_CHECKING:
    from probe.jobs import RunView


def print_runs(runs: Sequence[RunView], *, json: bool) -> None:
    """The runs as a table, or as the document of `runs.json`."""
    if json:
        print_json({"runs": [run.to_json() for run in runs]})
        return
    if not runs:
        console().print("no runs: `probe train --task T` starts one")
        return
    from probe.analysis.gains import best_sentence
    from probe.cli.watching import duration, score
    from probe.jobs import scored

    right = ("step", "loss")
    columns = ("run", "state", "step", "loss", "validation", "left", "made")
    grid = table(*columns, right=right, spare=("loss", "made", "left"))
    for run in runs:
        cells = (
            f"{run.run} ({run.label})" if run.label else run.run,
            run.state,
            f"{run.step}/{run.steps}",
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


def print_facts(rows: Mapping[str, object]) -> None:
    """Names and values, a pair per line."""
    grid = table("", "")
    grid.show_header = False
    for key, value in rows.items():
        grid.add_row(cell(key), cell(value))
    console().print(grid)


def _short(value: object) -> str:
    """A metric for people; the folds of a cross-validation as their number."""
    if isinstance(value, list):
        numbers = all(isinstance(one, float) for one in value)
        return " to ".join(map(_short, value)) if numbers else str(len(value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def print_run(run: RunView) -> None:
    """All that is known of a run, a line each."""
    from probe.analysis.gains import score_sentence
    from probe.cli.watching import duration, score

    rows = {
        "run": run.run,
        "label": run.label or "–",
        "state": f"{run.state} {run.activity}",
        "model, task": f"{run.model}, {run.task}",
        "method": run.method,
        "created": run.created,
        "step": f"{run.step} of {run.steps}",
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
    print_facts(rows)
    for line in fold_lines(run.metrics, run.prompts):
        console().print(cell(line))
    if run.resumable:
        console().print(cell(f"go on: `probe train --resume {run.run}`"))
