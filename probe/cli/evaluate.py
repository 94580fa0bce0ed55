"""`probe evaluate`: how good prompts are, beside what they must be compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from probe.cli.asking_options import (
    DATA_TASK_HELP,
    DataDir,
    DataTextColumn,
    Device,
    Dtype,
    LabelColumn,
    LabelWords,
    Template,
    complete_task,
    split_synonyms,
)
from probe.cli.completion import complete_prompt
from probe.cli.options import PROMPT_HELP, Json, Model
from probe.cli.output import print_json

if TYPE_CHECKING:
    from probe.verbs import Evaluated, Recorded

Task = Annotated[str, typer.Option("--task", help=DATA_TASK_HELP, autocompletion=complete_task)]
SplitName = Literal["test", "validation", "train"]


def evaluate(
    task: Task,
    prompts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PROMPT]...",
            help=f"{PROMPT_HELP} None where only baselines are wanted.",
            autocompletion=complete_prompt,
        ),
    ] = None,
    model: Model = None,
    data_dir: DataDir = None,
    text_column: DataTextColumn = None,
    label_column: LabelColumn = None,
    split: Annotated[SplitName, typer.Option("--split", help="Which examples.")] = "test",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            help="At most so many examples, drawn at random but always the same ones.",
        ),
    ] = None,
    template: Template = None,
    label_words: LabelWords = None,
    zero_shot: Annotated[
        bool, typer.Option("--zero-shot", help="Also ask the model without a prompt.")
    ] = False,
    hard: Annotated[
        list[str] | None,
        typer.Option(
            "--hard",
            help="Also ask with these hand-written words in front, repeatable; with {text} in "
            "them they are the whole template.",
        ),
    ] = None,
    discretised: Annotated[
        bool,
        typer.Option(
            "--discretised",
            help="Also ask with each prompt's nearest tokens, shuffled and random ones, and say "
            "how faithful they are.",
        ),
    ] = False,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Let all prompts vote; this result comes first.")
    ] = False,
    fine_tuned: Annotated[
        int | None,
        typer.Option(
            "--fine-tuned",
            min=1,
            metavar="STEPS",
            help="Also fine-tune a copy of the whole model for so many steps.",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every workspace prompt that was trained on the task.")
    ] = False,
    record: Annotated[
        bool,
        typer.Option(
            "--record", help="Add the result to each workspace prompt's history; tell of a drop."
        ),
    ] = False,
    fail_on_drop: Annotated[
        bool,
        typer.Option(
            "--fail-on-drop",
            help="With --record: exit with 1 where a prompt dropped by more than chance.",
        ),
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of intervals, controls and fine-tuning.")
    ] = 0,
    device: Device = None,
    dtype: Dtype = None,
    json: Json = False,
) -> None:
    """Score prompts on a task, with 95 % intervals, beside baselines on the same examples."""
    from probe import verbs

    if fail_on_drop and not record:
        raise typer.BadParameter(
            "add --record: a drop is told from the last record.", param_hint="'--fail-on-drop'"
        )
    _require_something(prompts, every, zero_shot or bool(hard) or fine_tuned is not None)
    result = verbs.evaluate(
        list(prompts or ()),
        task,
        every=every,
        model=model,
        data_dir=data_dir,
        text_column=text_column,
        label_column=label_column,
        split=split,
        limit=limit,
        template=template,
        label_words=split_synonyms(label_words),
        zero_shot=zero_shot,
        hard=hard or (),
        discretised=discretised,
        ensemble=ensemble,
        fine_tuned=fine_tuned,
        record=record,
        seed=seed,
        device=device,
        dtype=dtype,
    )
    _tell_drops(result)
    if json:
        print_json(result.to_json())
    else:
        from probe.cli.evaluation_table import print_evaluation

        print_evaluation(result)
    if fail_on_drop and any(one.dropped for one in result.records):
        raise typer.Exit(1)


def _require_something(prompts: list[str] | None, every: bool, baseline: bool) -> None:
    if prompts and every:
        raise typer.BadParameter("name prompts or ask for all, not both.", param_hint="'--all'")
    if not prompts and not every and not baseline:
        raise typer.BadParameter(
            "name prompts, --all, or a baseline such as --zero-shot.", param_hint="'PROMPT'"
        )


def _tell_drops(result: Evaluated) -> None:
    from probe.cli.output import complain

    for one in result.records:
        if one.dropped and one.last is not None:
            complain(
                f"{one.prompt} dropped: {one.record.metric} {one.record.value:.3f}, was "
                f"{one.last.value:.3f} on {one.last.recorded[:10]}{_chance(one)}"
            )


def _chance(one: Recorded) -> str:
    """How often chance alone would bring such a drop, where the examples' scores are known."""
    p_value = None if one.last is None else one.record.p_value(one.last)
    return "" if p_value is None else f" (paired p = {p_value:.2g})"
