"""`probe doctor`: is everything in order?"""

from __future__ import annotations

from typing import Annotated

import typer

from probe.cli.options import Json
from probe.cli.output import cell, console, print_json, table

_STYLES = {"ok": "green", "missing": "yellow", "broken": "bold red"}


def doctor(
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the library's index anew from its folders.")
    ] = False,
    json: Json = False,
) -> None:
    """Check versions, workspace, models and disk; clean up after killed processes.

    The exit code is 1 when something is broken; an optional part that is missing is not.
    """
    from probe import verbs

    health = verbs.doctor(rebuild=rebuild)
    if json:
        print_json(health.to_json())
    else:
        out = console()
        versions = (f"{name} {found or 'not installed'}" for name, found in health.versions.items())
        out.print(" · ".join(versions), soft_wrap=True)
        grid = table("check", "state", "detail")
        for check in health.checks:
            grid.add_row(
                cell(check.name), cell(check.state, _STYLES[check.state]), cell(check.detail)
            )
        out.print(grid)
    if not health.ok:
        raise typer.Exit(1)
