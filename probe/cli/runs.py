"""`probe runs`: what is at work, what has ended, and what can go on."""

from __future__ import annotations

from typing import Annotated

import typer

from probe.cli.completion import complete_run
from probe.cli.options import Json, Watched
from probe.cli.output import cell, console, print_json
from probe.cli.requests import App, takes_requests

app = App(invoke_without_command=True, rich_markup_mode=None)

Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run's name, or the beginning of it.", autocompletion=complete_run
    ),
]


@app.callback()
def listing(context: typer.Context, json: Json = False) -> None:
    """List runs and studies, the newest first, or do what the subcommand says."""
    if context.invoked_subcommand is None:
        from probe import verbs
        from probe.cli.runs_table import print_runs

        print_runs(verbs.runs(), json=json)


@app.command()
def show(run: Run, json: Json = False) -> None:
    """Show how one run stands and what came of it."""
    from probe import verbs
    from probe.cli.runs_table import print_run, print_runs

    found = verbs.show_run(run)
    if json:
        print_runs([found], json=True)
    else:
        print_run(found)


@app.command()
def cancel(run: Run, json: Json = False) -> None:
    """Let a run save and end; it can be resumed."""
    from probe import verbs
    from probe.cli.runs_table import print_runs

    print_runs([verbs.cancel_run(run)], json=json)


@app.command()
@takes_requests
def resume(
    run: Run,
    shown: Watched,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=1, help="In all, more than it was asked for: a finished run goes on too."
        ),
    ] = None,
) -> None:
    """Go on with a run from its last checkpoint, as it was asked for."""
    from probe import jobs
    from probe.cli.watching import attend
    from probe.store import Workspace

    workspace = Workspace()
    attend(workspace, jobs.resume(workspace, run, steps=steps), shown)


@app.command()
def rename(
    run: Run,
    label: Annotated[
        str,
        typer.Argument(metavar="LABEL", help="What to call the run; '' takes its label away."),
    ],
    json: Json = False,
) -> None:
    """Give a run a label; its name and its prompts keep theirs."""
    from probe import verbs
    from probe.cli.runs_table import print_runs

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

    name = Workspace().jobs.get(run).id
    if not yes:
        typer.confirm(f"Delete run {name} for good?", abort=True, err=True)
    verbs.delete_run(name)
    if json:
        print_json({"deleted": name})
    else:
        console().print(cell(f"deleted {name}"))
