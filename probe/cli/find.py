"""`probe find`: where in the library a token is closest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli.completion import complete_model, complete_prompt
from probe.cli.decode import Metric
from probe.cli.options import PROMPT_HELP, Json, usage_errors
from probe.cli.output import cell, console, print_json, table, visible
from probe.texts import counted

if TYPE_CHECKING:
    from probe.verbs import Found


def find(
    token: Annotated[
        str,
        typer.Argument(
            metavar="TOKEN",
            help="A token as `probe decode` shows it (␣great; a real space will do), or #ID.",
        ),
    ],
    prompts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PROMPT]...",
            help=f"Search these only. {PROMPT_HELP} Default: the whole library.",
            autocompletion=complete_prompt,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Base model whose token is meant; the library's prompts on it are searched. "
            "Default: that of the named prompts; without any, smollm2 where it is installed, else "
            "builtin.",
            autocompletion=complete_model,
        ),
    ] = None,
    metric: Metric = "cosine",
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="Positions to list.")] = 10,
    json: Json = False,
) -> None:
    """Find the prompt positions closest to a token, across the library or in given prompts."""
    from probe import verbs

    with usage_errors():
        found = verbs.find(token, prompts or None, model=model, metric=metric, k=k)
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
