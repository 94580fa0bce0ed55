"""`probe train`: a run of its own process, watched from here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from probe.cli.options import Watched
from probe.cli.output import command_line
from probe.cli.plans import print_plan
from probe.cli.requests import takes_requests
from probe.requests import Option, TrainRequest


@dataclass(frozen=True)
class Start(Watched):
    """How a run is started and shown."""

    resume: Annotated[str | None, Option(metavar="RUN", complete="run")] = None
    """Go on with a run from its last checkpoint, as it was asked for; with --steps to so many in
    all, also where it had finished."""
    dry_run: bool = False
    """Make two steps, print plan and time, and keep nothing."""


@takes_requests
def train(context: typer.Context, asked: TrainRequest, start: Start) -> None:
    """Train a soft prompt and keep it in the workspace. Ctrl-C saves; --resume goes on."""
    from probe import jobs, verbs
    from probe.cli.watching import attend
    from probe.store import Workspace

    workspace = Workspace()
    if start.resume is not None:
        _require_alone(context)
        steps = asked.training.get("steps")
        attend(workspace, jobs.resume(workspace, start.resume, steps=steps), start)
    if asked.task is None:
        raise typer.BadParameter("name a task, or --resume a run.", param_hint="'--task'")
    config = replace(verbs.run_config(asked), command=command_line())
    if start.dry_run:
        print_plan(verbs.dry_run(config), json=start.json)
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
