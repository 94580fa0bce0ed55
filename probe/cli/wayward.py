"""`probe wayward`: hold prompts near to texts, and see whether they still solve the task."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from probe.cli.output import command_line
from probe.cli.plans import print_plan
from probe.cli.requests import takes_requests
from probe.cli.study_progress import Output, run_and_print
from probe.cli.wayward_table import print_waywardness
from probe.requests import WaywardRequest

if TYPE_CHECKING:
    from probe.store import JobConfig


@takes_requests
def wayward(asked: WaywardRequest, output: Output) -> None:
    """Train prompts that must stay near given texts, and report what that costs them.

    Ctrl-C keeps what is finished; the same command goes on.
    """
    from probe import verbs

    config = replace(verbs.wayward_config(asked), command=command_line())
    if output.dry_run:
        plan = verbs.dry_run(config, at_once=asked.at_once)
        print_plan(plan, _facts(config), json=output.json)
    else:
        executor = verbs.executor_of(asked)
        run_and_print(
            partial(verbs.study_run, config, executor=executor), print_waywardness, output
        )


def _facts(config: JobConfig) -> dict[str, str]:
    from probe.studies import points, study_of

    study, _ = study_of(config.request)
    targets = {point.target: len(point.ids) for point in points(study)}
    lengths = sorted(targets.values())
    return {
        "models": ", ".join(study.models),
        "tasks": ", ".join(study.tasks),
        "targets": f"{len(targets)} of {lengths[0]} to {lengths[-1]} tokens",
        "γ": ", ".join(f"{gamma:g}" for gamma in study.gammas),
        "starts": ", ".join(study.inits),
        "seeds": f"{study.seeds}",
    }
