"""Options of the commands that run a model: which task, in which words, on which device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

TASK_HELP = "A task's name, its task.toml or the folder of one."


def complete_task(incomplete: str) -> list[str]:
    """Tasks that are known by name and begin as typed."""
    from probe.datasets import task_names

    return [name for name in task_names() if name.startswith(incomplete)]


DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="A folder of data sets with one folder per task."),
]
Template = Annotated[
    str | None,
    typer.Option(
        "--template",
        help="The model's input with {text} in it. Default: the prompt's own, else the task's.",
    ),
]
LabelWords = Annotated[
    list[str] | None,
    typer.Option(
        "--label-word",
        help="Repeat it, one word per label in label order. Default: as the template.",
    ),
]
Texts = Annotated[
    list[str] | None, typer.Option("--text", help="A text, repeatable; it may be of many lines.")
]
File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        help="A .txt with one text per line, or the column `text` of a JSONL, CSV or Parquet file.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="As torch names it. Default: a GPU if there is one."),
]
Dtype = Annotated[
    Literal["float32", "bfloat16", "float16"] | None,
    typer.Option(
        "--dtype", help="Precision of the frozen model; prompts stay float32. Default: float32."
    ),
]


def all_texts(texts: list[str] | None, file: Path | None) -> list[str]:
    """Texts of the command line, then those of the file.

    Raises:
        BadParameter: there are none.
        DataError: the file cannot be read.
    """
    if not texts and file is None:
        raise typer.BadParameter("give one or more texts, or a --file.", param_hint="'--text'")
    if file is None:
        return list(texts or ())
    from probe.datasets import read_texts

    return [*(texts or ()), *read_texts(file)]
