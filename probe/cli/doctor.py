"""`probe doctor`: is everything in order?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli.options import Json
from probe.cli.output import cell, say, show, table

if TYPE_CHECKING:
    from probe.verbs.health import Health

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
    from probe.verbs.health import doctor as checked

    health = checked(rebuild=rebuild)
    show(health, _print_health, json=json)
    if not health.ok:
        raise typer.Exit(1)


def _print_health(health: Health) -> None:
    grid = table("check", "state", "detail")
    for one in health.checks:
        grid.add_row(cell(one.name), cell(one.state, _STYLES[one.state]), cell(one.detail))
    named = (f"{name} {found or 'not installed'}" for name, found in health.versions.items())
    say(" · ".join(named), grid)
