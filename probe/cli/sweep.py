"""`probe sweep`: a grid of training runs, from a file or by the name of a question."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from probe.cli.output import command_line
from probe.cli.plans import print_plan
from probe.cli.requests import takes_requests
from probe.cli.study_progress import Output, run_and_print
from probe.cli.sweep_table import print_sweep
from probe.requests import SweepRequest

if TYPE_CHECKING:
    from probe.store import JobConfig


@takes_requests
def sweep(asked: SweepRequest, output: Output) -> None:
    """Train every combination of a grid, and say which settings are worth their cost.

    Ctrl-C keeps what is finished; the same command goes on.
    """
    from probe import verbs

    config = replace(verbs.sweep_config(asked), command=command_line())
    if output.dry_run:
        plan = verbs.dry_run(config, at_once=asked.at_once)
        print_plan(plan, _facts(config), json=output.json)
    else:
        run = partial(verbs.study_run, config, executor=verbs.executor_of(asked))
        run_and_print(run, print_sweep, output)


def _facts(config: JobConfig) -> dict[str, str]:
    grid = config.request
    facts = {
        "models": ", ".join(grid["models"]),
        "tasks": ", ".join(grid["tasks"]),
        **{name: ", ".join(map(str, values)) for name, values in grid["grid"].items()},
        "seeds": f"{grid['seeds']}",
    }
    return facts | ({"folds": f"{grid['folds']}"} if grid["folds"] else {})
