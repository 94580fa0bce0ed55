"""Options of the commands that run a model: which task, in which words, on which device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TASK_HELP = "A task's name, its task.toml or the folder of one."
DATA_TASK_HELP = f"{TASK_HELP} Or a data file with a text and a label in each row."


DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="A folder of data sets with one folder per task."),
]
Template = Annotated[
    str | None,
    typer.Option(
        "--template",
        help="The model's input with {text}, or other columns of the data as {NAME}, in it. "
        "Default: the prompt's own, else the task's.",
    ),
]
DataTextColumn = Annotated[
    str | None,
    typer.Option(
        "--text-column",
        metavar="NAME",
        help="The column of the rows that is {text}. Default: the task's own, else text.",
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        help="The column of the rows that is the label. Default: the task's own, else label.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="As torch names it. Default: a GPU if there is one."),
]


def split_synonyms(words: list[str] | None) -> list[str | list[str]]:
    """Label words as typed: `great|good` are two of one label."""
    return [word.split("|") if "|" in word.strip("|") else word for word in words or ()]
