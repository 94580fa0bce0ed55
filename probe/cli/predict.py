"""`probe predict`: the label of every text under every prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli.asking_options import (
    TASK_HELP,
    Device,
    Dtype,
    File,
    LabelWords,
    Template,
    Texts,
    all_texts,
    complete_task,
)
from probe.cli.options import Json, Model, Prompts
from probe.cli.output import cell, console, print_json, table

if TYPE_CHECKING:
    from probe.verbs import Predictions


def predict(
    prompts: Prompts,
    texts: Texts = None,
    file: File = None,
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
    json: Json = False,
) -> None:
    """Label texts, with the probability of every label word; several prompts share a batch."""
    from probe import verbs

    result = verbs.predict(
        prompts,
        all_texts(texts, file),
        task=task,
        model=model,
        template=template,
        label_words=label_words or (),
        device=device,
        dtype=dtype,
    )
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
