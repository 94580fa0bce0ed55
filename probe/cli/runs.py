"""`probe runs`: what trains, what has trained, and what can go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli.completion import complete_run
from probe.cli.folds import fold_lines
from probe.cli.options import Json
from probe.cli.output import cell, console, print_json, table
from probe.cli.train import Detach, go_on

if TYPE_CHECKING:
    from probe.jobs import RunView

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)

Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run's name, or the beginning of it.", autocompletion=complete_run
    ),
]


@app.callback()
def listing(context: typer.Context, json: Json = False) -> None:
    """List training runs, the newest first, or do what the subcommand says."""
    if context.invoked_subcommand is None:
        from probe import verbs

        print_runs(verbs.runs(), json=json)


@app.command()
def show(run: Run, json: Json = False) -> None:
    """Show how one run stands and what came of it."""
    from probe import verbs

    found = verbs.show_run(run)
    if json:
        print_runs([found], json=True)
    else:
        _print_run(found)


@app.command()
def cancel(run: Run, json: Json = False) -> None:
    """Let a run save and end; it can be resumed."""
    from probe import verbs

    print_runs([verbs.cancel_run(run)], json=json)


@app.command()
def resume(
    run: Run,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=1, help="In all, more than it was asked for: a finished run goes on too."
        ),
    ] = None,
    detach: Detach = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines, one per step, and nothing else.")
    ] = False,
) -> None:
    """Go on with a run from its last checkpoint, as it was asked for."""
    from probe.store import Workspace

    go_on(Workspace(), run, steps=steps, detach=detach, json=json)


@app.command()
def rename(
    run: Run,
    label: Annotated[str, typer.Argument(help="What to call the run; '' takes its label away.")],
    json: Json = False,
) -> None:
    """Give a run a label; its name and its prompts keep theirs."""
    from probe import verbs

    print_runs([verbs.rename_run(run, label)], json=json)


@app.command()
def delete(
    run: Run,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Delete a run with its checkpoints; the prompts it made stay."""
    from probe import verbs
    from probe.store import Workspace

    name = Workspace().runs.get(run).id
    if not yes:
        typer.confirm(f"Delete run {name} for good?", abort=True, err=True)
    verbs.delete_run(name)
    if json:
        print_json({"deleted": name})
    else:
        console().print(cell(f"deleted {name}"))


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


def _print_run(run: RunView) -> None:
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
