"""Options that `probe wayward` and `probe sweep` share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from probe.studies import Executor

ValidationExamples = Annotated[
    int,
    typer.Option(
        "--validation-examples",
        min=1,
        help="At most so many validation examples, drawn at random but always the same ones.",
    ),
]
TestExamples = Annotated[
    int,
    typer.Option(
        "--test-examples",
        min=1,
        help="At most so many test examples, drawn at random but always the same ones.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Train on a Ray cluster: local starts one here, auto or HOST:PORT joins one. "
        "Default: in this process.",
    ),
]
GpuShare = Annotated[
    float,
    typer.Option("--gpu-share", min=0.0, help="GPUs that each worker on Ray takes, such as 0.25."),
]
AtOnce = Annotated[
    int, typer.Option("--at-once", min=1, help="Prompts trained at once, in one batch.")
]
StudyDtype = Annotated[
    Literal["float32", "bfloat16", "float16"] | None,
    typer.Option(
        "--dtype",
        help="Precision of the frozen model; prompts stay float32. Default: bfloat16 on GPUs that "
        "have it and, for GGUF files, on CPUs that have it; else float32.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Also copy results, figures and prompts to this new folder."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Count runs, make two steps, print plan and time.")
]


def numbers(given: Sequence[str], option: str) -> list[float]:
    """Numbers of a repeatable option that may hold several with commas."""
    try:
        return [float(part) for text in given for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(
            f"expected numbers with commas between them, found {','.join(given)}.",
            param_hint=f"'{option}'",
        ) from error


def where(ray: str | None, gpu_share: float) -> Executor:
    """Where packs are trained."""
    from probe.studies import Executor

    return Executor(ray=ray, gpu_share=gpu_share)


def command_line() -> list[str]:
    """The command as typed, with the program's plain name."""
    return ["probe", *sys.argv[1:]]
