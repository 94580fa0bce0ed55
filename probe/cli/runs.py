"""`probe train` and `probe runs`: start a run, what is at work, what has ended, what can go on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli.completion import complete_run
from probe.cli.options import Json, Watched
from probe.cli.output import command_line, print_json, say
from probe.cli.output import show as print_all
from probe.cli.requests import App, takes_requests
from probe.cli.studies import print_plan
from probe.requests import Option, TrainRequest
from probe.results import Rows

if TYPE_CHECKING:
    from probe.jobs import JobView


@dataclass(frozen=True)
class Start(Watched):
    """How a run is started and shown."""

    resume: Annotated[str | None, Option(metavar="RUN", complete="run")] = None
    """Go on with a run from its last checkpoint, as it was asked for; with --steps to so many in
    all, also where it had finished."""
    dry_run: bool = False
    """Make three steps, print plan and time, and keep nothing."""


@takes_requests
def train(context: typer.Context, asked: TrainRequest, start: Start) -> None:
    """Train a soft prompt and keep it in the workspace. Ctrl-C saves; --resume goes on."""
    from probe import jobs
    from probe.cli.watching import attend
    from probe.store import Workspace
    from probe.verbs import training

    workspace = Workspace()
    if start.resume is not None:
        _require_alone(context)
        steps = asked.training.get("steps")
        attend(workspace, jobs.resume(workspace, start.resume, steps=steps), start)
    if asked.task is None:
        raise typer.BadParameter("name a task, or --resume a run.", param_hint="'--task'")
    config = replace(training.run_config(asked), command=command_line())
    if start.dry_run:
        from probe.jobs.plan import dry_run  # torch comes with it

        print_plan(dry_run(config), json=start.json)
        return
    attend(workspace, jobs.start(workspace, config), start)


def _require_alone(context: typer.Context) -> None:
    """A run is resumed as it was asked for, so nothing but more steps can be asked now."""
    with_resume = ("resume", "steps", "json", "detach")
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if source is not None and source.name == "COMMANDLINE" and option.name not in with_resume:
            raise typer.BadParameter(
                "a run goes on unchanged but for more --steps: leave this out with --resume.",
                param_hint=f"'{option.opts[0]}'",
            )


app = App(invoke_without_command=True)

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
        from probe.cli.runs_table import print_runs
        from probe.verbs import training

        print_all(training.runs(), print_runs, json=json)


def _show(run: JobView, *, json: bool) -> None:
    from probe.cli.runs_table import print_runs

    print_all(Rows([run], "jobs.runs"), print_runs, json=json)


@app.command()
def show(run: Run, json: Json = False) -> None:
    """Show how one run stands and what came of it."""
    from probe.cli.runs_table import print_run
    from probe.verbs import training

    print_all(Rows([training.show_run(run)], "jobs.runs"), lambda runs: print_run(*runs), json=json)


@app.command()
def cancel(run: Run, json: Json = False) -> None:
    """Let a run save and end; it can be resumed."""
    from probe.verbs import training

    _show(training.cancel_run(run), json=json)


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
def drift(
    run: Run,
    fold: Annotated[int, typer.Option("--fold", min=1, help="Which fold's prompt.")] = 1,
    json: Json = False,
) -> None:
    """Follow a run's prompt: how far its rows moved, step by step, and how it read on the way."""
    from probe.cli.runs_table import print_drift
    from probe.verbs.drifting import drift as followed

    print_all(followed(run, fold - 1), print_drift, json=json)


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
    from probe.verbs import training

    _show(training.rename_run(run, label), json=json)


@app.command()
def delete(
    run: Run,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Delete a run with its checkpoints; the prompts it made stay."""
    from probe.store import Workspace
    from probe.verbs import training

    name = Workspace().jobs.get(run).id
    if not yes:
        typer.confirm(f"Delete run {name} for good?", abort=True, err=True)
    training.delete_run(name)
    if json:
        print_json({"deleted": name})
    else:
        say(f"deleted {name}")
