"""`probe find`: where in the library a token is closest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.cli.options import Json, usage_errors
from probe.cli.output import cell, console, print_json, table, visible
from probe.cli.requests import takes_requests
from probe.requests import FindRequest
from probe.texts import counted

if TYPE_CHECKING:
    from probe.verbs import Found


@takes_requests
def find(asked: FindRequest, json: Json = False) -> None:
    """Find the prompt positions closest to a token, across the library or in given prompts."""
    from probe import verbs

    with usage_errors():
        found = verbs.find(asked)
    if json:
        print_json(found.to_json())
    else:
        _print_found(found)


def _print_found(found: Found) -> None:
    out = console()
    direction = "higher" if found.higher_is_better else "lower"
    out.print(
        f"{visible(found.token)} (#{found.id}) of {visible(found.model)} · {found.metric} "
        f"({direction} is closer) · {counted(found.positions, 'position')} of "
        f"{counted(found.prompts, 'prompt')}",
        soft_wrap=True,
    )
    if not found.matches:
        out.print("no prompt on this model in the library: `probe library add FILE`")
        return
    grid = table("prompt", "#", "score", right=("#", "score"))
    for match in found.matches:
        grid.add_row(*map(cell, (match.prompt, match.position, f"{match.score:.4g}")))
    out.print(grid)
