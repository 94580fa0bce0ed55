"""`probe report`: all about some prompts on one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli.asking_options import TASK_HELP, DataDir
from probe.cli.completion import complete_task
from probe.cli.decode import Metric
from probe.cli.options import Json, Model, Prompts, usage_errors
from probe.cli.output import console, print_json, visible

if TYPE_CHECKING:
    from probe.verbs import Written


def report(
    prompts: Prompts,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="A new HTML file.")
    ],
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            help=f"Also measure faithfulness on it, which loads the model. {TASK_HELP}",
            autocompletion=complete_task,
        ),
    ] = None,
    data_dir: DataDir = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="At most so many test examples, always the same ones."),
    ] = None,
    model: Model = None,
    metric: Metric = "cosine",
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="Tokens per position.")] = 5,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of controls, maps and intervals.")
    ] = 0,
    json: Json = False,
) -> None:
    """Write all about some prompts into one HTML file that opens anywhere and prints.

    A source may hold several prompts; all that were trained take part. Nothing is overwritten.
    """
    from probe import verbs

    with usage_errors():
        written = verbs.report(
            prompts,
            output,
            task=task,
            data_dir=data_dir,
            limit=limit,
            model=model,
            metric=metric,
            k=k,
            seed=seed,
        )
    if json:
        print_json(written.to_json())
    else:
        _print_written(written)


def _print_written(written: Written) -> None:
    out = console()
    count = len(written.prompts)
    size = f"{written.size_bytes / 1e6:.1f} MB"
    what = "1 prompt" if count == 1 else f"{count} prompts"
    out.print(visible(f"wrote {written.path} ({size}): {what}"), soft_wrap=True)
    for one in written.left:
        whose = f" of {one.prompt}" if one.prompt else ""
        out.print(visible(f"no {one.section}{whose}: {one.reason}"), soft_wrap=True)
