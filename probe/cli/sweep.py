"""`probe sweep`: a grid of training runs, from a file or by the name of a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli.asking_options import TASK_HELP, DataDir, Device
from probe.cli.completion import complete_model, complete_task
from probe.cli.options import Json
from probe.cli.study_options import (
    AtOnce,
    DryRun,
    GpuShare,
    Out,
    Ray,
    StudyDtype,
    TestExamples,
    ValidationExamples,
    command_line,
    where,
)
from probe.cli.study_progress import conduct, print_plan
from probe.cli.sweep_table import print_sweep

if TYPE_CHECKING:
    from probe.studies import Grid


def sweep(
    grid: Annotated[
        str,
        typer.Argument(
            metavar="GRID",
            help="A TOML file, or a question: length (does more than 20 tokens help?), size (do "
            "larger models need fewer tokens?).",
        ),
    ],
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            help=f"{TASK_HELP} Repeatable, in place of the grid's.",
            autocompletion=complete_task,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="A frozen model: smollm2, builtin, minilm, a folder, a GGUF file or a hub id. "
            "Repeatable, in place of the grid's.",
            autocompletion=complete_model,
        ),
    ] = None,
    length: Annotated[
        list[str] | None,
        typer.Option(
            "--length",
            help="Numbers of virtual tokens, repeatable or with commas, in place of the grid's.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            min=1,
            help="Runs of each setting that differ in the seed, in place of the grid's.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, help="Updates of every prompt, in place of the grid's."),
    ] = None,
    data_dir: DataDir = None,
    validation_examples: ValidationExamples = 200,
    test_examples: TestExamples = 500,
    ray: Ray = None,
    gpu_share: GpuShare = 0.0,
    at_once: AtOnce = 8,
    device: Device = None,
    dtype: StudyDtype = None,
    out: Out = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Train every combination of a grid, and say which settings are worth their cost.

    Ctrl-C keeps what is finished; the same command goes on.
    """
    from probe import verbs

    asked = verbs.sweep_asked(
        grid,
        models=model or (),
        tasks=task or (),
        lengths=_lengths(length or ()),
        seeds=seeds,
        steps=steps,
        data_dir=data_dir,
        validation_examples=validation_examples,
        test_examples=test_examples,
        device=device,
        dtype=dtype,
        command=command_line(),
    )
    if dry_run:
        print_plan(asked, _facts(asked.grid), at_once=at_once, json=json)
        return
    place = where(ray, gpu_share)
    conduct(asked, print_sweep, where=place, at_once=at_once, out=out, json=json)


def _lengths(given: Sequence[str]) -> list[int]:
    """Whole numbers of a repeatable option that may hold several with commas."""
    try:
        return [int(part) for text in given for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(
            f"expected whole numbers with commas between them, found {','.join(given)}.",
            param_hint="'--length'",
        ) from error


def _facts(grid: Grid) -> dict[str, str]:
    facts = {
        "models": ", ".join(grid.models),
        "tasks": ", ".join(grid.tasks),
        **{name: ", ".join(map(str, values)) for name, values in grid.grid.items()},
        "seeds": f"{grid.seeds}",
    }
    return facts | ({"folds": f"{grid.folds}"} if grid.folds else {})
