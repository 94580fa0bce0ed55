"""`probe predict`: the label of every text under every prompt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli.asking_options import (
    TASK_HELP,
    Device,
    Dtype,
    File,
    LabelWords,
    SomePrompts,
    Template,
    TextColumn,
    Texts,
    require_prompts,
    require_texts,
    split_synonyms,
)
from probe.cli.completion import complete_task
from probe.cli.exports import new_place, write_table
from probe.cli.options import Json, Model
from probe.cli.output import cell, console, print_json, table

if TYPE_CHECKING:
    from probe.verbs import Predictions


def predict(
    prompts: SomePrompts = None,
    texts: Texts = None,
    file: File = None,
    text_column: TextColumn = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            help=f"{TASK_HELP} Gives the words of prompts that were not trained on it.",
            autocompletion=complete_task,
        ),
    ] = None,
    model: Model = None,
    template: Template = None,
    label_words: LabelWords = None,
    device: Device = None,
    dtype: Dtype = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="Also write one row per text and prompt to this new file."),
    ] = None,
    json: Json = False,
) -> None:
    """Label texts, with the probability of every label word; several prompts share a batch."""
    from probe import verbs

    require_texts(texts, file)
    require_prompts(prompts, file)
    csv = new_place(csv)
    result = verbs.predict(
        prompts or (),
        texts or (),
        file=file,
        text_column=text_column,
        task=task,
        model=model,
        template=template,
        label_words=split_synonyms(label_words),
        device=device,
        dtype=dtype,
    )
    if csv is not None:
        write_table(result.to_wide_frame(), csv)
    if json:
        print_json(result.to_json())
    else:
        _print(result)


def _print(result: Predictions) -> None:
    grid = table("text", "prompt", "label", "probabilities")
    for one in result.predictions:
        ranked = sorted(one.probabilities.items(), key=lambda pair: -pair[1])
        shares = ", ".join(f"{word} {share:.3f}" for word, share in ranked)
        grid.add_row(*map(cell, (one.text, one.prompt, one.label, shares)))
    console().print(grid)
