"""Options of the commands that run a model: which task, in which words, on which device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from probe.cli.completion import complete_prompt
from probe.cli.options import PROMPT_HELP

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
LabelWords = Annotated[
    list[str] | None,
    typer.Option(
        "--label-word",
        help="Repeat it, once per label in label order; 'great|good' gives a label two words. "
        "Default: as the template.",
    ),
]
Texts = Annotated[
    list[str] | None, typer.Option("--text", help="A text, repeatable; it may be of many lines.")
]
File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        help="A .txt with one text per line, or a JSONL, CSV, TSV or Parquet file with the columns "
        "that the template names; a column `prompt` puts each row to the prompt it names.",
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
TextColumn = Annotated[
    str | None,
    typer.Option(
        "--text-column",
        metavar="NAME",
        help="The column of the file that is {text}. Default: text.",
    ),
]
SomePrompts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PROMPT]...",
        help=f"{PROMPT_HELP} None where the file names one in every row.",
        autocompletion=complete_prompt,
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


def require_texts(texts: list[str] | None, file: Path | None) -> None:
    """Check that something is asked about.

    Raises:
        BadParameter: there are neither texts nor a file.
    """
    if not texts and file is None:
        raise typer.BadParameter("give one or more texts, or a --file.", param_hint="'--text'")


def require_prompts(prompts: list[str] | None, file: Path | None) -> None:
    """Check that somebody is asked.

    Raises:
        BadParameter: there are neither prompts nor a file that may name them.
    """
    if not prompts and file is None:
        raise typer.BadParameter(
            "name prompts, or give a --file with a column `prompt`.", param_hint="'PROMPT'"
        )


def split_synonyms(words: list[str] | None) -> list[str | list[str]]:
    """Label words as typed: `great|good` are two of one label."""
    return [word.split("|") if "|" in word.strip("|") else word for word in words or ()]
